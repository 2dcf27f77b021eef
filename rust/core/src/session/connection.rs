//! One connection of a session: the messages that wait to be sent, and the events that its driver
//! delivers.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::connection_role::Role;
use super::half_samples::HalfSamples;
use super::handshakes::Handshake;
use super::outgoing::{Counters, OutgoingLimits};
use super::outgoing_queue::{OutgoingQueue, Unqueued};
use super::output_audio::{OutputAudio, Source};
use super::resuming::Resuming;
use super::text_pool;
use super::user_sound::UserSound;
use super::{EventSink, Session};
use crate::conversation::{
    Capabilities, ClientEvent, Conversation, Rejected, ServerEvent, TrackAudio,
};
use crate::transport::net::Secrets;
use crate::transport::{
    CloseReason, DecodeMode, DownlinkFrame, Endpoint, Frame, MediaChange, Outgoing, SampleRates,
    SoundEndpoint, SoundStats, Uplink, UplinkFrame, Writer,
};

/// How a connection is run.
#[derive(Debug, Clone, Default)]
pub struct ConnectionSettings {
    /// No driver of ours runs it: the sink hears by
    /// [`outgoing_ready`](super::EventSink::outgoing_ready) that there is something to send.
    pub announced: bool,
    pub capabilities: Capabilities,
    /// For a transport with a media track.
    pub sound: Option<SoundSettings>,
    /// How long the server's first event is awaited before the connection counts as made without it;
    /// zero: not at all.
    pub first_event_timeout: Duration,
    /// What the server may quote, and nobody may read.
    pub secrets: Secrets,
    /// The conversation of the server's that it is to go on with.
    pub resumes: Option<String>,
}

/// Sound on a media track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoundSettings {
    pub rates: SampleRates,
    /// The bytes of the user's sound that may wait to be sent; past this, the oldest are dropped.
    pub max_waiting: usize,
}

/// The sound of a connection with a media track.
#[derive(Debug)]
pub(super) struct ConnectionAudio {
    rates: SampleRates,
    /// The session's.
    user: Arc<UserSound>,
    /// Its driver takes no more of it.
    pub(super) is_stopped: AtomicBool,
}

impl ConnectionAudio {
    pub(super) fn new(rates: SampleRates, user: Arc<UserSound>) -> Self {
        Self {
            rates,
            user,
            is_stopped: AtomicBool::new(false),
        }
    }
}

/// Whether the server has said anything yet that begins the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Beginning {
    /// The connection does not stand yet.
    Pending,
    /// It stands, and the server's first event is awaited.
    Awaited,
    Settled,
}

/// One connection of a session, as its driver sees it.
pub struct Connection {
    session: Weak<Session>,
    /// The session's. Held here because the driver asks it before each read.
    sink: Arc<dyn EventSink>,
    id: u64,
    queue: Mutex<OutgoingQueue>,
    ready: Notify,
    writer: OnceLock<Weak<dyn Writer>>,
    held: watch::Receiver<bool>,
    high_water: usize,
    beginning: AtomicU8,
    /// The task that ends the wait for the first event; it holds its timer until it is stopped.
    patient: Mutex<Option<AbortHandle>>,
    pub(super) first_event_timeout: Duration,
    pub(super) counters: Arc<Counters>,
    pub(super) announced: bool,
    /// Most connections have none.
    pub(super) sound: Option<Box<ConnectionAudio>>,
    /// Converts the answer's audio; `None` where it stays as on the wire.
    pub(super) output: Option<Box<OutputAudio>>,
    half_samples: HalfSamples,
    pub(super) role: AtomicU8,
    /// The server's time when it answered the handshake, and when that was.
    pub(super) server_date: OnceLock<(SystemTime, Instant)>,
    /// Held until the server has begun.
    handshake: Mutex<Option<Handshake>>,
    pub(super) resuming: Resuming,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("connection_id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(
        session: Weak<Session>,
        connection_id: u64,
        settings: &ConnectionSettings,
        sink: Arc<dyn EventSink>,
        held: watch::Receiver<bool>,
        limits: OutgoingLimits,
        output: Option<Box<OutputAudio>>,
    ) -> Self {
        Self {
            session,
            sink,
            id: connection_id,
            queue: Mutex::new(OutgoingQueue::new(limits)),
            ready: Notify::new(),
            writer: OnceLock::new(),
            held,
            high_water: limits.high_water,
            beginning: AtomicU8::new(Beginning::Pending as u8),
            patient: Mutex::default(),
            first_event_timeout: settings.first_event_timeout,
            counters: Arc::new(Counters::new(settings.sound.is_some())),
            announced: settings.announced,
            sound: None,
            output,
            half_samples: HalfSamples::default(),
            role: AtomicU8::new(Role::InCharge as u8),
            server_date: OnceLock::new(),
            handshake: Mutex::default(),
            resuming: Resuming::new(settings.resumes.clone()),
        }
    }

    pub fn connection_id(&self) -> u64 {
        self.id
    }

    /// There is something new to send. It is written on this thread where the driver permits that;
    /// otherwise the driver is woken.
    pub(super) fn announce(&self) {
        let writer = self.writer.get().and_then(Weak::upgrade);
        if writer.is_some_and(|writer| writer.write_now()) {
            return;
        }
        self.wake_driver();
    }

    pub(super) fn wake_driver(&self) {
        self.ready.notify_one();
        if self.announced
            && let Some(session) = self.session.upgrade()
        {
            session.sink.outgoing_ready();
        }
    }

    /// How many bytes wait to be sent.
    pub(super) fn bytes(&self) -> usize {
        let sound = self.sound.as_ref().map_or(0, |it| it.user.uplink.bytes());
        self.queue().bytes() + sound
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, OutgoingQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn room_for(&self, bytes: usize) -> Result<(), Rejected> {
        self.queue().room_for(bytes)
    }

    pub(super) fn send(&self, event: ClientEvent) -> Result<(), Unqueued> {
        let dropped = self.queue().push(event)?;
        self.counters.queued(dropped);
        Ok(())
    }

    pub(super) fn close(&self, code: u16, reason: String) {
        self.queue().push_close(code, reason);
        self.wake_driver();
    }

    /// Drops all that waits, and closes the connection.
    pub(super) fn abandon(&self) {
        self.stop_sound();
        let mut queue = self.queue();
        queue.clear();
        queue.push_close(1011, String::new());
        drop(queue);
        self.wake_driver();
    }

    /// From now on the server's first event is awaited.
    pub(super) fn await_first_event(&self) {
        self.beginning
            .store(Beginning::Awaited as u8, Ordering::Release);
    }

    pub(super) fn keep_handshake(&self, handshake: Handshake) {
        *self.handshake() = Some(handshake);
    }

    pub(super) fn handshake(&self) -> MutexGuard<'_, Option<Handshake>> {
        self.handshake
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Awaits the first event no longer; whether it was awaited until now.
    pub(super) fn settle(&self) -> bool {
        let before = self
            .beginning
            .swap(Beginning::Settled as u8, Ordering::AcqRel);
        let was_awaited = before == Beginning::Awaited as u8;
        if was_awaited && let Some(patient) = self.patient().take() {
            patient.abort();
        }
        was_awaited
    }

    /// This task ends the wait for the first event. It is stopped where the event has come already.
    pub(super) fn wait_with(&self, task: AbortHandle) {
        let mut patient = self.patient();
        if self.awaits_first_event() {
            *patient = Some(task);
        } else {
            task.abort();
        }
    }

    fn patient(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.patient.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it does not stand yet.
    pub(super) fn is_pending(&self) -> bool {
        self.beginning.load(Ordering::Acquire) == Beginning::Pending as u8
    }

    fn awaits_first_event(&self) -> bool {
        self.beginning.load(Ordering::Acquire) == Beginning::Awaited as u8
    }
}

impl Endpoint for Connection {
    fn on_frame(&self, frame: Frame<'_>) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        let mut event = match frame {
            Frame::Text(text) => {
                ServerEvent::parse_with(text, session.interest(), || session.sink.spare_buffer())
            }
            Frame::Binary(bytes) => session.binary_frame(bytes),
        };
        let is_delta = event.is_delta();
        self.half_samples.align(&mut event, |delta| {
            let format = session.look(|conversation| conversation.format_of_delta(delta));
            format.bytes_per_sample() == 2
        });
        if let Some(output) = &self.output {
            event.convert_audio(|delta, wire| {
                output.convert(&session, Source::Message(delta), wire)
            });
        }
        let is_awaited = self.awaits_first_event();
        if is_awaited
            && let Some(error) = event.error()
            && self.settle()
        {
            if self.has_role(Role::InCharge) {
                session.refused(self.id, event, error);
            } else {
                session.refused_again(self, error);
            }
            self.counters.frame_read();
            return;
        }
        let begins = is_awaited && event.begins_session();
        self.resuming.note(&event);
        if self.has_role(Role::Second) {
            return self.on_second_frame(&session, &event, begins);
        }
        if let Some(expires_at) = event.expires_at() {
            session.note_expiry(self, expires_at);
        }
        if begins && self.has_role(Role::Replacement) {
            let Some(is_held) = self.resuming.is_held() else {
                return self.counters.frame_read();
            };
            if self.settle() && session.resume(self.id, is_held).is_err() {
                // The session was closed meanwhile.
                return self.abandon();
            }
            self.handshake().take();
        } else if !is_awaited
            && !is_delta
            && let Some(code) = event.error().and_then(|it| it.code)
        {
            session.note_error(&code);
        }
        session.act(|conversation, now| conversation.handle_server(self.id, event, now));
        if begins && self.settle() {
            session.sink.opened(self.id);
        }
        if let Some(output) = &self.output
            && !is_delta
        {
            output.note_event();
        }
        self.counters.frame_read();
    }

    fn take_outgoing(&self, batch: &mut Vec<Outgoing>, max_bytes: usize) {
        self.queue().take(batch, max_bytes);
    }

    fn recycle(&self, text: String) {
        text_pool::release(text);
    }

    fn on_flushed(&self) {
        let (flushed, drained) = self.queue().flushed();
        self.counters.flushed(flushed);
        if drained && let Some(session) = self.session.upgrade() {
            session.sink.drained();
        }
    }

    fn lend_writer(&self, writer: Weak<dyn Writer>) {
        // A connection has one driver.
        let _ = self.writer.set(writer);
    }

    fn outgoing_ready(&self) -> &Notify {
        &self.ready
    }

    fn should_yield(&self) -> bool {
        self.sink.should_yield()
    }

    fn reading_held(&self) -> watch::Receiver<bool> {
        self.held.clone()
    }

    fn on_ended(&self, ended: CloseReason) {
        if let Some(session) = self.session.upgrade() {
            if !self.settle() {
                session.ended(self.id, ended.into());
            } else if self.has_role(Role::InCharge) {
                session.not_begun(self.id, ended);
            } else {
                session.not_resumed(self.id, &ended);
            }
            if self.has_role(Role::Replaced) {
                // Where its driver had no time to.
                session.hand_over_sound();
            }
            // Senders that wait go on, and hear that the connection is over.
            session.sink.drained();
        }
    }
}

impl SoundEndpoint for Connection {
    fn uplink(&self) -> Option<&Uplink> {
        let sound = self.sound.as_ref().filter(|_| self.carries_sound())?;
        Some(&sound.user.uplink)
    }

    fn wanted(&self) -> DecodeMode {
        let session = self.session.upgrade();
        session.map_or(DecodeMode::Length, |session| session.decode_mode())
    }

    fn segment(&self) -> u64 {
        let session = self.session.upgrade().filter(|_| self.carries_sound());
        session.map_or(0, |session| session.look(Conversation::segment))
    }

    fn on_sound(&self, segment: u64, piece: DownlinkFrame<'_>) {
        let (Some(session), Some(own)) = (self.session.upgrade(), &self.sound) else {
            return;
        };
        let rate = own.rates.output;
        let sound = match piece {
            DownlinkFrame::Samples(samples) => {
                let wire: Vec<u8> = samples
                    .iter()
                    .flat_map(|sample| sample.to_le_bytes())
                    .collect();
                let converted = match &self.output {
                    Some(output) => output.convert(&session, Source::Segment(segment), &wire),
                    None => None,
                };
                TrackAudio::Pcm {
                    data: converted.unwrap_or(wire),
                    samples: samples.len(),
                    rate,
                }
            }
            DownlinkFrame::Length(samples) => TrackAudio::Unheard { samples, rate },
            DownlinkFrame::Packet(packet, samples) => TrackAudio::Passed {
                tail: self.output.as_ref().map_or_else(Vec::new, |it| it.cut()),
                packet: packet.clone(),
                samples,
                rate,
            },
        };
        session.act(|conversation, now| conversation.track_audio(self.id, segment, sound, now));
    }

    fn on_segment_ended(&self, segment: u64) {
        if let Some(session) = self.session.upgrade() {
            session.act(|conversation, _| conversation.segment_ended(self.id, segment));
        }
    }

    fn on_mark(&self) {
        if let Some(session) = self.session.upgrade() {
            // If the connection is over, there is nothing to commit.
            let _ = session.act(|conversation, now| {
                if conversation.wire_id() == self.id {
                    conversation.commit_audio(now)
                } else {
                    Err(Rejected::Stale)
                }
            });
        }
    }

    fn on_stats(&self, stats: SoundStats) {
        self.counters.note_sound(stats);
    }

    fn on_dropped(&self, pieces: u64) {
        self.counters.dropped(pieces);
    }

    fn on_room(&self) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        if let Some(sound) = &self.sound
            && sound.user.relieve(|| self.bytes() <= self.high_water)
        {
            session.sink.drained();
        }
    }

    fn on_unsent(&self, taken: Vec<UplinkFrame>) {
        let Some(sound) = &self.sound else { return };
        let is_replaced = self.has_role(Role::Replaced);
        if is_replaced || self.has_role(Role::InCharge) {
            sound.user.uplink.give_back(taken);
        }
        if let Some(session) = self.session.upgrade().filter(|_| is_replaced) {
            session.hand_over_sound();
        }
    }

    fn on_media(&self, change: MediaChange) {
        if let Some(session) = self.session.upgrade() {
            let (status, silence) = (change.status.as_str(), change.silence);
            session.act(|conversation, _| conversation.media_changed(self.id, status, silence));
        }
    }
}
