//! STUN and TURN servers: they report our public address, and relay datagrams that cannot be sent
//! directly.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use rtc_turn::client::{Client, ClientConfig, Event};
use sansio::Protocol;
use str0m::Candidate;
use tokio::net::lookup_host;
use tracing::debug;

use crate::transport::webrtc::peer::{IceServer, PeerError};

/// The port of STUN and TURN (RFC 8489, section 18.6).
const PORT: u16 = 3478;

/// A server that is to be asked, as the options name it.
pub(super) struct Asked<'o> {
    url: &'o str,
    host: String,
    relays: bool,
    options: &'o IceServer,
}

impl<'o> Asked<'o> {
    /// Each URL of a server.
    pub fn of(options: &'o IceServer) -> impl Iterator<Item = Result<Self, PeerError>> {
        options.urls.iter().map(move |url| {
            let (relays, host) = parse(url)?;
            Ok(Self {
                url,
                host,
                relays,
                options,
            })
        })
    }

    pub fn url(&self) -> &str {
        self.url
    }

    /// Looks up all of its addresses.
    pub async fn find(&self) -> Result<Vec<Server<'_>>, PeerError> {
        let found = lookup_host(&self.host).await.map_err(|error| {
            let url = self.url;
            PeerError::IceServer(format!("{url} in ice_servers cannot be found ({error})"))
        })?;
        let asked = self;
        Ok(found.map(|address| Server { address, asked }).collect())
    }
}

/// An address of a server.
pub(super) struct Server<'a> {
    address: SocketAddr,
    asked: &'a Asked<'a>,
}

impl Server<'_> {
    pub fn is_reached_from(&self, local: SocketAddr) -> bool {
        self.address.is_ipv4() == local.is_ipv4()
    }
}

/// Whether a server relays, and its host and port.
fn parse(url: &str) -> Result<(bool, String), PeerError> {
    let refused = |what: &str| {
        PeerError::IceServer(format!(
            "{url} in ice_servers {what}: give \"stun:host:port\" or \"turn:host:port\", which are \
             asked over UDP"
        ))
    };
    let (scheme, rest) = url
        .split_once(':')
        .ok_or_else(|| refused("is not the URL of a STUN or TURN server"))?;
    let relays = match scheme {
        "stun" => false,
        "turn" => true,
        "stuns" | "turns" => return Err(refused("requires TLS")),
        _ => return Err(refused("is not the URL of a STUN or TURN server")),
    };
    let (host, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !query.is_empty() && query != "transport=udp" {
        return Err(refused("requires another transport"));
    }
    if host.is_empty() {
        return Err(refused("names no host"));
    }
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(before, port)| !before.contains(':') && port.parse::<u16>().is_ok())
        || host.contains("]:");
    let host = if has_port {
        host.to_owned()
    } else {
        format!("{host}:{PORT}")
    };
    Ok((relays, host))
}

/// The requests of one socket at one server, and their results.
pub(super) struct Relay {
    client: Client,
    url: String,
    server: SocketAddr,
    pub local: SocketAddr,
    /// The address at which the server relays datagrams to us.
    relayed: Option<SocketAddr>,
    /// Our address as the server sees it.
    reflexive: Option<SocketAddr>,
    /// The number of responses that are outstanding.
    awaited: usize,
    is_silent: bool,
}

impl Relay {
    /// Sends the requests to `server` from the socket at `local`.
    pub fn new(server: &Server<'_>, local: SocketAddr, now: Instant) -> Result<Self, PeerError> {
        let failed = |error: &dyn std::fmt::Display| PeerError::IceServer(error.to_string());
        let crypto = rtc_crypto::default_provider().map_err(|error| failed(&error))?;
        let (address, asked) = (server.address.to_string(), server.asked);
        let config = ClientConfig {
            stun_serv_addr: address.clone(),
            turn_serv_addr: if asked.relays { address } else { String::new() },
            local_addr: local,
            transport_protocol: TransportProtocol::UDP,
            username: asked.options.username.clone(),
            password: asked.options.credential.clone(),
            realm: String::new(),
            software: String::new(),
            rto_in_ms: 0,
            allocation_refresh_interval_cap: None,
        };
        let mut client = Client::new(config, crypto).map_err(|error| failed(&error))?;
        client
            .send_binding_request(now)
            .map_err(|error| failed(&error))?;
        if asked.relays {
            client.allocate(now).map_err(|error| failed(&error))?;
        }
        Ok(Self {
            client,
            url: asked.url.to_owned(),
            server: server.address,
            local,
            relayed: None,
            reflexive: None,
            awaited: 1 + usize::from(asked.relays),
            is_silent: true,
        })
    }

    pub fn url(&self) -> String {
        self.url.clone()
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
        let seen = seen.and_then(|at| Candidate::server_reflexive(at, self.local, "udp").ok());
        let relayed = self.relayed;
        let relayed = relayed.and_then(|at| Candidate::relayed(at, self.local, "udp").ok());
        seen.into_iter().chain(relayed)
    }

    /// Whether a datagram from `source` to `local` is from the server.
    pub fn is_from(&self, source: SocketAddr, local: SocketAddr) -> bool {
        source == self.server && local == self.local
    }

    /// Whether `address` is the relayed address.
    pub fn is_at(&self, address: SocketAddr) -> bool {
        self.relayed == Some(address)
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
                transport_protocol: TransportProtocol::UDP,
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

    /// Sends the pending datagrams to the server.
    pub fn outgoing(&mut self, mut send: impl FnMut(SocketAddr, SocketAddr, &[u8])) {
        while let Some(transmit) = self.client.poll_write() {
            send(self.local, self.server, &transmit.message);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_those_of_servers_that_are_asked_over_udp() {
        let host = |url: &str| parse(url).unwrap();
        assert_eq!(
            host("stun:stun.example.org"),
            (false, "stun.example.org:3478".to_owned())
        );
        assert_eq!(
            host("turn:192.0.2.1:99?transport=udp"),
            (true, "192.0.2.1:99".to_owned())
        );
        assert_eq!(
            host("turn:[2001:db8::1]:99"),
            (true, "[2001:db8::1]:99".to_owned())
        );
        assert_eq!(
            host("turn:[2001:db8::1]"),
            (true, "[2001:db8::1]:3478".to_owned())
        );
        for url in ["turns:x", "turn:x?transport=tcp", "http://x", "turn:", "x"] {
            let PeerError::IceServer(text) = parse(url).unwrap_err() else {
                panic!("{url}");
            };
            assert!(text.contains("ice_servers"), "{text}");
        }
    }
}
