//! The opening handshake: from a byte stream to a WebSocket (RFC 6455, section 4).

use bytes::Bytes;
use http::header::{
    CONNECTION, HOST, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::Empty;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::transport::net::{
    Answer, ByteStream, ConnectError, ConnectPhase, Deadline, ExchangeError, Secrets, Target,
    exchange, refused,
};

/// A stream on which the handshake has succeeded.
pub(super) struct Upgraded {
    pub stream: ByteStream,
    /// Bytes that followed the response: the first frames.
    pub rest: Bytes,
    pub headers: HeaderMap,
}

/// Does the opening handshake on `stream`.
pub(super) async fn upgrade(
    stream: ByteStream,
    secrets: &Secrets,
    target: &Target,
    headers: HeaderMap,
    deadline: Deadline,
) -> Result<Upgraded, ConnectError> {
    let key = generate_key();
    let protocols = headers.get(SEC_WEBSOCKET_PROTOCOL).cloned();
    let request = build(target, headers, &key)?;
    let switches = |answer: &Response<()>| answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    let asking = async {
        exchange(stream, request, switches, deadline)
            .await
            .map_err(|error| match error {
                ExchangeError::NotHttp(problem) => ConnectError::NotWebSocket { problem },
                ExchangeError::Ended(cause) => ConnectError::Interrupted {
                    phase: ConnectPhase::Http,
                    cause,
                },
            })
    };
    match deadline.bound(ConnectPhase::Http, asking).await? {
        Answer::Switched {
            response,
            stream,
            rest,
        } => {
            let Parts {
                version, headers, ..
            } = response.into_parts().0;
            let checked = match version {
                Version::HTTP_11 => verify(&headers, &key, protocols.as_ref()),
                _ => Err("it switches protocols with HTTP/1.0, which cannot"),
            };
            checked.map_err(|problem| ConnectError::NotWebSocket {
                problem: problem.to_owned(),
            })?;
            Ok(Upgraded {
                stream,
                rest,
                headers,
            })
        }
        Answer::Stayed { response, body, .. } => Err(refusal(&response, &body, secrets)),
    }
}

fn build(
    target: &Target,
    headers: HeaderMap,
    key: &str,
) -> Result<Request<Empty<Bytes>>, ConnectError> {
    let mut request = Request::builder()
        .uri(&target.path)
        .header(HOST, &target.authority)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, key)
        .body(Empty::new())
        .map_err(|error| ConnectError::InvalidUrl {
            problem: error.to_string(),
        })?;
    request.headers_mut().extend(headers);
    Ok(request)
}

/// Checks that a 101 response belongs to this handshake.
fn verify(
    answer: &HeaderMap,
    key: &str,
    protocols: Option<&HeaderValue>,
) -> Result<(), &'static str> {
    if !has_token(answer, &UPGRADE, "websocket") {
        return Err("it switches to another protocol (no `Upgrade: websocket`)");
    }
    if !has_token(answer, &CONNECTION, "upgrade") {
        return Err("its answer has no `Connection: Upgrade`");
    }
    let accept = derive_accept_key(key.as_bytes());
    let mut accepts = answer.get_all(SEC_WEBSOCKET_ACCEPT).iter();
    if accepts
        .next()
        .is_none_or(|value| value.as_bytes() != accept.as_bytes())
        || accepts.next().is_some()
    {
        return Err("its `Sec-WebSocket-Accept` does not match our key");
    }
    if answer.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return Err("it uses an extension that was not offered");
    }
    let mut chosen = answer.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    match (chosen.next().map(HeaderValue::to_str), protocols) {
        (None, _) => Ok(()),
        (Some(Ok(one)), Some(offered)) if offers(offered, one) && chosen.next().is_none() => Ok(()),
        _ => Err("it chose a subprotocol that was not offered"),
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .any(|value| lists(value, token))
}

/// Whether this subprotocol is in the list. Unlike other tokens, subprotocols have their case.
fn offers(offered: &HeaderValue, chosen: &str) -> bool {
    let mut entries = offered.to_str().unwrap_or_default().split(',');
    entries.any(|entry| entry.trim() == chosen.trim())
}

/// Whether a comma-separated list has this entry, in any case.
fn lists(value: &HeaderValue, wanted: &str) -> bool {
    value.to_str().is_ok_and(|list| {
        list.split(',')
            .any(|entry| entry.trim().eq_ignore_ascii_case(wanted))
    })
}

/// The error for a response other than 101.
fn refusal(response: &Response<()>, body: &[u8], secrets: &Secrets) -> ConnectError {
    let status = response.status();
    if status.is_success() {
        let problem = format!("it answers like a web page (HTTP {})", status.as_u16());
        return ConnectError::NotWebSocket { problem };
    }
    refused(response, body, secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_must_match_the_handshake() {
        let key = "dGhlIHNhbXBsZSBub25jZQ=="; // The example of RFC 6455, section 1.3.
        let good = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        let headers = |changed: Option<(&'static str, &'static str)>| {
            let pairs = good.into_iter().chain(changed);
            let mut map = HeaderMap::new();
            for (name, value) in pairs {
                map.insert(name, HeaderValue::from_static(value));
            }
            map
        };
        assert_eq!(verify(&headers(None), key, None), Ok(()));
        for change in [
            ("upgrade", "h2c"),
            ("connection", "close"),
            ("sec-websocket-accept", "x"),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("sec-websocket-protocol", "chat"),
        ] {
            assert!(
                verify(&headers(Some(change)), key, None).is_err(),
                "{change:?}"
            );
        }
        let offered = HeaderValue::from_static("realtime, chat");
        let chosen = headers(Some(("sec-websocket-protocol", "chat")));
        assert_eq!(verify(&chosen, key, Some(&offered)), Ok(()));
        let chosen = headers(Some(("sec-websocket-protocol", "Chat")));
        assert!(verify(&chosen, key, Some(&offered)).is_err());
        let mut twice = headers(None);
        twice.append(
            "sec-websocket-accept",
            twice["sec-websocket-accept"].clone(),
        );
        assert!(verify(&twice, key, None).is_err());
    }
}
