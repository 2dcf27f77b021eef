//! The WebRTC stack: webrtc-rs' sans-IO core (`rtc`) as a [`Peer`], driven by whoever polls it for the next
//! event.

mod admission;
mod candidate;
mod config;
mod description;
mod following;
mod inbound;
mod nomination;
mod relay;
mod relay_stream;
mod repeating;
mod sockets;
mod state;
mod voice;

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::poll_fn;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{Sleep, sleep_until, timeout};
use tracing::{debug, info};

use self::sockets::{DATAGRAM, LocalAddress, Sockets};
use self::state::{State, Written};
use super::peer::{Opus, Peer, PeerError, PeerEvent, PeerSettings, PeerState, PeerStats};
use crate::audio::passthrough::PacketLimits;

/// The number of datagrams that are read from a socket before other work continues.
const BURST: usize = 32;

/// How often it is looked whether this machine's address has changed, while nothing is heard from the far
/// side.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The most events that wait while nobody receives them. Beyond that, datagrams stay in the sockets' own
/// buffers, and those that do not fit there are lost, as on the network.
const MAX_EVENTS: usize = 4096;

/// A [`Peer`] made of `rtc`. It has no task of its own: it makes progress while
/// [`receive`](Peer::receive) or [`tend`](Peer::tend) is polled.
pub struct StackPeer {
    state: Mutex<State>,
    sockets: Sockets,
    reader: tokio::sync::Mutex<Reader>,
    /// Notified when the deadline has become earlier than the reader's timer.
    earlier_deadline: Notify,
    /// Notified when the data channel may have room again.
    room: Notify,
}

/// The state of whoever polls `receive` or `tend`.
struct Reader {
    buffer: Box<[u8; DATAGRAM]>,
    /// The timer, never later than the deadline. It may fire too early: to move it with each packet would
    /// cost more.
    timer: Pin<Box<Sleep>>,
    /// When the address is looked at next.
    watch_at: Instant,
    /// The sockets know the way to the far side, of a path that stands.
    is_way_noted: bool,
}

impl StackPeer {
    /// Opens the sockets of a peer and gathers its candidates. Must be called within a tokio runtime.
    pub async fn new(settings: &PeerSettings) -> Result<Self, PeerError> {
        let (servers, patience) = (&settings.ice_servers, settings.ice_server_timeout);
        let sockets = Sockets::open(
            &settings.local,
            settings.is_bound,
            servers,
            &settings.tls,
            patience,
        )
        .await?;
        let now = Instant::now();
        Ok(Self {
            state: Mutex::new(State::new(settings, &sockets.candidates(), now)?),
            sockets,
            reader: tokio::sync::Mutex::new(Reader {
                buffer: Box::new([0; DATAGRAM]),
                timer: Box::pin(sleep_until(now.into())),
                watch_at: now + WATCH_INTERVAL,
                is_way_noted: false,
            }),
            earlier_deadline: Notify::new(),
            room: Notify::new(),
        })
    }

    /// The URLs of STUN and TURN servers that did not answer.
    pub fn silent_servers(&self) -> &[String] {
        self.sockets.silent_servers()
    }

    /// Lets the call go on from another address of this machine: what is done by itself when the one that it
    /// uses is gone. Nothing happens before it is connected.
    pub fn move_to(&self, address: IpAddr) {
        let path = self.state().path();
        if let Some((local, _)) = path {
            self.move_path(local, address);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self) -> impl FnMut(SocketAddr, SocketAddr, &[u8]) {
        |from, to, datagram| self.sockets.send(from, to, datagram)
    }

    /// The next deadline.
    fn due(&self) -> Instant {
        let due = self.state().deadline;
        self.sockets.due().map_or(due, |relays| due.min(relays))
    }

    /// Runs `act` on the state and wakes the reader if that brings the deadline forward.
    fn act<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.state();
        let before = state.deadline;
        let done = act(&mut state, Instant::now());
        if state.deadline < before {
            self.earlier_deadline.notify_one();
        }
        done
    }

    /// Waits for datagrams or the deadline, and handles them.
    async fn turn(&self, reader: &mut Reader, reads: bool) {
        let due = self.due().into();
        if due < reader.timer.deadline() {
            reader.timer.as_mut().reset(due);
        }
        tokio::select! {
            biased;
            () = poll_fn(|context| self.sockets.poll_readable(context)), if reads => {
                let mut state = self.state();
                let now = Instant::now();
                self.sockets.read(&mut reader.buffer[..], BURST, |datagram, source, local| {
                    state.handle(datagram, source, local, now, self.send());
                });
                let lost = state.path().and_then(|(local, _)| self.sockets.lost_relay(local));
                if let Some(cause) = lost {
                    state.lose_relay(cause);
                }
            }
            () = reader.timer.as_mut() => {
                let now = Instant::now();
                self.sockets.tick(now);
                let mut state = self.state();
                if state.deadline <= now {
                    state.tick(now, self.send());
                }
                let path = state.silent_path(now, WATCH_INTERVAL);
                let standing = state.path().filter(|_| !reader.is_way_noted);
                drop(state);
                if let Some((_, remote)) = standing {
                    reader.is_way_noted = true;
                    self.sockets.note_way(remote);
                }
                if let Some((local, remote)) = path.filter(|_| reader.watch_at <= now) {
                    reader.watch_at = now + WATCH_INTERVAL;
                    self.follow_address(local, remote);
                }
                reader.timer.as_mut().reset(self.due().into());
            }
            () = self.earlier_deadline.notified() => {}
        }
        self.room.notify_waiters();
    }

    /// Looks whether the address of a path is this machine's address still, and moves the path if not.
    fn follow_address(&self, local: SocketAddr, remote: SocketAddr) {
        match self.sockets.check(local, remote) {
            LocalAddress::Same => {}
            LocalAddress::Moved(to) => self.move_path(local, to),
            LocalAddress::Gone => self.act(|state, _| state.lose_address()),
        }
    }

    /// Lets the path that begins at `local` begin at another address of this machine.
    fn move_path(&self, local: SocketAddr, to: IpAddr) {
        match self.sockets.replace(local, to) {
            Ok(()) => {
                info!(from = %local.ip(), %to, "this machine's address has changed: the call moves");
                self.act(|state, now| state.move_path(local, now, self.send()));
            }
            // It may have changed once more: it is looked at again.
            Err(error) => debug!(%error, %to, "no socket at the new address"),
        }
    }

    fn end(&self) {
        self.act(|state, now| {
            if !state.is_closed() {
                state.close(now, self.send());
                self.sockets.release(now);
            }
        });
    }

    /// Closes the data channel when the far side has acknowledged all messages, and waits until it is
    /// closed.
    async fn close_gracefully(&self) {
        let mut reader = self.reader.lock().await;
        while self.state().unacknowledged() > 0 && self.state().is_open() {
            self.turn(&mut reader, true).await;
            self.state().events.clear();
        }
        self.act(|state, now| state.close_channel(now, self.send()));
        while self.state().is_open() {
            self.turn(&mut reader, true).await;
            self.state().events.clear();
        }
    }
}

impl Peer for StackPeer {
    async fn offer(&self) -> Result<String, PeerError> {
        self.state().offer()
    }

    async fn accept(&self, answer: &str) -> Result<(), PeerError> {
        self.act(|state, now| state.accept(answer, now, self.send()))
    }

    async fn answer(&self, offer: &str) -> Result<String, PeerError> {
        self.act(|state, now| state.answer(offer, now, self.send()))
    }

    async fn send_events(&self, texts: &mut VecDeque<String>) -> Result<(), PeerError> {
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            room.as_mut().enable();
            match self.act(|state, now| state.write_texts(texts, now, self.send()))? {
                Written::All => return Ok(()),
                Written::Full => room.await,
            }
        }
    }

    fn send_opus(&self, packet: Opus) -> Result<(), PeerError> {
        self.act(|state, now| state.write_opus(&packet, now, self.send()))
    }

    async fn receive(&self) -> PeerEvent {
        let mut reader = self.reader.lock().await;
        loop {
            {
                let mut state = self.state();
                if let Some(event) = state.events.pop_front() {
                    return event;
                }
                if state.has_ended() {
                    return PeerEvent::Changed(PeerState::Closed);
                }
            }
            self.turn(&mut reader, true).await;
        }
    }

    async fn tend(&self) {
        let mut reader = self.reader.lock().await;
        loop {
            let reads = self.state().events.len() < MAX_EVENTS;
            self.turn(&mut reader, reads).await;
        }
    }

    fn max_message(&self) -> usize {
        self.state().max_message()
    }

    fn packet_limits(&self) -> PacketLimits {
        self.state().packet_limits()
    }

    fn stats(&self) -> PeerStats {
        self.state().stats()
    }

    async fn close(&self, patience: Duration) {
        if self.state().is_open() {
            let _ = timeout(patience, self.close_gracefully()).await;
        }
        self.end();
    }
}

impl Drop for StackPeer {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for StackPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackPeer")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// A random number, not for cryptography.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
