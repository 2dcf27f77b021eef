//! A server of calls: which path or port is which carrier's, and who may come.

#[cfg(feature = "webrtc")]
mod offers;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderValue, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use tokio::runtime::Handle;
use tracing::{debug, info};

use super::call::{Call, CallObserver};
use super::carrier::Carrier;
use super::files::Files;
use super::line::CallLine;
use super::options::CallOptions;
use super::registry::Registry;
use super::security::origins::Origins;
use super::security::upgrades::UpgradeCheck;
#[cfg(feature = "webrtc")]
use super::webrtc::Offers;
use crate::session::Clock;
use crate::transport::listen::{Answer, ByteStream, ListenOptions, Listener, Service};
use crate::transport::plain;
use crate::transport::websocket::WebSocketConnection;

/// The fields of a query that are read.
const MAX_FIELDS: usize = 64;

/// Makes the codec of a call that comes in.
pub type MakeCarrier = Arc<dyn Fn() -> Box<dyn Carrier> + Send + Sync>;

/// What runs the calls of a server, and hears of them.
pub trait CallHost: fmt::Debug + Send + Sync + 'static {
    /// The runtime of the next call.
    fn runtime(&self) -> Option<Handle>;

    /// Who hears of a call that has come by that route. It is made on the runtime of the call.
    fn observer(&self, route: usize) -> Option<Arc<dyn CallObserver>>;
}

/// A path of the server, and whose it is.
pub struct Route {
    pub path: String,
    pub carrier: MakeCarrier,
    pub subprotocol: Option<&'static str>,
    pub upgrades: Option<UpgradeCheck>,
    /// Where browsers come from, if it is their route.
    pub origins: Option<Origins>,
    /// Their offers, where pages may call over WebRTC too.
    #[cfg(feature = "webrtc")]
    pub offers: Option<Arc<Offers>>,
    pub options: CallOptions,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The routes of a server, and its calls.
#[derive(Debug)]
pub struct CallServer {
    routes: Mutex<Vec<Arc<Route>>>,
    files: OnceLock<(Files, Origins)>,
    registry: Arc<Registry>,
    host: Arc<dyn CallHost>,
}

/// What a listener serves: all WebSocket routes, or one stream route.
struct Door {
    server: Arc<CallServer>,
    stream_route: Option<usize>,
}

impl CallServer {
    /// `max_calls`: how many may stand at once; `None`: no bound.
    pub fn new(host: Arc<dyn CallHost>, max_calls: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            routes: Mutex::default(),
            files: OnceLock::new(),
            registry: Arc::new(Registry::new(max_calls)),
            host,
        })
    }

    fn routes(&self) -> MutexGuard<'_, Vec<Arc<Route>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a route; its number.
    pub fn add(&self, route: Route) -> usize {
        let mut routes = self.routes();
        routes.push(Arc::new(route));
        routes.len() - 1
    }

    /// Gives files to browsers, as far as `origins` lets them in; false where it has files already.
    pub fn serve_files(&self, files: Files, origins: Origins) -> bool {
        self.files.set((files, origins)).is_ok()
    }

    /// Listens on all routes of WebSocket carriers.
    pub fn listen(
        self: &Arc<Self>,
        address: SocketAddr,
        options: ListenOptions,
        runtime: &Handle,
    ) -> io::Result<Listener> {
        self.open(address, options, None, runtime)
    }

    /// Listens for plain streams, which are all of one route.
    pub fn listen_for_streams(
        self: &Arc<Self>,
        address: SocketAddr,
        options: ListenOptions,
        route: usize,
        runtime: &Handle,
    ) -> io::Result<Listener> {
        self.open(address, options, Some(route), runtime)
    }

    fn open(
        self: &Arc<Self>,
        address: SocketAddr,
        options: ListenOptions,
        stream_route: Option<usize>,
        runtime: &Handle,
    ) -> io::Result<Listener> {
        let server = Arc::clone(self);
        let door = Arc::new(Door {
            server,
            stream_route,
        });
        let listener = Listener::bind(address, options, door, runtime)?;
        info!(address = %listener.address(), "listening for calls");
        Ok(listener)
    }

    /// Takes no new call, not even on a line that is open already.
    pub fn stop(&self) {
        self.registry.close();
    }

    /// The calls that stand.
    pub fn calls(&self) -> Vec<Arc<Call>> {
        self.registry.standing()
    }

    fn route(&self, number: usize) -> Option<Arc<Route>> {
        self.routes().get(number).cloned()
    }

    /// A line for a call that comes by that route.
    fn line(&self, number: usize) -> Option<Arc<CallLine>> {
        let carrier = (self.route(number)?.carrier)();
        self.line_of(number, carrier)
    }

    /// A line with that codec.
    fn line_of(&self, number: usize, carrier: Box<dyn Carrier>) -> Option<Arc<CallLine>> {
        let route = self.route(number)?;
        let observer = self.host.observer(number)?;
        let call = Call::new(
            carrier,
            route.options,
            Clock::default(),
            &Handle::current(),
            observer,
        );
        let registry = Arc::clone(&self.registry);
        Some(CallLine::new(&call, Some(registry), false))
    }

    fn find(&self, path: &str) -> Option<(usize, Arc<Route>)> {
        let routes = self.routes();
        let (number, route) = routes
            .iter()
            .enumerate()
            .find(|(_, route)| route.path == path)?;
        Some((number, Arc::clone(route)))
    }
}

impl Door {
    fn file(&self, request: &Request<Bytes>, path: &str, from: SocketAddr) -> Answer {
        let known = self.server.files.get().and_then(|(files, origins)| {
            // A strange page may not read it; that another page links to it is fine.
            if let Err(error) = origins.check_names(host_of(request), None) {
                info!(%from, path, %error, "a request was refused");
                return Some(refuse(StatusCode::FORBIDDEN, format!("{error}\n")));
            }
            let response = files.answer(request.method(), path, request.headers())?;
            Some(Answer::Respond(response))
        });
        known.unwrap_or_else(|| refuse(StatusCode::NOT_FOUND, "no calls are taken on this path\n"))
    }
}

/// The refusal of a page that may not call by that route.
fn refused_page(route: &Route, request: &Request<Bytes>, from: SocketAddr) -> Option<Answer> {
    let error = route.origins.as_ref()?.check(request.headers()).err()?;
    info!(%from, path = route.path, %error, "a page was refused");
    Some(refuse(StatusCode::FORBIDDEN, format!("{error}\n")))
}

fn host_of(request: &Request<Bytes>) -> Option<&str> {
    request.headers().get(HOST)?.to_str().ok()
}

impl Service for Door {
    fn runtime(&self) -> Option<Handle> {
        self.server.host.runtime()
    }

    fn answer(&self, request: Request<Bytes>, from: SocketAddr) -> Answer {
        let path = request.uri().path();
        let Some((number, route)) = self.server.find(path) else {
            #[cfg(feature = "webrtc")]
            if let Some(answer) = self.call_of(&request, path, from) {
                return answer;
            }
            return self.file(&request, path, from);
        };
        if let Some(refused) = refused_page(&route, &request, from) {
            return refused;
        }
        if let Some(upgrades) = &route.upgrades
            && let Err(error) = upgrades.check(request.uri(), request.headers())
        {
            info!(%from, path = route.path, %error, "a call was refused");
            return refuse(
                StatusCode::FORBIDDEN,
                "the signature or token is missing or wrong\n",
            );
        }
        #[cfg(feature = "webrtc")]
        if let Some(offers) = &route.offers
            && *request.method() != http::Method::GET
        {
            return self.offer(number, offers, request, from);
        }
        let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL);
        let offered = offered
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let subprotocol = route.subprotocol.filter(|wanted| {
            let mut offers = offered.split(',');
            offers.any(|offer| offer.trim() == *wanted)
        });
        let server = Arc::clone(&self.server);
        let query = query_of(request.uri().query().unwrap_or_default());
        let run = move |socket: WebSocketConnection| {
            if let Some(line) = server.line(number) {
                line.call().set_query(query);
                tokio::spawn(socket.run(line));
            }
        };
        Answer::Upgrade {
            subprotocol: subprotocol.map(HeaderValue::from_static),
            run: Box::new(run),
        }
    }

    fn take_stream(&self, stream: ByteStream, from: SocketAddr) -> Option<ByteStream> {
        let Some(route) = self.stream_route else {
            return Some(stream);
        };
        if let Some(line) = self.server.line(route) {
            tokio::spawn(plain::run(stream, line));
        } else {
            debug!(%from, "a call came and nobody takes it");
        }
        None
    }
}

/// The fields of a query, decoded.
fn query_of(query: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let fields = query
        .split('&')
        .filter(|field| !field.is_empty())
        .take(MAX_FIELDS);
    fields
        .map(|field| {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn refuse(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    Answer::Respond(response)
}
