//! The WebRTC stack: str0m as a [`Peer`], driven by whoever polls it for the next event.

mod config;
mod crypto;
mod description;
mod relay;
mod relay_stream;
mod sockets;
mod state;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::poll_fn;
use std::hash::{BuildHasher, Hasher};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use str0m::net::Transmit;
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep_until, timeout};

use self::sockets::{DATAGRAM, Sockets};
use self::state::{State, Written};
use super::peer::{Opus, Peer, PeerError, PeerEvent, PeerSettings, PeerState, PeerStats};

/// The number of datagrams that are read from a socket before other work continues.
const BURST: usize = 32;

/// The most events that wait while nobody receives them. Beyond that, datagrams stay in the sockets' own
/// buffers, and those that do not fit there are lost, as on the network.
const MAX_EVENTS: usize = 4096;

/// A [`Peer`] made of str0m. It has no task of its own: it makes progress while
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
}

impl StackPeer {
    /// Opens the sockets of a peer and gathers its candidates. Must be called within a tokio runtime.
    pub async fn new(settings: &PeerSettings) -> Result<Self, PeerError> {
        let (servers, patience) = (&settings.ice_servers, settings.ice_server_timeout);
        let sockets = Sockets::open(&settings.local, servers, &settings.tls, patience).await?;
        let now = Instant::now();
        Ok(Self {
            state: Mutex::new(State::new(settings, &sockets.candidates(), now)),
            sockets,
            reader: tokio::sync::Mutex::new(Reader {
                buffer: Box::new([0; DATAGRAM]),
                timer: Box::pin(sleep_until(now.into())),
            }),
            earlier_deadline: Notify::new(),
            room: Notify::new(),
        })
    }

    /// The URLs of STUN and TURN servers that did not answer.
    pub fn silent_servers(&self) -> &[String] {
        self.sockets.silent_servers()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self) -> impl FnMut(&Transmit) {
        |transmit| {
            self.sockets
                .send(transmit.source, transmit.destination, &transmit.contents);
        }
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
            }
            () = reader.timer.as_mut() => {
                let now = Instant::now();
                self.sockets.tick(now);
                let mut state = self.state();
                if state.deadline <= now {
                    state.tick(now, self.send());
                }
                drop(state);
                reader.timer.as_mut().reset(self.due().into());
            }
            () = self.earlier_deadline.notified() => {}
        }
        self.room.notify_waiters();
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

    async fn send_event(&self, text: &str) -> Result<(), PeerError> {
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            room.as_mut().enable();
            match self.act(|state, now| state.write_text(text, now, self.send()))? {
                Written::Yes => return Ok(()),
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
