//! A server of calls.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use stapes_core::calls::security::upgrades::UpgradeCheck;
use stapes_core::calls::server::Route;
use stapes_core::calls::{self, Files, carriers};
use stapes_core::dispatch::DispatchedCallServer;
use stapes_core::transport::listen::{self, Listener, ServerTls};

use super::call::{Call, Wire, carrier_options, unknown_carrier};
use super::options::{CallOptions, ListenOptions};
use super::origins::Origins;
use crate::errors::Outcome;
use crate::hub::Hub;

/// Paths and ports, and the calls that come to them.
#[pyclass(frozen, module = "stapes._core.calls")]
#[derive(Debug)]
pub struct CallServer {
    server: DispatchedCallServer,
    listeners: Mutex<Vec<Listener>>,
}

#[pymethods]
impl CallServer {
    /// `max_calls`: how many may stand at once.
    #[new]
    fn new(hub: &Hub, max_calls: Option<usize>) -> Outcome<Self> {
        Ok(Self {
            server: DispatchedCallServer::new(&hub.queues, max_calls)?,
            listeners: Mutex::default(),
        })
    }

    /// The number that the hub knows it by.
    #[getter]
    fn id(&self) -> u64 {
        self.server.id()
    }

    /// Has `hub` dispatch its messages to `dispatcher`, through `dispatcher.run`.
    fn dispatch_to(
        &self,
        hub: &Hub,
        dispatcher: &Bound<'_, PyAny>,
        listeners: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (id, progress) = (self.server.id(), self.server.progress());
        super::dispatch(hub, id, progress, dispatcher, listeners)
    }

    /// Adds a route; its number. `options` is a `stapes.calls.CallOptions`, `wire` as for a
    /// `Call`; `upgrades` is `(secret, public URL)` where they are checked, `origins` those of the
    /// pages that may come. `webrtc` is a `stapes.calls.WebRTCCallOptions` where pages may offer
    /// calls.
    #[expect(clippy::too_many_arguments, reason = "what a route is, by its names")]
    fn add_route(
        &self,
        path: String,
        carrier: String,
        options: &Bound<'_, PyAny>,
        wire: Wire,
        upgrades: Option<(String, String)>,
        origins: Option<&Origins>,
        webrtc: Option<&Bound<'_, PyAny>>,
    ) -> Outcome<usize> {
        #[cfg(feature = "webrtc")]
        let offers = webrtc.map(super::options::webrtc).transpose()?;
        #[cfg(not(feature = "webrtc"))]
        if webrtc.is_some() {
            let why = "webrtc: this build has no WebRTC";
            return Err(PyValueError::new_err(why).into());
        }
        let wire = carrier_options(wire)?;
        if carriers::by_name(&carrier, wire).is_none() {
            return Err(unknown_carrier(&carrier).into());
        }
        let subprotocol = carriers::subprotocol(&carrier);
        let check = |(secret, url)| {
            UpgradeCheck::of_carrier(&carrier, secret, url).ok_or_else(|| {
                PyValueError::new_err(format!("upgrades: {carrier} has nothing to check"))
            })
        };
        let upgrades = upgrades.map(check).transpose()?;
        let make = move || {
            let codec = carriers::by_name(&carrier, wire);
            codec.unwrap_or_else(|| Box::<carriers::Twilio>::default())
        };
        Ok(self.server.add(Route {
            path,
            carrier: Arc::new(make),
            subprotocol,
            upgrades,
            origins: origins.map(|it| it.0.clone()),
            #[cfg(feature = "webrtc")]
            offers: offers.map(|options| Arc::new(calls::webrtc::Offers::new(options))),
            options: CallOptions::read(options, calls::CallOptions::default())?,
        })?)
    }

    /// Gives browsers files: by path, their type and content. Once.
    fn serve_files(&self, files: Vec<(String, String, Vec<u8>)>, origins: &Origins) -> Outcome<()> {
        let mut served = Files::default();
        for (path, content_type, content) in files {
            if !served.add(path, &content_type, content) {
                let why = format!("content_type is {content_type:?}: it is no header");
                return Err(PyValueError::new_err(why).into());
            }
        }
        if !self.server.serve_files(served, origins.0.clone())? {
            return Err(PyValueError::new_err("the server has files already").into());
        }
        Ok(())
    }

    /// Listens for WebSockets on all routes, or for streams on one. Returns the port.
    /// `options` is a `stapes.calls.ListenOptions`; `tls` is `(certificate chain, key)` as PEM.
    #[pyo3(signature = (host, port, options, *, stream_route=None, tls=None))]
    fn listen(
        &self,
        host: &str,
        port: u16,
        options: &Bound<'_, PyAny>,
        stream_route: Option<usize>,
        tls: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Outcome<u16> {
        let ip = host.parse().map_err(|_| {
            PyValueError::new_err(format!(
                "host is {host:?}: give the address of an interface, such as \"127.0.0.1\" or \"0.0.0.0\""
            ))
        })?;
        let mut options = ListenOptions::read(options, listen::ListenOptions::default())?;
        if let Some((chain, key)) = tls {
            let tls = ServerTls::from_pem(&chain, &key);
            options.tls = Some(tls.map_err(|error| PyValueError::new_err(error.to_string()))?);
        }
        let address = SocketAddr::new(ip, port);
        let listener = self.server.listen(address, options, stream_route);
        let listener = listener.map_err(PyErr::from)?;
        let port = listener.address().port();
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.push(listener);
        Ok(port)
    }

    /// Takes no new call.
    fn stop(&self) {
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.drain(..).for_each(|listener| listener.stop());
        self.server.stop();
    }

    /// The call of an `IncomingCall`; `None` where it is gone.
    fn take(&self, token: u64) -> Option<Call> {
        self.server.take(token).map(|call| Call(Arc::new(call)))
    }

    /// How many calls stand.
    #[getter]
    fn standing(&self) -> usize {
        self.server.standing()
    }

    /// Hangs up all calls.
    fn hang_up(&self) {
        self.server.hang_up();
    }
}
