//! The HTTP manners of calls over WebRTC: WHIP (RFC 9725).
//!
//! - `POST` of an offer to the path of pages is answered with 201, the answer, and the call's own URL in
//!   `Location`.
//! - `DELETE` of that URL hangs up. Other methods are not allowed there: candidates are not trickled, and a page
//!   whose network changed offers again, with the id of its call.
//! - Who calls from another origin is answered as its browser asks (CORS), if that origin may call.
//!
//! A bearer token is the parameter `stapes_token` of the call.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, AUTHORIZATION, CACHE_CONTROL,
    CONTENT_TYPE, LOCATION, ORIGIN, RETRY_AFTER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tracing::info;

use super::{AnswerError, PendingOffers, WebRtcCallOptions, answer};
use crate::calls::line::CallLine;

/// The media type of a session description.
const SDP: &str = "application/sdp";

/// The parameter that a bearer token is.
const TOKEN: &str = "stapes_token";

/// The name of the header that tells which media types may be posted (RFC 9725, section 4.2).
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// How long a page is asked to wait where there are too many offers, in seconds.
const PATIENCE: &str = "5";

/// The number of entries at which those of ended calls are looked for first.
const FIRST_SWEEP: usize = 64;

/// Makes the line of a call that was offered; `None`: no call is taken any more.
pub(in crate::calls) type MakeLine = Box<dyn FnOnce() -> Option<Arc<CallLine>> + Send>;

#[derive(Debug, Default)]
struct Lines {
    by_id: HashMap<String, Weak<CallLine>>,
    sweep_at: usize,
}

/// The calls that came to one path.
#[derive(Debug)]
pub struct Offers {
    options: Arc<WebRtcCallOptions>,
    lines: Mutex<Lines>,
    waiting: PendingOffers,
}

impl Offers {
    pub fn new(options: WebRtcCallOptions) -> Self {
        Self {
            options: Arc::new(options),
            lines: Mutex::default(),
            waiting: PendingOffers::of_path(),
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, id: String, line: &Arc<CallLine>) {
        let mut lines = self.lines();
        lines.by_id.insert(id, Arc::downgrade(line));
        if lines.by_id.len() >= lines.sweep_at.max(FIRST_SWEEP) {
            lines.by_id.retain(|_, line| line.strong_count() > 0);
            lines.sweep_at = lines.by_id.len() * 2;
        }
    }

    /// Answers what is no offer; `None`: it is one.
    pub(in crate::calls) fn respond(
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<Response<Bytes>> {
        let mut response = match *method {
            Method::OPTIONS => {
                let mut response = with_status(StatusCode::NO_CONTENT);
                let accepted = HeaderValue::from_static(SDP);
                response.headers_mut().insert(ACCEPT_POST, accepted);
                response
            }
            Method::POST => {
                let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
                let kind = kind.and_then(|it| it.split(|byte| *byte == b';').next());
                if kind.is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(SDP.as_bytes())) {
                    return None;
                }
                let mut response = plain(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "post an offer as application/sdp\n",
                );
                let accepted = HeaderValue::from_static(SDP);
                response.headers_mut().insert(ACCEPT_POST, accepted);
                response
            }
            _ => {
                let mut response = with_status(StatusCode::METHOD_NOT_ALLOWED);
                let allowed = HeaderValue::from_static("GET, POST, OPTIONS");
                response.headers_mut().insert(ALLOW, allowed);
                response
            }
        };
        allow_origin(headers, response.headers_mut());
        Some(response)
    }

    /// Takes an offer: answers it, and drives the line of its call.
    pub(in crate::calls) async fn take(
        self: Arc<Self>,
        request: Request<Bytes>,
        local: IpAddr,
        from: SocketAddr,
        query: Vec<(String, String)>,
        make_line: MakeLine,
    ) -> Response<Bytes> {
        let taken = self.answer(&request, local, query, make_line).await;
        let mut response = taken.unwrap_or_else(|refused| {
            info!(%from, status = refused.status().as_u16(), "an offer was refused");
            refused
        });
        allow_origin(request.headers(), response.headers_mut());
        response
    }

    async fn answer(
        &self,
        request: &Request<Bytes>,
        local: IpAddr,
        mut query: Vec<(String, String)>,
        make_line: MakeLine,
    ) -> Result<Response<Bytes>, Response<Bytes>> {
        let Ok(offer) = str::from_utf8(request.body()) else {
            let why = "the offer is no text\n";
            return Err(plain(StatusCode::BAD_REQUEST, why));
        };
        let answered = answer(offer, local, &self.options, &self.waiting).await;
        let (description, rtc_line) = answered.map_err(|error| {
            let why = format!("{error}\n");
            match error {
                // RFC 9725, section 4.2: the offer cannot be met.
                AnswerError::Offer(_) => plain(StatusCode::UNPROCESSABLE_ENTITY, why),
                AnswerError::Busy => busy(why),
                _ => plain(StatusCode::INTERNAL_SERVER_ERROR, why),
            }
        })?;
        let full = "the server takes no more calls: try again\n";
        let line = make_line().ok_or_else(|| busy(full))?;
        let authorization = request.headers().get(AUTHORIZATION);
        let token = authorization
            .and_then(|value| value.to_str().ok()?.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        query.extend(token.map(|(_, token)| (TOKEN.to_owned(), token.trim().to_owned())));
        line.call().set_query(query);
        let id = format!("{:032x}", rand::random::<u128>());
        self.add(id.clone(), &line);
        let location = HeaderValue::from_str(&beside(request.uri().path(), &id));
        tokio::spawn(rtc_line.run(line, id));
        let mut response = Response::new(Bytes::from(description));
        *response.status_mut() = StatusCode::CREATED;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(SDP));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(location) = location {
            headers.insert(LOCATION, location);
        }
        Ok(response)
    }

    /// Answers a request to the URL of one of its calls.
    pub(in crate::calls) fn respond_for(
        &self,
        id: &str,
        method: &Method,
        headers: &HeaderMap,
    ) -> Response<Bytes> {
        let mut response = match *method {
            Method::OPTIONS => with_status(StatusCode::NO_CONTENT),
            Method::DELETE => self.hang_up(id),
            _ => {
                let mut response = with_status(StatusCode::METHOD_NOT_ALLOWED);
                let allowed = HeaderValue::from_static("DELETE, OPTIONS");
                response.headers_mut().insert(ALLOW, allowed);
                response
            }
        };
        allow_origin(headers, response.headers_mut());
        response
    }

    fn hang_up(&self, id: &str) -> Response<Bytes> {
        let line = self.lines().by_id.remove(id);
        let Some(line) = line.and_then(|line| line.upgrade()) else {
            return plain(StatusCode::NOT_FOUND, "there is no such call\n");
        };
        line.call().hung_up_by_caller("the page hung up");
        with_status(StatusCode::OK)
    }
}

/// The URL of a call, relative to the one that its offer was posted to: a proxy may serve that under another
/// path than ours.
fn beside(path: &str, id: &str) -> String {
    match path.rsplit('/').next().unwrap_or_default() {
        "" => id.to_owned(),
        // A name with a colon would be read as a scheme (RFC 3986, section 4.2).
        last => format!("./{last}/{id}"),
    }
}

/// Tells the browser of a page of another origin, which may call, what it may send and read.
fn allow_origin(request: &HeaderMap, response: &mut HeaderMap) {
    let Some(origin) = request.get(ORIGIN) else {
        return;
    };
    let fixed = HeaderValue::from_static;
    response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    response.insert(VARY, fixed("origin"));
    let methods = fixed("POST, DELETE, OPTIONS");
    response.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    let headers = fixed("authorization, content-type");
    response.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers);
    response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, fixed("location"));
    response.insert(ACCESS_CONTROL_MAX_AGE, fixed("600"));
}

fn busy(why: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, why);
    let patience = HeaderValue::from_static(PATIENCE);
    response.headers_mut().insert(RETRY_AFTER, patience);
    response
}

fn with_status(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_call_is_beside_that_of_its_offer_wherever_a_proxy_serves_it() {
        assert_eq!(beside("/talk", "7"), "./talk/7");
        assert_eq!(beside("/desk/a:b", "7"), "./a:b/7");
        assert_eq!(beside("/talk/", "7"), "7");
        assert_eq!(beside("/", "7"), "7");
    }
}
