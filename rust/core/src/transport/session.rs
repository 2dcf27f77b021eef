//! A conversation that is shared between its user and a driver: one mutex, one order.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::conversation::{
    Capabilities, Conversation, Event, Interest, Options, Output, Refused, Sequenced, ServerEvent,
    Sound, Status,
};

use super::clock::Clock;
use super::endpoint::{Ended, Endpoint, Frame, Outgoing, Writer};
use super::sound::{Piece, SampleRates, SoundEndpoint, SoundStats, Uplink, Upward, Wanted};

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
    /// A line that nobody drives here (see [`Session::connecting`]) has something to send.
    fn to_carry(&self);
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
    line: Option<Arc<Line>>,
    /// The connection that has got messages in this act.
    unsent: Option<Arc<Line>>,
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
                line: None,
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

    /// What the session's timers run on, and what is to carry its connections.
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
        let line = self.deliver(&mut state);
        drop(state);
        announce(line);
        result
    }

    /// Looks at the conversation without changing it.
    pub fn look<T>(&self, look: impl FnOnce(&Conversation) -> T) -> T {
        look(&self.lock().conversation)
    }

    /// Brings what came of an act on its way. The line that has got something to send is told of it
    /// when the lock is let go, for it may write at once.
    #[must_use]
    fn deliver(&self, state: &mut State) -> Option<Arc<Line>> {
        let mut events = self.pass_on(state);
        if events && self.sink.take_overflow() {
            let generation = state.conversation.generation();
            if let Some(line) = state.line.take() {
                line.abandon();
            }
            let why = "events were not read and the bound on those that wait was reached \
                       (max_queued_events)";
            state.conversation.ended(generation, why.to_owned());
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

    /// Brings what came of an act to where it goes; whether any of it was an event.
    fn pass_on(&self, state: &mut State) -> bool {
        let mut events = false;
        while let Some(Sequenced { sequence, output }) = state.conversation.poll_output() {
            match output {
                Output::Event(event) => {
                    events = true;
                    self.sink.push(sequence, event);
                }
                Output::Message(text) => {
                    let Some(line) = &state.line else { continue };
                    match line.send(text) {
                        Ok(()) => {
                            state.unsent.get_or_insert_with(|| Arc::clone(line));
                        }
                        Err(why) => {
                            let generation = state.conversation.generation();
                            line.abandon();
                            state.line = None;
                            state.conversation.ended(generation, why);
                        }
                    }
                }
                Output::Close { code, reason } => {
                    if let Some(line) = state.line.take() {
                        line.close(code, reason);
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

    /// Begins a connection: the line that a driver is to carry.
    pub fn connecting(&self, carriage: Carriage) -> Result<Arc<Line>, Refused> {
        let mut state = self.lock();
        let generation = state.conversation.connecting(carriage.capabilities)?;
        let line = Arc::new(Line {
            session: Weak::clone(&self.myself),
            generation,
            queue: Mutex::default(),
            ready: Notify::new(),
            writer: OnceLock::new(),
            held: self.held.subscribe(),
            limits: self.limits,
            announced: carriage.announced,
            sound: carriage.sound.map(LineSound::new),
            counters: Arc::default(),
        });
        state.counters = Arc::clone(&line.counters);
        state.line = Some(Arc::clone(&line));
        let unsent = self.deliver(&mut state);
        drop(state);
        announce(unsent);
        Ok(line)
    }

    /// The connection of `generation` could not be made, or is over.
    pub fn ended(&self, generation: u64, reason: String) {
        let mut state = self.lock();
        state.conversation.ended(generation, reason);
        if state
            .line
            .as_ref()
            .is_some_and(|line| line.generation == generation)
        {
            state.line = None;
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
        self.lock().line.as_ref().map_or(0, |line| line.bytes())
    }

    /// Sends the user's sound beside the messages, to a transport that carries it apart. With
    /// `commit` the user's turn ends behind it. Muted, it is dropped.
    pub fn send_sound(&self, samples: Vec<i16>, commit: bool) -> Result<(), Refused> {
        let state = self.lock();
        state.conversation.connected()?;
        let Some((line, sound)) = state
            .line
            .as_ref()
            .and_then(|line| Some((line, line.sound.as_ref()?)))
        else {
            return Err(Refused::NotConnected);
        };
        if !state.conversation.muted() && !samples.is_empty() {
            let dropped = sound.uplink.push(Upward::Samples(samples));
            line.counters
                .audio_dropped
                .fetch_add(u64::from(dropped > 0), Ordering::AcqRel);
        }
        if commit {
            sound.uplink.mark();
        }
        if line.announced {
            self.sink.to_carry();
        }
        sound.note_congestion(line.bytes() > self.limits.high_water);
        Ok(())
    }

    /// How the sound fares of a connection that carries it apart.
    pub fn sound_stats(&self) -> Option<SoundStats> {
        let line = self.lock().line.clone()?;
        let sound = line.sound.as_ref()?;
        let stats = sound.stats.lock().unwrap_or_else(PoisonError::into_inner);
        Some(*stats)
    }

    /// Drops the user's sound before it is sent, what waits of it included, or stops doing so.
    pub fn mute(&self, muted: bool) {
        let mut state = self.lock();
        state.conversation.mute(muted);
        if muted
            && let Some(line) = &state.line
            && let Some(sound) = &line.sound
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

/// How a connection is carried.
#[derive(Debug, Clone, Copy, Default)]
pub struct Carriage {
    /// The sink is told each time the line has something to send, for a carrier that no task of
    /// ours drives.
    pub announced: bool,
    pub capabilities: Capabilities,
    /// For a transport that carries sound apart.
    pub sound: Option<SoundSettings>,
}

/// Sound beside the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoundSettings {
    pub rates: SampleRates,
    /// How much of the user's sound may wait to be sent, in bytes; the oldest is dropped.
    pub max_waiting: usize,
}

/// A line's sound.
#[derive(Debug)]
struct LineSound {
    rates: SampleRates,
    uplink: Uplink,
    /// A sender may be waiting for room.
    congested: AtomicBool,
    stats: Mutex<SoundStats>,
}

impl LineSound {
    fn new(settings: SoundSettings) -> Self {
        Self {
            rates: settings.rates,
            uplink: Uplink::new(settings.max_waiting),
            congested: AtomicBool::new(false),
            stats: Mutex::default(),
        }
    }

    fn note_congestion(&self, congested: bool) {
        self.congested.fetch_or(congested, Ordering::AcqRel);
    }
}

#[derive(Debug, Default)]
struct LineQueue {
    waiting: VecDeque<Outgoing>,
    bytes: usize,
    /// Messages that the driver has taken and not flushed yet.
    taken: usize,
    congested: bool,
}

/// One connection of a session, as its driver sees it.
pub struct Line {
    session: Weak<Session>,
    generation: u64,
    queue: Mutex<LineQueue>,
    ready: Notify,
    writer: OnceLock<Weak<dyn Writer>>,
    held: watch::Receiver<bool>,
    limits: OutgoingLimits,
    counters: Arc<Counters>,
    announced: bool,
    sound: Option<LineSound>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

fn is_audio(message: &Outgoing) -> bool {
    const APPEND: &str = r#"{"type":"input_audio_buffer.append""#;
    matches!(message, Outgoing::Text(text) if text.starts_with(APPEND))
}

fn size(message: &Outgoing) -> usize {
    match message {
        Outgoing::Text(text) => text.len(),
        Outgoing::Close { .. } => 0,
    }
}

fn announce(line: Option<Arc<Line>>) {
    if let Some(line) = line {
        line.announce();
    }
}

impl Line {
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Something new is to be sent: now, on this thread, where nothing stands in the way.
    fn announce(&self) {
        let writer = self.writer.get().and_then(Weak::upgrade);
        if writer.is_some_and(|writer| writer.write_now()) {
            return;
        }
        self.tell_driver();
    }

    fn tell_driver(&self) {
        self.ready.notify_one();
        if self.announced
            && let Some(session) = self.session.upgrade()
        {
            session.sink.to_carry();
        }
    }

    /// How many bytes wait to be sent.
    fn bytes(&self) -> usize {
        let sound = self.sound.as_ref().map_or(0, |sound| sound.uplink.bytes());
        self.queue().bytes + sound
    }

    fn queue(&self) -> MutexGuard<'_, LineQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, text: String) -> Result<(), String> {
        let mut queue = self.queue();
        queue.bytes += text.len();
        queue.waiting.push_back(Outgoing::Text(text));
        queue.congested |= queue.bytes > self.limits.high_water;
        let mut dropped = 0;
        while queue.bytes > self.limits.max_bytes {
            let Some(at) = queue.waiting.iter().position(is_audio) else {
                return Err(format!(
                    "the server does not read: {} bytes wait to be sent to it (max_outgoing_bytes is {})",
                    queue.bytes, self.limits.max_bytes
                ));
            };
            if let Some(message) = queue.waiting.remove(at) {
                queue.bytes -= size(&message);
                dropped += 1;
            }
        }
        drop(queue);
        let counters = &self.counters;
        counters.messages_queued.fetch_add(1, Ordering::AcqRel);
        counters
            .messages_flushed
            .fetch_add(dropped, Ordering::AcqRel);
        counters.audio_dropped.fetch_add(dropped, Ordering::AcqRel);
        Ok(())
    }

    fn close(&self, code: u16, reason: String) {
        self.queue()
            .waiting
            .push_back(Outgoing::Close { code, reason });
        self.tell_driver();
    }

    /// Nothing that waits is of use any more: say goodbye at once.
    fn abandon(&self) {
        let mut queue = self.queue();
        queue.waiting.clear();
        queue.bytes = 0;
        queue.waiting.push_back(Outgoing::Close {
            code: 1011,
            reason: String::new(),
        });
        drop(queue);
        self.tell_driver();
    }
}

impl Endpoint for Line {
    fn on_frame(&self, frame: Frame<'_>) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        let event = match frame {
            Frame::Text(text) => {
                ServerEvent::parse_with(text, session.interest(), || session.sink.spare_buffer())
            }
            Frame::Binary(bytes) => ServerEvent::binary(bytes.len()),
        };
        session.act(|conversation, now| conversation.handle_server(self.generation, event, now));
        self.counters.frames_read.fetch_add(1, Ordering::AcqRel);
    }

    fn take_outgoing(&self, batch: &mut Vec<Outgoing>, max_bytes: usize) {
        let mut queue = self.queue();
        let mut taken = 0;
        while let Some(next) = queue.waiting.front() {
            if taken > 0 && taken + size(next) > max_bytes {
                break;
            }
            taken += size(next).max(1);
            if let Some(message) = queue.waiting.pop_front() {
                queue.taken += usize::from(matches!(message, Outgoing::Text(_)));
                batch.push(message);
            }
        }
    }

    fn on_flushed(&self) {
        let mut queue = self.queue();
        let flushed = std::mem::take(&mut queue.taken) as u64;
        queue.bytes = queue.waiting.iter().map(size).sum();
        let drained = queue.congested && queue.bytes <= self.limits.high_water;
        queue.congested &= !drained;
        drop(queue);
        self.counters
            .messages_flushed
            .fetch_add(flushed, Ordering::AcqRel);
        if drained && let Some(session) = self.session.upgrade() {
            session.sink.drained();
        }
    }

    fn lend_writer(&self, writer: Weak<dyn Writer>) {
        // A line is carried once.
        let _ = self.writer.set(writer);
    }

    fn outgoing_ready(&self) -> &Notify {
        &self.ready
    }

    fn reading_held(&self) -> watch::Receiver<bool> {
        self.held.clone()
    }

    fn on_ended(&self, ended: Ended) {
        if let Some(session) = self.session.upgrade() {
            session.ended(self.generation, ended.to_string());
            // Whoever waits for room learns that there will be none.
            session.sink.drained();
        }
    }
}

impl SoundEndpoint for Line {
    fn uplink(&self) -> Option<&Uplink> {
        self.sound.as_ref().map(|sound| &sound.uplink)
    }

    fn wanted(&self) -> Wanted {
        let wanted = self
            .session
            .upgrade()
            .is_some_and(|session| session.interest().contains(Interest::AUDIO));
        if wanted {
            Wanted::Samples
        } else {
            Wanted::Length
        }
    }

    fn stretch(&self) -> u64 {
        self.session
            .upgrade()
            .map_or(0, |session| session.look(Conversation::sounding))
    }

    fn on_sound(&self, stretch: u64, piece: Piece<'_>) {
        let (Some(session), Some(own)) = (self.session.upgrade(), &self.sound) else {
            return;
        };
        let rate = own.rates.output;
        let sound = match piece {
            Piece::Samples(samples) => Sound::Pcm {
                data: samples
                    .iter()
                    .flat_map(|sample| sample.to_le_bytes())
                    .collect(),
                rate,
            },
            Piece::Length(samples) => Sound::Unheard { samples, rate },
            // It is not asked for.
            Piece::Packet(_) => return,
        };
        session.act(|conversation, now| conversation.sound(self.generation, stretch, sound, now));
    }

    fn on_stretch_ended(&self, stretch: u64) {
        if let Some(session) = self.session.upgrade() {
            session.act(|conversation, _| conversation.sound_ended(self.generation, stretch));
        }
    }

    fn on_mark(&self) {
        if let Some(session) = self.session.upgrade() {
            // Where the connection is gone there is nothing to commit.
            let _ = session.act(|conversation, now| {
                if conversation.generation() == self.generation {
                    conversation.commit_audio(now)
                } else {
                    Err(Refused::Stale)
                }
            });
        }
    }

    fn on_stats(&self, stats: SoundStats) {
        if let Some(sound) = &self.sound {
            *sound.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
        }
    }

    fn on_room(&self) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        if let Some(sound) = &self.sound
            && sound.congested.load(Ordering::Acquire)
            && self.bytes() <= self.limits.high_water
            && sound.congested.swap(false, Ordering::AcqRel)
        {
            session.sink.drained();
        }
    }
}
