//! A conversation that is shared between its user and a driver: one mutex, one order.

mod connection;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::conversation::{
    Conversation, Event, Interest, Options, Output, Rejected, Sequenced, Status,
};

use super::clock::Clock;
use super::sound::{SoundStats, UplinkFrame};

pub use connection::{Connection, ConnectionSettings, SoundSettings};

/// Where events go. Called under the session's lock: it must neither block nor run users' code.
pub trait EventSink: Send + Sync + 'static {
    fn push(&self, sequence: u64, event: Event);
    /// All that was caused by one act has been pushed.
    fn pushed(&self);
    /// What was waiting to be sent has fallen below the mark that senders wait for.
    fn drained(&self);
    /// Whether, since the last time this was asked, more has been pushed than may wait, all of it
    /// such that nothing may be dropped. The connection is given up then, so that memory is bounded
    /// however long nobody reads.
    fn take_overflow(&self) -> bool {
        false
    }
    /// An empty buffer for sound, which was used before where there is such a one.
    fn spare_buffer(&self) -> Vec<u8> {
        Vec::new()
    }
    /// A connection that nobody drives here (see [`Session::connecting`]) has something to send.
    fn outgoing_ready(&self);
}

/// Bounds on what may wait to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutgoingLimits {
    /// Senders that wait are held while more bytes than this are queued: 256 KiB.
    pub high_water: usize,
    /// Past this, the oldest audio is dropped, and where that does not help the connection fails by
    /// name: 4 MiB.
    pub max_bytes: usize,
}

impl Default for OutgoingLimits {
    fn default() -> Self {
        Self {
            high_water: 256 * 1024,
            max_bytes: 4 * 1024 * 1024,
        }
    }
}

/// What has passed over the wire of the newest connection, for tests that wait until nothing moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    pub frames_read: u64,
    pub messages_queued: u64,
    pub messages_flushed: u64,
    pub audio_dropped: u64,
}

#[derive(Debug, Default)]
struct Counters {
    frames_read: AtomicU64,
    messages_queued: AtomicU64,
    messages_flushed: AtomicU64,
    audio_dropped: AtomicU64,
}

struct State {
    conversation: Conversation,
    /// The connection that messages go to.
    connection: Option<Arc<Connection>>,
    /// The connection that has got messages in this act.
    unsent: Option<Arc<Connection>>,
    /// Of the newest connection, whether it still stands or not.
    counters: Arc<Counters>,
}

/// A conversation with its clock, its order, and its current connection.
pub struct Session {
    state: Mutex<State>,
    interest: AtomicU32,
    clock: Clock,
    runtime: Handle,
    sink: Arc<dyn EventSink>,
    held: watch::Sender<bool>,
    limits: OutgoingLimits,
    timer_armed: AtomicBool,
    myself: Weak<Self>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("traffic", &self.traffic())
            .finish_non_exhaustive()
    }
}

impl Session {
    pub fn new(
        options: Options,
        limits: OutgoingLimits,
        clock: Clock,
        runtime: Handle,
        sink: Arc<dyn EventSink>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|myself| Self {
            state: Mutex::new(State {
                conversation: Conversation::new(options),
                connection: None,
                unsent: None,
                counters: Arc::default(),
            }),
            interest: AtomicU32::new(0),
            clock,
            runtime,
            sink,
            held: watch::Sender::new(false),
            limits,
            timer_armed: AtomicBool::new(false),
            myself: Weak::clone(myself),
        })
    }

    /// What the session's timers run on, and what is to run its connections.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug; the conversation goes on with what it has.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the conversation as one transaction: what comes of it is ordered and sent
    /// on its way before anything else happens.
    pub fn act<T>(&self, act: impl FnOnce(&mut Conversation, Duration) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state.conversation, self.clock.now());
        let connection = self.deliver(&mut state);
        drop(state);
        announce(connection);
        result
    }

    /// Looks at the conversation without changing it.
    pub fn look<T>(&self, look: impl FnOnce(&Conversation) -> T) -> T {
        look(&self.lock().conversation)
    }

    /// Brings what came of an act on its way. The connection that has got something to send is told of it
    /// when the lock is let go, for it may write at once.
    #[must_use]
    fn deliver(&self, state: &mut State) -> Option<Arc<Connection>> {
        let mut events = self.pass_on(state);
        if events && self.sink.take_overflow() {
            Self::end_unread(state);
            events |= self.pass_on(state);
        }
        if events {
            self.sink.pushed();
        }
        if state.conversation.poll_timeout().is_some() {
            self.arm_timer();
        }
        state.unsent.take()
    }

    fn end_unread(state: &mut State) {
        let connection_id = state.conversation.connection_id();
        if let Some(connection) = state.connection.take() {
            connection.abandon();
        }
        let why = "events were not read and the bound on those that wait was reached \
                   (max_queued_events)";
        state.conversation.ended(connection_id, why.to_owned());
    }

    /// Ends the connection, for nobody reads what the session says.
    pub fn give_up_unread(&self) {
        let mut state = self.lock();
        Self::end_unread(&mut state);
        let unsent = self.deliver(&mut state);
        drop(state);
        announce(unsent);
    }

    /// Brings what came of an act to where it goes; whether any of it was an event.
    fn pass_on(&self, state: &mut State) -> bool {
        let mut events = false;
        while let Some(Sequenced { sequence, output }) = state.conversation.poll_output() {
            match output {
                Output::Event(event) => {
                    events = true;
                    self.sink.push(sequence, event);
                }
                Output::Message { text, droppable } => {
                    let Some(connection) = &state.connection else {
                        continue;
                    };
                    match connection.send(text, droppable) {
                        Ok(()) => {
                            state.unsent.get_or_insert_with(|| Arc::clone(connection));
                        }
                        Err(why) => {
                            let connection_id = state.conversation.connection_id();
                            connection.abandon();
                            state.connection = None;
                            state.conversation.ended(connection_id, why);
                        }
                    }
                }
                Output::Close { code, reason } => {
                    if let Some(connection) = state.connection.take() {
                        connection.close(code, reason);
                    }
                }
            }
        }
        events
    }

    /// One timer for each session at the most, and none where nothing is awaited.
    fn arm_timer(&self) {
        if matches!(self.clock, Clock::Virtual(_)) || self.timer_armed.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let session = Weak::clone(&self.myself);
        self.runtime.spawn(async move {
            loop {
                let wait = {
                    let Some(session) = session.upgrade() else {
                        return;
                    };
                    let deadline = session.look(Conversation::poll_timeout);
                    let Some(deadline) = deadline else {
                        session.timer_armed.store(false, Ordering::Release);
                        // Something may have become due between the look and the store.
                        if session.look(Conversation::poll_timeout).is_some() {
                            session.arm_timer();
                        }
                        return;
                    };
                    let now = session.clock.now();
                    if deadline <= now {
                        session.act(Conversation::handle_timeout);
                        continue;
                    }
                    deadline.saturating_sub(now)
                };
                tokio::time::sleep(wait).await;
            }
        });
    }

    /// Says which events are wanted.
    pub fn set_interest(&self, interest: Interest) {
        self.interest.store(interest.0, Ordering::Release);
        self.lock().conversation.set_interest(interest);
    }

    pub fn interest(&self) -> Interest {
        Interest(self.interest.load(Ordering::Acquire))
    }

    /// Begins a connection: the connection that a driver is to run.
    pub fn connecting(&self, settings: ConnectionSettings) -> Result<Arc<Connection>, Rejected> {
        let mut state = self.lock();
        let connection_id = state.conversation.connecting(settings.capabilities)?;
        let (session, held) = (Weak::clone(&self.myself), self.held.subscribe());
        let connection = Arc::new(Connection::new(
            session,
            connection_id,
            settings,
            held,
            self.limits,
        ));
        state.counters = Arc::clone(&connection.counters);
        state.connection = Some(Arc::clone(&connection));
        let unsent = self.deliver(&mut state);
        drop(state);
        announce(unsent);
        Ok(connection)
    }

    /// The connection of `connection_id` could not be made, or is over.
    pub fn ended(&self, connection_id: u64, reason: String) {
        let mut state = self.lock();
        state.conversation.ended(connection_id, reason);
        if state
            .connection
            .as_ref()
            .is_some_and(|connection| connection.connection_id == connection_id)
        {
            state.connection = None;
        }
        let unsent = self.deliver(&mut state);
        drop(state);
        announce(unsent);
    }

    pub fn status(&self) -> Status {
        self.look(Conversation::status)
    }

    /// How many bytes wait to be sent, of messages and of sound beside them.
    pub fn outgoing_bytes(&self) -> usize {
        self.lock()
            .connection
            .as_ref()
            .map_or(0, |connection| connection.bytes())
    }

    /// Sends the user's sound beside the messages, to a transport that carries it apart. With
    /// `commit` the user's turn ends behind it. Muted, it is dropped.
    pub fn send_sound(&self, samples: Vec<i16>, commit: bool) -> Result<(), Rejected> {
        let state = self.lock();
        state.conversation.connected()?;
        let Some((connection, sound)) = state
            .connection
            .as_ref()
            .and_then(|connection| Some((connection, connection.sound.as_ref()?)))
        else {
            return Err(Rejected::NotConnected);
        };
        if !state.conversation.muted() && !samples.is_empty() {
            let dropped = sound.uplink.push(UplinkFrame::Samples(samples));
            connection
                .counters
                .audio_dropped
                .fetch_add(u64::from(dropped > 0), Ordering::AcqRel);
        }
        if commit {
            sound.uplink.mark();
        }
        if connection.announced {
            self.sink.outgoing_ready();
        }
        sound.note_congestion(connection.bytes() > self.limits.high_water);
        Ok(())
    }

    /// How the sound fares of a connection that carries it apart.
    pub fn sound_stats(&self) -> Option<SoundStats> {
        let connection = self.lock().connection.clone()?;
        let sound = connection.sound.as_ref()?;
        let stats = sound.stats.lock().unwrap_or_else(PoisonError::into_inner);
        Some(*stats)
    }

    /// Drops the user's sound before it is sent, what waits of it included, or stops doing so.
    pub fn mute(&self, muted: bool) {
        let mut state = self.lock();
        state.conversation.mute(muted);
        if muted
            && let Some(connection) = &state.connection
            && let Some(sound) = &connection.sound
        {
            sound.uplink.clear();
        }
    }

    /// Whether a sender should wait before it sends more.
    pub fn is_congested(&self) -> bool {
        self.outgoing_bytes() > self.limits.high_water
    }

    /// Holds or releases the reader: held, frames stay on the wire.
    pub fn hold_reader(&self, hold: bool) {
        self.held.send_replace(hold);
    }

    /// Moves a virtual clock.
    pub fn advance_clock(&self, by: Duration) {
        self.clock.advance(by);
        self.act(Conversation::handle_timeout);
    }

    pub fn traffic(&self) -> Traffic {
        let counters = Arc::clone(&self.lock().counters);
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        Traffic {
            frames_read: read(&counters.frames_read),
            messages_queued: read(&counters.messages_queued),
            messages_flushed: read(&counters.messages_flushed),
            audio_dropped: read(&counters.audio_dropped),
        }
    }
}

fn announce(connection: Option<Arc<Connection>>) {
    if let Some(connection) = connection {
        connection.announce();
    }
}
