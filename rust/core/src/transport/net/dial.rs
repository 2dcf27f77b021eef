//! Opens the byte stream to a server: directly or through a proxy, plain or secured.

use ::http::header::{HOST, PROXY_AUTHORIZATION};
use ::http::{HeaderValue, Method, Request};
use http_body_util::Empty;
use tracing::debug;

use super::deadline::Deadline;
use super::error::{ConnectError, ConnectPhase};
use super::exchange::{Answer, ExchangeError, exchange};
use super::proxy::{Proxy, ProxyServer};
use super::stream::ByteStream;
use super::target::Target;
use super::tcp;
use super::tls::{self, Tls};

/// Opens a stream to `target`.
pub(in crate::transport) async fn dial(
    target: &Target,
    proxy: &Proxy,
    tls: &Tls,
    deadline: Deadline,
) -> Result<ByteStream, ConnectError> {
    let stream = match proxy.towards(target, |name| std::env::var(name).ok())? {
        None => ByteStream::Plain(tcp::open(&target.host, target.port, deadline).await?),
        Some(proxy) => {
            debug!(
                proxy = proxy.target.address(),
                "asking the proxy for a tunnel"
            );
            let tunnel = tunnel(&proxy, target, tls, deadline);
            tunnel
                .await
                .map_err(|error| name_proxy(&proxy, target, error))?
        }
    };
    if target.secure {
        return tls::secure(stream, &target.host, tls, deadline).await;
    }
    Ok(stream)
}

/// Opens a stream to `target` through `proxy` (CONNECT, RFC 9110, section 9.3.6).
async fn tunnel(
    proxy: &ProxyServer,
    target: &Target,
    tls: &Tls,
    deadline: Deadline,
) -> Result<ByteStream, ConnectError> {
    let at = &proxy.target;
    let mut stream = ByteStream::Plain(tcp::open(&at.host, at.port, deadline).await?);
    if at.secure {
        stream = tls::secure(stream, &at.host, tls, deadline).await?;
    }
    deadline
        .bound(
            ConnectPhase::Proxy,
            request_tunnel(proxy, target, stream, deadline),
        )
        .await
}

async fn request_tunnel(
    proxy: &ProxyServer,
    target: &Target,
    stream: ByteStream,
    deadline: Deadline,
) -> Result<ByteStream, ConnectError> {
    let refused = |cause: String| ConnectError::Proxy {
        proxy: proxy.target.address(),
        target: target.address(),
        cause,
    };
    let address = target.address();
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(&address)
        .header(HOST, &address);
    if let Some(authorization) = &proxy.authorization {
        let mut value = HeaderValue::from_str(authorization)
            .map_err(|_| refused("its credentials cannot be sent".to_owned()))?;
        value.set_sensitive(true);
        request = request.header(PROXY_AUTHORIZATION, value);
    }
    let request = request
        .body(Empty::new())
        .map_err(|error| refused(error.to_string()))?;
    match exchange(
        stream,
        request,
        |answer| answer.status().is_success(),
        deadline,
    )
    .await
    {
        Ok(Answer::Switched { stream, rest, .. }) if rest.is_empty() => Ok(stream),
        Ok(Answer::Switched { .. }) => Err(refused(
            "it sent bytes before the tunnel was in use".to_owned(),
        )),
        Ok(Answer::Stayed { response, .. }) => match response.status().as_u16() {
            407 => Err(ConnectError::ProxyAuthentication {
                proxy: proxy.target.address(),
            }),
            status => Err(refused(format!("it answers HTTP {status}"))),
        },
        Err(ExchangeError::NotHttp(cause) | ExchangeError::Ended(cause)) => Err(refused(cause)),
    }
}

/// Turns an error of connecting to the proxy into one that names the proxy.
fn name_proxy(proxy: &ProxyServer, target: &Target, error: ConnectError) -> ConnectError {
    match error {
        ConnectError::Dns { .. }
        | ConnectError::ConnectionRefused { .. }
        | ConnectError::Unreachable { .. }
        | ConnectError::Interrupted { .. } => ConnectError::Proxy {
            proxy: proxy.target.address(),
            target: target.address(),
            cause: error.to_string(),
        },
        ConnectError::Certificate { host, problem } => ConnectError::Certificate {
            host: format!("{host} (the proxy)"),
            problem,
        },
        ConnectError::Tls { host, cause } => ConnectError::Tls {
            host: format!("{host} (the proxy)"),
            cause,
        },
        ConnectError::TimedOut { after, .. } => ConnectError::TimedOut {
            phase: ConnectPhase::Proxy,
            after,
        },
        other => other,
    }
}
