//! Becomes a WebSocket, and learns what the client wants.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

use crate::options::Options;

const PROTOCOL: &str = "sec-websocket-protocol";

/// What the client wants.
#[derive(Debug)]
pub enum DecodeMode {
    Session(Options),
    Stats,
}

/// Answers the upgrade request. What carries frames from then on is the stream alone: a client says
/// nothing before it has the answer.
#[expect(
    clippy::result_large_err,
    reason = "tungstenite wants the refusal as it is"
)]
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
) -> Result<(S, DecodeMode), Error> {
    let mut wanted = DecodeMode::Stats;
    let answer = |request: &Request, mut response: Response| {
        if request.uri().path() != "/stats" {
            let options = Options::parse(request.uri().query().unwrap_or_default());
            wanted = DecodeMode::Session(options.map_err(refusal)?);
        }
        if request.headers().contains_key(PROTOCOL) {
            let realtime = HeaderValue::from_static("realtime");
            response.headers_mut().insert(PROTOCOL, realtime);
        }
        Ok(response)
    };
    let socket = accept_hdr_async(stream, answer).await?;
    Ok((socket.into_inner(), wanted))
}

fn refusal(why: String) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(why));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}
