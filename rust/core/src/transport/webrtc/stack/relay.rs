//! STUN and TURN servers: they report our public address, and relay datagrams that cannot be sent
//! directly.

use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BytesMut;
use rtc::sansio::Protocol;
use rtc::shared::{TransportContext, TransportMessage, TransportProtocol};
use rtc::turn::client::{Client, ClientConfig, Event};
use tokio::net::lookup_host;
use tracing::{debug, warn};

use super::candidate::Candidate;
use super::relay_stream::RelayStream;
use crate::transport::net::{ConnectError, Deadline, Proxy, Target, Tls, dial};
use crate::transport::webrtc::peer::{IceServer, PeerError};

/// The port of STUN and TURN (RFC 8489, section 18.6), and over TLS (RFC 7065, section 3.2).
const PORT: u16 = 3478;
const TLS_PORT: u16 = 5349;

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Udp,
    Tcp,
    Tls,
}

/// A server that is to be asked, as the options name it.
pub(super) struct Asked<'o> {
    url: &'o str,
    host: String,
    port: u16,
    relays: bool,
    way: Way,
    options: &'o IceServer,
}

/// Where a server was found.
pub(super) enum Found {
    /// Over UDP, at each of these addresses.
    At(Vec<SocketAddr>),
    Stream(Box<RelayStream>),
    /// It cannot be used; why not.
    Nowhere(String),
}

impl<'o> Asked<'o> {
    /// Each URL of a server.
    pub fn of(options: &'o IceServer) -> impl Iterator<Item = Result<Self, PeerError>> {
        options.urls.iter().map(move |url| {
            let (relays, way, host, port) = parse(url)?;
            Ok(Self {
                url,
                host,
                port,
                relays,
                way,
                options,
            })
        })
    }

    pub fn url(&self) -> &str {
        self.url
    }

    /// Looks up all of its addresses, or opens a stream to it. Fails only where it has no address: its name
    /// is likely to be misspelt.
    pub async fn find(&self, tls: &Tls, deadline: Deadline) -> Result<Found, PeerError> {
        let no_address = |error: &dyn std::fmt::Display| {
            let url = self.url;
            PeerError::IceServer(format!("{url} in ice_servers cannot be found ({error})"))
        };
        if self.way == Way::Udp {
            let found = lookup_host((&*self.host, self.port)).await;
            let found = found.map_err(|error| no_address(&error))?;
            return Ok(Found::At(found.collect()));
        }
        let target = Target {
            secure: self.way == Way::Tls,
            host: self.host.clone(),
            port: self.port,
            authority: String::new(),
            path: String::new(),
            userinfo: None,
        };
        match dial(&target, &Proxy::Direct, tls, deadline).await {
            Ok(stream) => Ok(Found::Stream(Box::new(RelayStream::new(stream)))),
            Err(error @ ConnectError::Dns { .. }) => Err(no_address(&error)),
            Err(error) => Ok(Found::Nowhere(error.to_string())),
        }
    }
}

/// Whether a server relays, how it is reached, and its host and port.
fn parse(url: &str) -> Result<(bool, Way, String, u16), PeerError> {
    let refused = |what: &str| {
        PeerError::IceServer(format!(
            "{url} in ice_servers {what}: give \"stun:host:port\" or \"turn:host:port\", which are \
             asked over UDP, \"turn:host:port?transport=tcp\", or \"turns:host:port\" for TLS"
        ))
    };
    let no_url = || refused("is not the URL of a STUN or TURN server");
    let (scheme, rest) = url.split_once(':').ok_or_else(no_url)?;
    let (host, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (relays, way) = match (scheme, query) {
        ("stun", "" | "transport=udp") => (false, Way::Udp),
        ("turn", "" | "transport=udp") => (true, Way::Udp),
        ("turn", "transport=tcp") => (true, Way::Tcp),
        ("turns", "" | "transport=tcp") => (true, Way::Tls),
        // The address that a server sees of a TCP stream is of no use for UDP.
        ("stun" | "stuns", _) => {
            return Err(refused(
                "cannot be asked over a stream: only TURN servers are",
            ));
        }
        ("turn" | "turns", _) => return Err(refused("requires another transport")),
        _ => return Err(no_url()),
    };
    let usual = if way == Way::Tls { TLS_PORT } else { PORT };
    let (host, port) = match host.rsplit_once(':') {
        Some((before, port)) if !before.contains(':') || before.ends_with(']') => {
            let port = port.parse().map_err(|_| refused("has no valid port"))?;
            (before, port)
        }
        _ => (host, usual),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(refused("names no host"));
    }
    Ok((relays, way, host.to_owned(), port))
}

/// The requests of one socket, or over one stream, at one server, and their results.
pub(super) struct Relay {
    client: Client,
    url: String,
    server: SocketAddr,
    local: SocketAddr,
    /// In place of the socket at `local`.
    stream: Option<Box<RelayStream>>,
    /// The address at which the server relays datagrams to us.
    relayed: Option<SocketAddr>,
    /// The relayed address that there was, and why it is gone.
    gone: Option<(SocketAddr, String)>,
    /// Our address as the server sees it.
    reflexive: Option<SocketAddr>,
    /// The number of responses that are outstanding.
    awaited: usize,
    is_silent: bool,
}

impl Relay {
    /// Sends the requests to a server at `server` from the socket at `local`.
    pub fn from_socket(
        asked: &Asked<'_>,
        server: SocketAddr,
        local: SocketAddr,
        now: Instant,
    ) -> Result<Self, PeerError> {
        Self::new(asked, server, local, None, now)
    }

    /// Sends the requests over a stream.
    pub fn over_stream(
        asked: &Asked<'_>,
        stream: Box<RelayStream>,
        now: Instant,
    ) -> Result<Self, PeerError> {
        let addresses = stream.addresses();
        let (local, server) = addresses.map_err(|error| PeerError::Local(error.to_string()))?;
        Self::new(asked, server, local, Some(stream), now)
    }

    fn new(
        asked: &Asked<'_>,
        server: SocketAddr,
        local: SocketAddr,
        stream: Option<Box<RelayStream>>,
        now: Instant,
    ) -> Result<Self, PeerError> {
        let failed = |error: &dyn std::fmt::Display| PeerError::IceServer(error.to_string());
        let crypto = rtc::crypto::default_provider().map_err(|error| failed(&error))?;
        let address = server.to_string();
        let config = ClientConfig {
            stun_serv_addr: address.clone(),
            turn_serv_addr: if asked.relays { address } else { String::new() },
            local_addr: local,
            transport_protocol: protocol(stream.as_deref()),
            username: asked.options.username.clone(),
            password: asked.options.credential.clone(),
            realm: String::new(),
            software: String::new(),
            rto_in_ms: 0,
            allocation_refresh_interval_cap: None,
        };
        let mut client = Client::new(config, crypto).map_err(|error| failed(&error))?;
        if stream.is_none() {
            client
                .send_binding_request(now)
                .map_err(|error| failed(&error))?;
        }
        if asked.relays {
            client.allocate(now).map_err(|error| failed(&error))?;
        }
        Ok(Self {
            client,
            url: asked.url.to_owned(),
            server,
            local,
            awaited: usize::from(stream.is_none()) + usize::from(asked.relays),
            stream,
            relayed: None,
            gone: None,
            reflexive: None,
            is_silent: true,
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether nothing has come from the server.
    pub fn is_silent(&self) -> bool {
        self.is_silent
    }

    pub fn is_settled(&self) -> bool {
        self.awaited == 0
    }

    /// The candidates so far.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate> {
        let seen = self.reflexive.filter(|seen| *seen != self.local);
        let base = self.local;
        let seen = seen.map(|at| Candidate::Reflexive { at, base });
        let relayed = self.relayed.map(|at| Candidate::Relayed { at, base });
        seen.into_iter().chain(relayed)
    }

    /// Whether a datagram from `source` to `local` is from the server.
    pub fn is_from(&self, source: SocketAddr, local: SocketAddr) -> bool {
        self.stream.is_none() && source == self.server && local == self.local
    }

    /// The local address of the socket, or stream, to the server.
    pub fn base(&self) -> SocketAddr {
        self.local
    }

    /// Whether `address` is the relayed address.
    pub fn is_at(&self, address: SocketAddr) -> bool {
        self.relayed == Some(address)
    }

    /// Why `address` is the relayed address no more, if it was.
    pub fn gone(&self, address: SocketAddr) -> Option<&str> {
        let (gone, why) = self.gone.as_ref()?;
        (*gone == address).then_some(why)
    }

    /// Handles a datagram from the server. Relayed payloads are appended to `take`, each with its source
    /// and the relayed address.
    pub fn handle(
        &mut self,
        datagram: &[u8],
        now: Instant,
        take: &mut Vec<(BytesMut, SocketAddr, SocketAddr)>,
    ) {
        self.is_silent = false;
        let message = TransportMessage {
            now,
            transport: TransportContext {
                local_addr: self.local,
                peer_addr: self.server,
                transport_protocol: protocol(self.stream.as_deref()),
                ecn: None,
            },
            message: BytesMut::from(datagram),
        };
        if let Err(error) = self.client.handle_read(message) {
            debug!(%error, "a relay's datagram is not understood");
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::BindingResponse(_, address) => {
                    self.reflexive = Some(address);
                    self.awaited = self.awaited.saturating_sub(1);
                }
                Event::AllocateResponse(_, address) => {
                    self.relayed = Some(address);
                    self.awaited = self.awaited.saturating_sub(1);
                }
                Event::BindingError(_, error) | Event::AllocateError(_, error) => {
                    debug!(%error, server = %self.server, "a STUN or TURN server refuses");
                    self.awaited = self.awaited.saturating_sub(1);
                }
                Event::DataIndicationOrChannelData(_, from, data) => {
                    if let Some(relayed) = self.relayed {
                        take.push((data, from, relayed));
                    }
                }
                _ => {}
            }
        }
    }

    /// Sends a datagram through the server. The first one to an address only requests a permission and is
    /// lost, which is harmless: ICE repeats its checks.
    pub fn send(&mut self, datagram: &[u8], to: SocketAddr, now: Instant) {
        let Some(mut relay) = self.relayed.and_then(|at| self.client.relay(at).ok()) else {
            return;
        };
        if relay.send_to(now, datagram, to).is_err() {
            let _ = relay.create_permission(now, to);
        }
    }

    /// Sends the pending messages to the server: over its stream, or as datagrams by `send`.
    pub fn outgoing(&mut self, mut send: impl FnMut(SocketAddr, SocketAddr, &[u8])) {
        while let Some(transmit) = self.client.poll_write() {
            match &mut self.stream {
                Some(stream) => stream.send(&transmit.message),
                None => send(self.local, self.server, &transmit.message),
            }
        }
    }

    /// Ready when [`read_stream`](Self::read_stream) has something to do.
    pub fn poll_stream(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.stream
            .as_mut()
            .map_or(Poll::Pending, |stream| stream.poll(context))
    }

    /// Handles what has come over the stream, as [`handle`](Self::handle) does.
    pub fn read_stream(
        &mut self,
        now: Instant,
        take: &mut Vec<(BytesMut, SocketAddr, SocketAddr)>,
    ) {
        while let Some(message) = self.stream.as_mut().and_then(|it| it.take_message()) {
            self.handle(&message, now, take);
        }
        let ended = self.stream.as_ref().and_then(|it| it.ended());
        if let Some(why) = ended.filter(|_| self.relayed.is_some() || self.awaited > 0) {
            warn!(
                url = self.url,
                "the stream to a TURN server has ended: {why}"
            );
            let cause = format!(
                "the stream to the TURN server {}, which relayed the call, has ended: {why}",
                self.url
            );
            self.gone = self.relayed.take().map(|address| (address, cause));
            self.awaited = 0;
        }
    }

    pub fn due(&mut self) -> Option<Instant> {
        self.client.poll_timeout()
    }

    pub fn tick(&mut self, now: Instant) {
        let _ = self.client.handle_timeout(now);
    }

    /// Releases our allocation at the server.
    pub fn release(&mut self, now: Instant) {
        if let Some(mut relay) = self.relayed.and_then(|at| self.client.relay(at).ok()) {
            let _ = relay.close(now);
        }
    }
}

fn protocol(stream: Option<&RelayStream>) -> TransportProtocol {
    if stream.is_some() {
        TransportProtocol::TCP
    } else {
        TransportProtocol::UDP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_how_a_server_is_reached() {
        for (url, relays, way, host, port) in [
            (
                "stun:stun.example.org",
                false,
                Way::Udp,
                "stun.example.org",
                3478,
            ),
            (
                "turn:192.0.2.1:99?transport=udp",
                true,
                Way::Udp,
                "192.0.2.1",
                99,
            ),
            ("turn:[2001:db8::1]:99", true, Way::Udp, "2001:db8::1", 99),
            ("turn:[2001:db8::1]", true, Way::Udp, "2001:db8::1", 3478),
            ("turn:x?transport=tcp", true, Way::Tcp, "x", 3478),
            ("turns:x", true, Way::Tls, "x", 5349),
            ("turns:x:443?transport=tcp", true, Way::Tls, "x", 443),
        ] {
            assert_eq!(
                parse(url).unwrap(),
                (relays, way, host.to_owned(), port),
                "{url}"
            );
        }
        for url in [
            "turns:x?transport=udp",
            "turn:x?transport=sctp",
            "stun:x?transport=tcp",
            "stuns:x",
            "http://x",
            "turn:",
            "turn:x:port",
            "x",
        ] {
            let PeerError::IceServer(text) = parse(url).unwrap_err() else {
                panic!("{url}");
            };
            assert!(text.contains("ice_servers"), "{text}");
        }
    }
}
