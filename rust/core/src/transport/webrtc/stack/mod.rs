//! The stack: str0m, as a [`Peer`], carried by who asks what happens next.

mod crypto;
mod description;
mod relay;
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

/// Datagrams that are read of a socket before something else has its turn.
const BURST: usize = 32;

/// How long STUN and TURN servers may take to answer.
const SERVER_PATIENCE: Duration = Duration::from_secs(3);

/// Events that may wait while nobody takes them. What comes then stays in the sockets, and what does
/// not fit there is lost, as on the network.
const MOST_EVENTS: usize = 4096;

/// A call's end, made of str0m. It has no task: it lives while somebody is in
/// [`receive`](Peer::receive) or [`tend`](Peer::tend).
pub struct StackPeer {
    state: Mutex<State>,
    sockets: Sockets,
    reader: tokio::sync::Mutex<Reader>,
    /// Something is due sooner than the reader thinks.
    sooner: Notify,
    /// The far side has acknowledged something.
    room: Notify,
}

/// Who is in `receive`.
struct Reader {
    buffer: Box<[u8; DATAGRAM]>,
    /// When the reader looks up at the latest. It may do so too early: a timer that is put off with
    /// each packet would cost more.
    alarm: Pin<Box<Sleep>>,
}

impl StackPeer {
    /// A peer with its sockets, and its addresses found. To be called within a tokio runtime.
    pub async fn new(settings: &PeerSettings) -> Result<Self, PeerError> {
        let sockets =
            Sockets::open(&settings.local, &settings.ice_servers, SERVER_PATIENCE).await?;
        let now = Instant::now();
        Ok(Self {
            state: Mutex::new(State::new(settings, &sockets.candidates(), now)),
            sockets,
            reader: tokio::sync::Mutex::new(Reader {
                buffer: Box::new([0; DATAGRAM]),
                alarm: Box::pin(sleep_until(now.into())),
            }),
            sooner: Notify::new(),
            room: Notify::new(),
        })
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

    /// When there is something to do.
    fn due(&self) -> Instant {
        let due = self.state().deadline;
        self.sockets.due().map_or(due, |relays| due.min(relays))
    }

    /// Does something of our own accord.
    fn act<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.state();
        let before = state.deadline;
        let done = act(&mut state, Instant::now());
        if state.deadline < before {
            self.sooner.notify_one();
        }
        done
    }

    /// Waits for something to read or to do, and does it.
    async fn turn(&self, reader: &mut Reader, reads: bool) {
        let due = self.due().into();
        if due < reader.alarm.deadline() {
            reader.alarm.as_mut().reset(due);
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
            () = reader.alarm.as_mut() => {
                let now = Instant::now();
                self.sockets.tick(now);
                let mut state = self.state();
                if state.deadline <= now {
                    state.tick(now, self.send());
                }
                drop(state);
                reader.alarm.as_mut().reset(self.due().into());
            }
            () = self.sooner.notified() => {}
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

    /// Closes the data channel once all that was sent has arrived, and waits for the far side's word.
    async fn say_goodbye(&self) {
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
            let reads = self.state().events.len() < MOST_EVENTS;
            self.turn(&mut reader, reads).await;
        }
    }

    fn stats(&self) -> PeerStats {
        self.state().stats()
    }

    async fn close(&self, patience: Duration) {
        if self.state().is_open() {
            let _ = timeout(patience, self.say_goodbye()).await;
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

/// A number to tell streams apart, and no secret.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
