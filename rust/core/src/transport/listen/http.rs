//! The HTTP half of a listener: requests, and the handshake of a WebSocket (RFC 6455, section 4.2).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use ::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tracing::debug;

use super::super::net::ByteStream;
use super::super::websocket;
use super::{Answer, ListenOptions, LocalAddress, Service};

/// Serves one connection until it ends or becomes a WebSocket.
pub(super) async fn serve(
    stream: TcpStream,
    from: SocketAddr,
    service: &Arc<dyn Service>,
    options: &Arc<ListenOptions>,
) -> io::Result<()> {
    let mut stream = ByteStream::Plain(stream);
    if let Some(tls) = &options.tls {
        let accepting = TlsAcceptor::from(Arc::clone(&tls.0)).accept(stream);
        let accepted = timeout(options.head_timeout, accepting).await;
        let secured = accepted.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream = ByteStream::Secured(Box::new(secured.into()));
    }
    let Some(stream) = service.take_stream(stream, from) else {
        return Ok(());
    };
    let local = stream.local_ip()?;
    let answer = |mut request: Request<Incoming>| {
        request.extensions_mut().insert(LocalAddress(local));
        respond(request, from, Arc::clone(service), Arc::clone(options))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_timeout)
        .max_buf_size(options.max_head.max(8 * 1024))
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .with_upgrades();
    connection.await.map_err(io::Error::other)
}

type Body = Full<Bytes>;

async fn respond(
    mut request: Request<Incoming>,
    from: SocketAddr,
    service: Arc<dyn Service>,
    options: Arc<ListenOptions>,
) -> Result<Response<Body>, Infallible> {
    let upgrading = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    let reading = Limited::new(body, options.max_body).collect();
    let body = match timeout(options.head_timeout, reading).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return Ok(plain(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is too long\n",
            ));
        }
        Err(_) => {
            return Ok(plain(
                StatusCode::REQUEST_TIMEOUT,
                "the body came too slowly\n",
            ));
        }
    };
    let handshake = accept_key(&head.method, &head.headers);
    let (subprotocol, run) = match service.answer(Request::from_parts(head, body), from) {
        Answer::Respond(response) => return Ok(response.map(Full::new)),
        Answer::Later(response) => return Ok(response.await.map(Full::new)),
        Answer::Upgrade { subprotocol, run } => (subprotocol, run),
    };
    let accept = match handshake {
        Ok(accept) => accept,
        Err(problem) => return Ok(*problem),
    };
    let websocket = options.websocket.clone();
    tokio::spawn(async move {
        let upgraded = match upgrading.await {
            Ok(upgraded) => upgraded,
            Err(error) => return debug!(%from, %error, "a handshake was not finished"),
        };
        // It is the stream that this module gave.
        if let Ok(parts) = upgraded.downcast::<TokioIo<ByteStream>>() {
            let stream = parts.io.into_inner();
            run(websocket::accepted(stream, &parts.read_buf, &websocket).await);
        }
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(subprotocol) = subprotocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    Ok(response)
}

/// What the server answers the client's key with, or why the request is no handshake.
fn accept_key(method: &Method, headers: &HeaderMap) -> Result<HeaderValue, Box<Response<Body>>> {
    let lists = |name, token: &str| {
        let values = headers.get_all(name).iter();
        let mut entries = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|it| it.split(','));
        entries.any(|entry| entry.trim().eq_ignore_ascii_case(token))
    };
    if method != Method::GET || !lists(CONNECTION, "upgrade") || !lists(UPGRADE, "websocket") {
        let mut response = plain(StatusCode::UPGRADE_REQUIRED, "this path is a WebSocket\n");
        let upgrade = HeaderValue::from_static("websocket");
        response.headers_mut().insert(UPGRADE, upgrade);
        return Err(Box::new(response));
    }
    if headers
        .get(SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        let mut response = plain(
            StatusCode::UPGRADE_REQUIRED,
            "WebSocket version 13 is spoken\n",
        );
        let version = HeaderValue::from_static("13");
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_VERSION, version);
        return Err(Box::new(response));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let accept = key.map(|key| HeaderValue::from_str(&derive_accept_key(key)));
    if let Some(Ok(accept)) = accept {
        return Ok(accept);
    }
    let response = plain(StatusCode::BAD_REQUEST, "the handshake has no key\n");
    Err(Box::new(response))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}
