//! Opens a TCP connection to the first address of a host that accepts one.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
#[cfg(any(target_os = "linux", target_os = "android"))]
use socket2::SockRef;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::sleep;
#[cfg(any(target_os = "linux", target_os = "android"))]
use tracing::debug;

use super::deadline::Deadline;
use super::error::{ConnectError, ConnectPhase};
use super::target::address;

/// The time before the next address is tried in parallel ("Connection Attempt Delay", RFC 8305,
/// section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to `host:port`. Tries all addresses of the host, alternating IPv6 and IPv4.
pub(super) async fn open(
    host: &str,
    port: u16,
    deadline: Deadline,
) -> Result<TcpStream, ConnectError> {
    let addresses = deadline
        .bound(ConnectPhase::Resolve, resolve(host, port))
        .await?;
    let connected = async {
        first_to_connect(addresses)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => ConnectError::ConnectionRefused {
                    address: address(host, port),
                },
                _ => ConnectError::Unreachable {
                    address: address(host, port),
                    cause: error.to_string(),
                },
            })
    };
    let stream = deadline.bound(ConnectPhase::Tcp, connected).await?;
    // Audio frames are small: Nagle's algorithm would delay them. If this fails, only latency suffers.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Sets `TCP_USER_TIMEOUT` (RFC 5482), where the system has it. A window that stays closed counts as
/// well: the far side's system answers, but nobody there reads.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn limit_unacknowledged(stream: &TcpStream, limit: Option<Duration>) {
    // The system counts whole milliseconds, and zero is none.
    let limit = limit
        .filter(|limit| !limit.is_zero())
        .map(|limit| limit.max(Duration::from_millis(1)));
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(limit) {
        debug!(%error, "the system does not limit how long data stays unacknowledged");
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn limit_unacknowledged(_: &TcpStream, _: Option<Duration>) {}

async fn resolve(host: &str, port: u16) -> Result<VecDeque<SocketAddr>, ConnectError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(VecDeque::from([SocketAddr::new(ip, port)]));
    }
    let failed = |cause: String| ConnectError::Dns {
        host: host.to_owned(),
        cause,
    };
    let found = lookup_host((host, port))
        .await
        .map_err(|error| failed(error.to_string()))?;
    let addresses = alternate(found);
    if addresses.is_empty() {
        return Err(failed("it has no address".to_owned()));
    }
    Ok(addresses)
}

/// The addresses in the resolver's order, but alternating the two families (RFC 8305, section 4).
fn alternate(addresses: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let addresses: Vec<_> = addresses.collect();
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order = VecDeque::new();
    loop {
        let pair = (first.next(), second.next());
        if pair == (None, None) {
            return order;
        }
        order.extend(pair.0);
        order.extend(pair.1);
    }
}

/// The first connection that succeeds, or the first error if none does.
async fn first_to_connect(mut addresses: VecDeque<SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = FuturesUnordered::new();
    let mut first_error = None;
    loop {
        attempts.extend(addresses.pop_front().map(TcpStream::connect));
        tokio::select! {
            attempt = attempts.next() => match attempt {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => {
                    first_error.get_or_insert(error);
                }
                None => {
                    return Err(first_error.unwrap_or_else(|| io::ErrorKind::NotFound.into()));
                }
            },
            () = sleep(ATTEMPT_DELAY), if !addresses.is_empty() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_families_alternate_beginning_with_the_resolvers_first() {
        let of = |text: &str| text.parse::<SocketAddr>().unwrap();
        let found = ["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1"].map(of);
        let wanted = ["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "[::3]:1"].map(of);
        assert_eq!(alternate(found.into_iter()), wanted);
    }
}
