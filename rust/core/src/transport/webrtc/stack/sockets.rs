//! The sockets of a call: one for each local address, and their candidates at STUN and TURN servers.

mod way;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::time::{sleep_until, timeout};
use tracing::{debug, trace, warn};

use super::candidate::Candidate;
use super::relay::{Asked, Found, Relay};
use crate::transport::net::{Deadline, Tls};
use crate::transport::webrtc::peer::{IceServer, PeerError};

pub(super) use self::way::LocalAddress;

/// The longest datagram, in bytes: more than any network carries without fragmenting it.
pub(super) const DATAGRAM: usize = 2048;

/// The socket at one local address.
struct Plain {
    /// The address of its candidate, which is another one than its own after this machine's has changed.
    address: SocketAddr,
    socket: UdpSocket,
    /// Where it is.
    ip: IpAddr,
    /// The address from which this machine reached the far side when the path stood, or was looked at first.
    way: OnceLock<IpAddr>,
}

impl Plain {
    /// Must be called within a tokio runtime.
    fn open(ip: IpAddr, address: Option<SocketAddr>) -> io::Result<Arc<Self>> {
        let socket = std::net::UdpSocket::bind((ip, 0))?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        Ok(Arc::new(Self {
            address: match address {
                Some(address) => address,
                None => socket.local_addr()?,
            },
            socket,
            ip,
            way: OnceLock::new(),
        }))
    }
}

/// The sockets of one call.
pub(super) struct Sockets {
    plain: Mutex<Arc<[Arc<Plain>]>>,
    /// The addresses that may be used; none: all.
    allowed: Vec<IpAddr>,
    relays: Mutex<Vec<Relay>>,
    has_relays: bool,
    /// Some of them are reached by a stream.
    has_streams: bool,
    silent_servers: Vec<String>,
}

impl Sockets {
    /// Opens a socket at each of these addresses and asks these servers for candidates, all at once. One
    /// that has not responded after `patience` is done without, and a warning says so.
    pub async fn open(
        addresses: &[IpAddr],
        is_bound: bool,
        servers: &[IceServer],
        tls: &Tls,
        patience: Duration,
    ) -> Result<Self, PeerError> {
        let local = |error: io::Error| PeerError::Local(error.to_string());
        let mut sockets = Vec::with_capacity(addresses.len());
        for address in addresses {
            match Plain::open(*address, None) {
                Ok(plain) => sockets.push(plain),
                // One that was found, and not named, may be gone, or not be ready yet.
                Err(error) if !is_bound && (!sockets.is_empty() || addresses.len() > 1) => {
                    debug!(%error, %address, "an address of this machine cannot be used");
                }
                Err(error) if is_bound => {
                    return Err(PeerError::Local(format!(
                        "local_addresses has {address}, which cannot be used ({error}): name an \
                         address of this machine"
                    )));
                }
                Err(error) => return Err(local(error)),
            }
        }
        if sockets.is_empty() {
            let problem = "no address of this machine can be used for the call's sound";
            return Err(PeerError::Local(problem.to_owned()));
        }
        let allowed = if is_bound {
            addresses.to_vec()
        } else {
            Vec::new()
        };
        let mut sockets = Self {
            plain: Mutex::new(sockets.into()),
            allowed,
            relays: Mutex::default(),
            has_relays: false,
            has_streams: false,
            silent_servers: Vec::new(),
        };
        if servers.is_empty() {
            return Ok(sockets);
        }
        let asked = servers.iter().flat_map(Asked::of);
        let asked = asked.collect::<Result<Vec<_>, _>>()?;
        let deadline = Deadline::after(patience);
        if let Ok(gathered) = timeout(patience, sockets.gather(&asked, tls, deadline)).await {
            gathered?;
        }
        sockets.note_silent(&asked, patience);
        Ok(sockets)
    }

    /// Looks all servers up, asks each as soon as it is found, and waits for their responses.
    async fn gather(
        &mut self,
        asked: &[Asked<'_>],
        tls: &Tls,
        deadline: Deadline,
    ) -> Result<(), PeerError> {
        let lookups = asked
            .iter()
            .map(|server| async move { (server, server.find(tls, deadline).await) });
        let mut lookups: FuturesUnordered<_> = lookups.collect();
        let mut buffer = [0; DATAGRAM];
        loop {
            self.tick(Instant::now());
            if lookups.is_empty() && self.relays().iter().all(Relay::is_settled) {
                return Ok(());
            }
            let due = tokio::time::Instant::now() + deadline.remaining();
            let due = self.due().map_or(due, |it| due.min(it.into()));
            tokio::select! {
                Some((server, found)) = lookups.next() => self.ask(server, found?)?,
                () = std::future::poll_fn(|context| self.poll_readable(context)) => {
                    self.read(&mut buffer, 1, |_, _, _| {});
                }
                () = sleep_until(due) => {}
            }
        }
    }

    /// Sends our requests to a server.
    fn ask(&mut self, server: &Asked<'_>, found: Found) -> Result<(), PeerError> {
        let now = Instant::now();
        match found {
            Found::At(addresses) => {
                let plain: Vec<_> = self.plain().iter().map(|it| it.address).collect();
                for local in plain {
                    let family = |it: &&SocketAddr| it.is_ipv4() == local.is_ipv4();
                    for address in addresses.iter().filter(family) {
                        let relay = Relay::from_socket(server, *address, local, now)?;
                        self.relays().push(relay);
                    }
                }
            }
            Found::Stream(stream) => {
                let relay = Relay::over_stream(server, stream, now)?;
                self.relays().push(relay);
                self.has_streams = true;
            }
            Found::Nowhere(why) => {
                warn!(
                    url = server.url(),
                    "a TURN server cannot be used, and the call is offered without it: {why}"
                );
                self.silent_servers.push(server.url().to_owned());
            }
        }
        let has_relays = !self.relays().is_empty();
        self.has_relays = has_relays;
        Ok(())
    }

    /// Takes note of the servers of which nothing has come.
    fn note_silent(&mut self, asked: &[Asked<'_>], patience: Duration) {
        for url in asked.iter().map(Asked::url) {
            let answers = self
                .relays()
                .iter()
                .any(|it| it.url() == url && !it.is_silent());
            if answers || self.silent_servers.iter().any(|it| it == url) {
                continue;
            }
            warn!(
                url,
                "a STUN or TURN server has not answered for {} s (ice_server_timeout): the call is \
                 offered without it",
                patience.as_secs_f64()
            );
            self.silent_servers.push(url.to_owned());
        }
    }

    /// Why the relayed address `local` is gone, if it is.
    pub fn lost_relay(&self, local: SocketAddr) -> Option<String> {
        if !self.has_streams {
            return None;
        }
        let relays = self.relays();
        let why = relays.iter().find_map(|relay| relay.gone(local));
        why.map(str::to_owned)
    }

    /// The URLs of servers that did not answer.
    pub fn silent_servers(&self) -> &[String] {
        &self.silent_servers
    }

    /// The sockets now.
    fn plain(&self) -> Arc<[Arc<Plain>]> {
        Arc::clone(&self.plain.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn relays(&self) -> MutexGuard<'_, Vec<Relay>> {
        self.relays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All candidates.
    pub fn candidates(&self) -> Vec<Candidate> {
        let plain = self.plain();
        let hosts = plain.iter().map(|it| Candidate::Host(it.address));
        let relays = self.relays();
        hosts
            .chain(relays.iter().flat_map(Relay::candidates))
            .collect()
    }

    /// Sends a datagram immediately. If the socket's buffer is full it is lost, as on the network.
    pub fn send(&self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        if let Some(plain) = self.plain().iter().find(|it| it.address == from) {
            return write(&plain.socket, to, datagram);
        }
        let mut relays = self.relays();
        if let Some(relay) = relays.iter_mut().find(|relay| relay.is_at(from)) {
            relay.send(datagram, to, Instant::now());
            relay.outgoing(|from, to, datagram| self.send_plain(from, to, datagram));
        }
    }

    fn send_plain(&self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        if let Some(plain) = self.plain().iter().find(|it| it.address == from) {
            write(&plain.socket, to, datagram);
        }
    }

    /// Ready when a socket may be readable.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut ready = Poll::Pending;
        for plain in &*self.plain() {
            if plain.socket.poll_recv_ready(context).is_ready() {
                ready = Poll::Ready(());
            }
        }
        if self.has_streams {
            for relay in self.relays().iter_mut() {
                if relay.poll_stream(context).is_ready() {
                    ready = Poll::Ready(());
                }
            }
        }
        ready
    }

    /// Reads up to `most` datagrams from each socket into `buffer`, one after the other, and passes each to
    /// `take` with its source and our address.
    pub fn read(
        &self,
        buffer: &mut [u8],
        most: usize,
        mut take: impl FnMut(&[u8], SocketAddr, SocketAddr),
    ) {
        for plain in &*self.plain() {
            let (local, socket) = (&plain.address, &plain.socket);
            for _ in 0..most {
                match socket.try_recv_from(buffer) {
                    Ok((length, source)) => {
                        let datagram = &buffer[..length];
                        match self.unwrap(datagram, source, *local) {
                            Some(passed) => {
                                for (datagram, source, local) in passed {
                                    take(&datagram, source, local);
                                }
                            }
                            None => take(datagram, source, *local),
                        }
                    }
                    // An ICMP error for an earlier datagram is reported here, once.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                    Err(_) => break,
                }
            }
        }
        if self.has_streams {
            for (datagram, source, local) in self.read_streams() {
                take(&datagram, source, local);
            }
        }
    }

    /// The payloads that have come over streams.
    fn read_streams(&self) -> Vec<(bytes::BytesMut, SocketAddr, SocketAddr)> {
        let mut passed = Vec::new();
        for relay in self.relays().iter_mut() {
            relay.read_stream(Instant::now(), &mut passed);
            relay.outgoing(|from, to, datagram| self.send_plain(from, to, datagram));
        }
        passed
    }

    /// The payloads of a datagram from a STUN or TURN server; `None` if it is from another source.
    fn unwrap(
        &self,
        datagram: &[u8],
        source: SocketAddr,
        local: SocketAddr,
    ) -> Option<Vec<(bytes::BytesMut, SocketAddr, SocketAddr)>> {
        if !self.has_relays {
            return None;
        }
        let mut relays = self.relays();
        let mut passed = None;
        // The same server may be configured twice: each relay recognizes the responses to its requests.
        for relay in relays.iter_mut().filter(|it| it.is_from(source, local)) {
            relay.handle(datagram, Instant::now(), passed.get_or_insert_default());
            relay.outgoing(|from, to, datagram| self.send_plain(from, to, datagram));
        }
        passed
    }

    /// When [`tick`](Self::tick) is to be called.
    pub fn due(&self) -> Option<Instant> {
        if !self.has_relays {
            return None;
        }
        self.relays().iter_mut().filter_map(Relay::due).min()
    }

    /// Handles the deadlines of the relays.
    pub fn tick(&self, now: Instant) {
        if !self.has_relays {
            return;
        }
        for relay in self.relays().iter_mut() {
            relay.tick(now);
            relay.outgoing(|from, to, datagram| self.send_plain(from, to, datagram));
        }
    }

    /// Releases our allocations at the servers.
    pub fn release(&self, now: Instant) {
        if !self.has_relays {
            return;
        }
        for relay in self.relays().iter_mut() {
            relay.release(now);
            relay.outgoing(|from, to, datagram| self.send_plain(from, to, datagram));
        }
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets")
            .field("candidates", &self.candidates())
            .finish_non_exhaustive()
    }
}

fn write(socket: &UdpSocket, to: SocketAddr, datagram: &[u8]) {
    // Bypasses the runtime, which does not know yet that a new socket is writable.
    if let Err(error) = SockRef::from(socket).send_to(datagram, &to.into()) {
        trace!(%error, %to, "a datagram was not sent");
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// A timeout that only a hanging test reaches.
    const PATIENCE: Duration = Duration::from_secs(20);

    const HERE: [IpAddr; 1] = [IpAddr::V4(Ipv4Addr::LOCALHOST)];

    fn server(address: SocketAddr, scheme: &str) -> IceServer {
        IceServer {
            urls: vec![format!("{scheme}:{address}")],
            username: "user".to_owned(),
            credential: "secret".to_owned(),
        }
    }

    /// Answers one binding request (RFC 8489) with an address that is not the one it came from.
    async fn answer_stun(socket: UdpSocket) {
        let mut request = [0; 512];
        let (_, source) = socket.recv_from(&mut request).await.unwrap();
        let mut response = vec![0x01, 0x01, 0, 12];
        response.extend_from_slice(&request[4..20]);
        // XOR-MAPPED-ADDRESS: 203.0.113.7:4242 (0x1092).
        response.extend_from_slice(&[0, 0x20, 0, 8, 0, 1]);
        response.extend_from_slice(&(0x1092_u16 ^ 0x2112).to_be_bytes());
        let address = u32::from(Ipv4Addr::new(203, 0, 113, 7)) ^ 0x2112_A442;
        response.extend_from_slice(&address.to_be_bytes());
        socket.send_to(&response, source).await.unwrap();
    }

    #[tokio::test]
    async fn a_stun_server_reports_our_public_address() {
        let stun = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let servers = [server(stun.local_addr().unwrap(), "stun")];
        let tls = Tls::default();
        let (sockets, ()) = tokio::join!(
            Sockets::open(&HERE, true, &servers, &tls, PATIENCE),
            answer_stun(stun)
        );
        let found: Vec<_> = sockets.unwrap().candidates();
        let addresses: Vec<_> = found.iter().map(|it| it.addr().to_string()).collect();
        assert_eq!(found.len(), 2, "{addresses:?}");
        assert!(addresses[0].starts_with("127.0.0.1:"), "{addresses:?}");
        assert_eq!(addresses[1], "203.0.113.7:4242");
    }

    #[tokio::test]
    async fn a_server_that_does_not_respond_is_ignored() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let servers = [server(silent.local_addr().unwrap(), "turn")];
        let sockets = Sockets::open(
            &HERE,
            true,
            &servers,
            &Tls::default(),
            Duration::from_millis(20),
        )
        .await
        .unwrap();
        assert_eq!(sockets.candidates().len(), 1);
    }
}
