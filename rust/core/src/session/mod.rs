//! A conversation that is shared between its user and the drivers of its connections: one mutex, one
//! order.
//!
//! - [`Session`]: the conversation, its clock, and its current connection.
//! - [`Connection`]: a connection as its driver sees it; [`EventSink`]: where events go.
//! - [`Microphone`]: sends the user's sound; [`Stream`]: sends a long one in real time, paced by a
//!   [`Pacer`].

mod audio_stream;
mod binary_audio;
mod caller_end;
mod clock;
mod connect;
mod connection;
mod connection_end;
mod connection_role;
mod delivering;
mod event_sink;
mod external;
mod half_samples;
mod handshakes;
mod microphone;
mod outgoing;
mod outgoing_queue;
mod output_audio;
mod pacer;
mod reconnect;
mod resuming;
mod rollover;
mod setup;
mod sound;
mod survival;
mod text_pool;
mod user_sound;

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::audio::AudioFormat;
use crate::audio::convert::FromWire;
use crate::audio::resample::ResampleError;
use crate::conversation::{ConnectionEnd, Conversation, Interest, Options, Rejected, Status};
use crate::transport::SoundStats;
use crate::transport::net::Secrets;

pub use audio_stream::{Recording, Stream, Streamed};
pub use caller_end::CallerEnd;
pub use clock::Clock;
pub use connection::{Connection, ConnectionSettings, SoundSettings};
pub use event_sink::EventSink;
pub use microphone::{AudioInput, Microphone, SendAudioError};
pub use outgoing::{OutgoingLimits, Traffic};
pub use pacer::{Paced, Pacer};
pub use setup::{Connecting, SessionSetup};
pub use sound::Sound;
pub use survival::{Endings, ReconnectOptions, ReconnectPolicy, SurvivalStats};

use connection::ConnectionAudio;
use outgoing::Counters;
use output_audio::OutputAudio;
use reconnect::Reconnecting;
use user_sound::UserSound;

/// The most that the session adds to a user's event, in bytes: ids.
const IDS: usize = 256;

struct State {
    conversation: Conversation,
    /// The connection that messages go to.
    connection: Option<Arc<Connection>>,
    /// The connection that has new messages since it was last announced.
    unsent: Option<Arc<Connection>>,
    /// The user's sound, where a media track carries it.
    user_sound: Option<Arc<UserSound>>,
    /// The format of the answer's audio on the wire, and the rate at which the user wants it, where that
    /// is to be converted.
    output: Option<(AudioFormat, u32)>,
    /// Of the newest connection, which may be over.
    counters: Arc<Counters>,
    /// The timer's deadline, and the task that sleeps until then: one at a time, for an answer has
    /// many deadlines, and the last is far away.
    timer: Option<(Duration, AbortHandle)>,
    secrets: Secrets,
    /// How the session gets another connection when one is lost; `None`: it does not.
    reconnecting: Option<Box<Reconnecting>>,
    /// How long a server that refused a handshake asked to wait, the last time that one did.
    retry_after: Option<Duration>,
}

/// A conversation with its clock, its order, and its current connection.
pub struct Session {
    state: Mutex<State>,
    interest: AtomicU32,
    /// The caller's end of a call, where the session is coupled with one.
    caller: OnceLock<Arc<dyn CallerEnd>>,
    clock: Clock,
    runtime: Handle,
    sink: Arc<dyn EventSink>,
    held: watch::Sender<bool>,
    limits: OutgoingLimits,
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
                user_sound: None,
                output: None,
                counters: Arc::default(),
                timer: None,
                secrets: Secrets::default(),
                reconnecting: None,
                retry_after: None,
            }),
            interest: AtomicU32::new(0),
            caller: OnceLock::new(),
            clock,
            runtime,
            sink,
            held: watch::Sender::new(false),
            limits,
            myself: Weak::clone(myself),
        })
    }

    /// The state, which knows what the caller has heard by now.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        if let Some(caller) = self.caller.get() {
            let left_ms = caller.left_to_play_ms(self.clock.now());
            state.conversation.left_to_play(left_ms);
        }
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug; the conversation goes on with what it has.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the conversation in one transaction: the events and messages that follow from it are
    /// ordered and delivered before any other transaction begins.
    pub fn act<T>(&self, act: impl FnOnce(&mut Conversation, Duration) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state.conversation, self.clock.now());
        let connection = self.deliver(&mut state);
        let rolls_over = state
            .reconnecting
            .as_ref()
            .is_some_and(|it| it.is_rolling_over());
        drop(state);
        self.announce(connection);
        if rolls_over {
            self.take_over_if_quiet();
        }
        result
    }

    /// Reads from the conversation.
    pub fn look<T>(&self, look: impl FnOnce(&Conversation) -> T) -> T {
        look(&self.state().conversation)
    }

    /// Sees to it that the conversation's next deadline is handled. A timer that sleeps longer than
    /// until then is replaced; one that wakes too early looks for the deadline again.
    fn arm_timer(&self, state: &mut State) {
        if matches!(self.clock, Clock::Virtual(_)) {
            return;
        }
        let reconnecting = state.reconnecting.as_ref();
        let attempt = reconnecting.and_then(|it| it.poll_timeout());
        let deadlines = [state.conversation.poll_timeout(), attempt];
        let Some(deadline) = deadlines.into_iter().flatten().min() else {
            return;
        };
        let is_due = |(armed, _): &(Duration, AbortHandle)| *armed <= deadline;
        if state.timer.as_ref().is_some_and(is_due) {
            return;
        }
        let wait = deadline.saturating_sub(self.clock.now());
        let session = Weak::clone(&self.myself);
        let sleep = {
            let _runtime = self.runtime.enter();
            tokio::time::sleep(wait)
        };
        // An `async` block would keep more than this for as long as it sleeps.
        let task = self.runtime.spawn(sleep.map(move |()| {
            if let Some(session) = session.upgrade() {
                session.timer_fired(deadline);
            }
        }));
        if let Some((_, later)) = state.timer.replace((deadline, task.abort_handle())) {
            later.abort();
        }
    }

    fn timer_fired(&self, deadline: Duration) {
        if self
            .lock()
            .timer
            .take_if(|(armed, _)| *armed == deadline)
            .is_some()
        {
            self.handle_timeouts();
        }
    }

    /// Handles all that is due by now. The act is last: it arms the timer for what is due later.
    fn handle_timeouts(&self) {
        self.redial_if_due();
        self.roll_over_if_due();
        self.act(Conversation::handle_timeout);
    }

    /// Sets the kinds of events that are built.
    pub fn set_interest(&self, interest: Interest) {
        self.interest.store(interest.0, Ordering::Release);
        self.lock().conversation.set_interest(self.interest());
    }

    /// The kinds that the sink gets.
    fn wanted(&self) -> Interest {
        Interest(self.interest.load(Ordering::Acquire))
    }

    /// The kinds that are built: a caller's end plays what nobody else may want.
    pub fn interest(&self) -> Interest {
        let wanted = self.wanted();
        match self.caller.get() {
            Some(_) => Interest(wanted.0 | Interest::AUDIO.0),
            None => wanted,
        }
    }

    /// Begins a connection, for a driver of the caller's to run. [`dial`](Self::dial) does all of it.
    pub fn connecting(&self, settings: ConnectionSettings) -> Result<Arc<Connection>, Rejected> {
        let mut state = self.lock();
        if self.caller.get().is_some_and(|caller| caller.is_over()) {
            return Err(Rejected::CallOver);
        }
        let connection_id = state.conversation.connecting(settings.capabilities)?;
        state.user_sound = None;
        let connection = self.new_connection(&mut state, connection_id, settings);
        state.connection = Some(Arc::clone(&connection));
        let unsent = self.deliver(&mut state);
        drop(state);
        self.announce(unsent);
        Ok(connection)
    }

    fn new_connection(
        &self,
        state: &mut State,
        connection_id: u64,
        settings: ConnectionSettings,
    ) -> Arc<Connection> {
        let (session, held) = (Weak::clone(&self.myself), self.held.subscribe());
        // The rates were checked when they were set.
        let output = state
            .output
            .and_then(|(wire, rate)| FromWire::new(wire, rate).ok());
        let mut connection = Connection::new(
            session,
            connection_id,
            &settings,
            Arc::clone(&self.sink),
            held,
            self.limits,
            output.map(|from_wire| Box::new(OutputAudio::new(from_wire))),
        );
        connection.sound = settings.sound.map(|it| {
            let user = state.user_sound(it.rates.input, it.max_waiting);
            Box::new(ConnectionAudio::new(it.rates, user))
        });
        let connection = Arc::new(connection);
        state.secrets = settings.secrets;
        state.counters = Arc::clone(&connection.counters);
        connection
    }

    /// The connection of `connection_id` could not be made, or is over.
    pub fn ended(&self, connection_id: u64, end: ConnectionEnd) {
        self.end(connection_id, |state| self.lose(state, connection_id, end));
        // The first attempt after a loss is due at once.
        self.redial_if_due();
    }

    /// Lets go of the connection after an act that ends it.
    fn end(&self, connection_id: u64, act: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        act(&mut state);
        let unsent = self.deliver(&mut state);
        if state
            .connection
            .as_ref()
            .is_some_and(|connection| connection.connection_id() == connection_id)
        {
            state.connection = None;
        }
        state.forget_user_sound();
        drop(state);
        self.announce(unsent);
    }

    /// Converts the answer's audio, which comes in `wire`, to PCM at `rate`; without a rate it stays as
    /// it comes. Holds for connections that begin from now on.
    pub fn set_output_format(
        &self,
        wire: AudioFormat,
        rate: Option<u32>,
    ) -> Result<(), ResampleError> {
        let output = rate.map(|rate| (wire, rate));
        if let Some((wire, rate)) = output {
            FromWire::new(wire, rate)?;
        }
        self.lock().output = output;
        Ok(())
    }

    pub fn status(&self) -> Status {
        self.look(Conversation::status)
    }

    /// The statistics of the media track, if the connection has one, or the last one had.
    pub fn sound_stats(&self) -> Option<SoundStats> {
        let counters = Arc::clone(&self.lock().counters);
        counters.sound()
    }

    /// How long a server that refused a handshake asked to wait, the last time that one did.
    pub fn retry_after(&self) -> Option<Duration> {
        self.state().retry_after
    }

    /// Whether a user's message of this length may be sent now: the server takes it, and no other one that
    /// is longer than `max_outgoing_bytes` waits.
    pub fn room_for(&self, bytes: usize) -> Result<(), Rejected> {
        let connection = self.lock().connection.clone();
        connection.map_or(Ok(()), |connection| connection.room_for(bytes + IDS))
    }

    /// Whether a sender should wait before it sends more.
    pub fn is_congested(&self) -> bool {
        self.outgoing_bytes() > self.limits.high_water
    }

    fn secrets(&self) -> Secrets {
        self.lock().secrets.clone()
    }

    /// Holds or releases the reader. While it is held, frames stay on the wire.
    pub fn hold_reader(&self, hold: bool) {
        self.held.send_replace(hold);
    }

    /// Advances a virtual clock, and handles the timeouts that are due then.
    pub fn advance_clock(&self, by: Duration) {
        self.clock.advance(by);
        self.handle_timeouts();
        if let Some(caller) = self.caller.get() {
            caller.clock_advanced();
        }
    }

    pub fn traffic(&self) -> Traffic {
        let counters = Arc::clone(&self.lock().counters);
        counters.traffic()
    }
}
