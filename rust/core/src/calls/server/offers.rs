//! Offers of calls over WebRTC, on the paths of pages.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};

use super::{Door, query_of, refused_page};
use crate::calls::webrtc::{self, Offers};
use crate::transport::listen::{Answer, LocalAddress};

impl Door {
    /// Answers an offer, or what a browser asks before it makes one.
    pub(super) fn offer(
        &self,
        number: usize,
        offers: &Arc<Offers>,
        request: Request<Bytes>,
        from: SocketAddr,
    ) -> Answer {
        if let Some(response) = Offers::respond(request.method(), request.headers()) {
            return Answer::Respond(response);
        }
        let local = request.extensions().get::<LocalAddress>();
        let local = local.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |it| it.0);
        let query = query_of(request.uri().query().unwrap_or_default());
        let server = Arc::clone(&self.server);
        let make_line = Box::new(move || server.line_of(number, webrtc::carrier()));
        let offers = Arc::clone(offers);
        Answer::Later(Box::pin(
            offers.take(request, local, from, query, make_line),
        ))
    }

    /// Answers a request to the URL of a call that was offered.
    pub(super) fn call_of(
        &self,
        request: &Request<Bytes>,
        path: &str,
        from: SocketAddr,
    ) -> Option<Answer> {
        let (parent, id) = path.rsplit_once('/')?;
        let route = match self.server.find(parent) {
            Some((_, route)) => route,
            // Beside the calls of a path that ends with a slash there may be files.
            None if matches!(*request.method(), Method::GET | Method::HEAD) => return None,
            None => self.server.find(&path[..=parent.len()])?.1,
        };
        let offers = route.offers.as_ref()?;
        if let Some(refused) = refused_page(&route, request, from) {
            return Some(refused);
        }
        let response = offers.respond_for(id, request.method(), request.headers());
        Some(Answer::Respond(response))
    }
}
