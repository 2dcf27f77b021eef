//! One connection of a session: what waits to be sent, and what its driver brings.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::sync::{Notify, watch};

use super::Session;
use super::outgoing::{Counters, OutgoingLimits};
use super::output_audio::{OutputAudio, Source};
use crate::conversation::{
    Capabilities, ClientEvent, Conversation, Interest, Rejected, ServerEvent, TrackAudio,
};
use crate::delivery::wakeup;
use crate::transport::{
    CloseReason, DecodeMode, DownlinkFrame, Endpoint, Frame, Outgoing, SampleRates, SoundEndpoint,
    SoundStats, Uplink, Writer,
};

/// How a connection is carried.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionSettings {
    /// The sink is told each time the connection has something to send, for a carrier that no task of
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

/// A connection's sound.
#[derive(Debug)]
pub(super) struct ConnectionAudio {
    rates: SampleRates,
    pub(super) uplink: Uplink,
    /// A sender may be waiting for room.
    congested: AtomicBool,
    pub(super) stats: Mutex<SoundStats>,
}

impl ConnectionAudio {
    fn new(settings: SoundSettings) -> Self {
        Self {
            rates: settings.rates,
            uplink: Uplink::new(settings.max_waiting),
            congested: AtomicBool::new(false),
            stats: Mutex::default(),
        }
    }

    pub(super) fn note_congestion(&self, congested: bool) {
        self.congested.fetch_or(congested, Ordering::AcqRel);
    }
}

/// A message that waits to be sent.
#[derive(Debug)]
struct Queued {
    message: Outgoing,
    /// It may be dropped where the server does not read.
    is_audio: bool,
}

impl From<Outgoing> for Queued {
    fn from(message: Outgoing) -> Self {
        Self {
            message,
            is_audio: false,
        }
    }
}

#[derive(Debug, Default)]
struct OutgoingQueue {
    waiting: VecDeque<Queued>,
    bytes: usize,
    /// Messages that the driver has taken and not flushed yet.
    taken: usize,
    congested: bool,
}

/// One connection of a session, as its driver sees it.
pub struct Connection {
    session: Weak<Session>,
    pub(super) connection_id: u64,
    queue: Mutex<OutgoingQueue>,
    ready: Notify,
    writer: OnceLock<Weak<dyn Writer>>,
    held: watch::Receiver<bool>,
    limits: OutgoingLimits,
    pub(super) counters: Arc<Counters>,
    pub(super) announced: bool,
    pub(super) sound: Option<ConnectionAudio>,
    /// Converts the answer's audio; `None` where it stays as on the wire.
    pub(super) output: Option<OutputAudio>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("connection_id", &self.connection_id)
            .finish_non_exhaustive()
    }
}

fn size(message: &Outgoing) -> usize {
    match message {
        Outgoing::Text(text) => text.len(),
        Outgoing::Close { .. } => 0,
    }
}

impl Connection {
    pub(super) fn new(
        session: Weak<Session>,
        connection_id: u64,
        settings: ConnectionSettings,
        held: watch::Receiver<bool>,
        limits: OutgoingLimits,
        output: Option<OutputAudio>,
    ) -> Self {
        Self {
            session,
            connection_id,
            queue: Mutex::default(),
            ready: Notify::new(),
            writer: OnceLock::new(),
            held,
            limits,
            counters: Arc::default(),
            announced: settings.announced,
            sound: settings.sound.map(ConnectionAudio::new),
            output,
        }
    }

    pub fn connection_id(&self) -> u64 {
        self.connection_id
    }

    /// Something new is to be sent: now, on this thread, where nothing stands in the way.
    pub(super) fn announce(&self) {
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
            session.sink.outgoing_ready();
        }
    }

    /// How many bytes wait to be sent.
    pub(super) fn bytes(&self) -> usize {
        let sound = self.sound.as_ref().map_or(0, |sound| sound.uplink.bytes());
        self.queue().bytes + sound
    }

    fn queue(&self) -> MutexGuard<'_, OutgoingQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn send(&self, event: ClientEvent) -> Result<(), String> {
        let mut queue = self.queue();
        queue.bytes += event.text.len();
        queue.waiting.push_back(Queued {
            message: Outgoing::Text(event.text),
            is_audio: event.is_audio,
        });
        queue.congested |= queue.bytes > self.limits.high_water;
        let mut dropped = 0;
        while queue.bytes > self.limits.max_bytes {
            let Some(at) = queue.waiting.iter().position(|queued| queued.is_audio) else {
                return Err(format!(
                    "the server does not read: {} bytes wait to be sent to it (max_outgoing_bytes is {})",
                    queue.bytes, self.limits.max_bytes
                ));
            };
            if let Some(dropped_audio) = queue.waiting.remove(at) {
                queue.bytes -= size(&dropped_audio.message);
                dropped += 1;
            }
        }
        drop(queue);
        self.counters.queued(dropped);
        Ok(())
    }

    pub(super) fn close(&self, code: u16, reason: String) {
        self.queue()
            .waiting
            .push_back(Outgoing::Close { code, reason }.into());
        self.tell_driver();
    }

    /// Nothing that waits is of use any more: say goodbye at once.
    pub(super) fn abandon(&self) {
        let mut queue = self.queue();
        queue.waiting.clear();
        queue.bytes = 0;
        let goodbye = Outgoing::Close {
            code: 1011,
            reason: String::new(),
        };
        queue.waiting.push_back(goodbye.into());
        drop(queue);
        self.tell_driver();
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
            Frame::Binary(bytes) => ServerEvent::binary(bytes.len()),
        };
        let is_delta = event.is_delta();
        if let Some(output) = &self.output {
            event.convert_audio(|delta| {
                output.convert(&session, Source::Message(delta), delta.data)
            });
        }
        session.act(|conversation, now| conversation.handle_server(self.connection_id, event, now));
        if let Some(output) = &self.output
            && !is_delta
        {
            output.note_event();
        }
        self.counters.frame_read();
    }

    fn should_yield(&self) -> bool {
        wakeup::should_yield()
    }

    fn take_outgoing(&self, batch: &mut Vec<Outgoing>, max_bytes: usize) {
        let mut queue = self.queue();
        let mut taken = 0;
        while let Some(next) = queue.waiting.front() {
            if taken > 0 && taken + size(&next.message) > max_bytes {
                break;
            }
            taken += size(&next.message).max(1);
            if let Some(Queued { message, .. }) = queue.waiting.pop_front() {
                queue.taken += usize::from(matches!(message, Outgoing::Text(_)));
                batch.push(message);
            }
        }
    }

    fn on_flushed(&self) {
        let mut queue = self.queue();
        let flushed = std::mem::take(&mut queue.taken) as u64;
        queue.bytes = queue
            .waiting
            .iter()
            .map(|queued| size(&queued.message))
            .sum();
        let drained = queue.congested && queue.bytes <= self.limits.high_water;
        queue.congested &= !drained;
        drop(queue);
        self.counters.flushed(flushed);
        if drained && let Some(session) = self.session.upgrade() {
            session.sink.drained();
        }
    }

    fn lend_writer(&self, writer: Weak<dyn Writer>) {
        // A connection is carried once.
        let _ = self.writer.set(writer);
    }

    fn outgoing_ready(&self) -> &Notify {
        &self.ready
    }

    fn reading_held(&self) -> watch::Receiver<bool> {
        self.held.clone()
    }

    fn on_ended(&self, ended: CloseReason) {
        if let Some(session) = self.session.upgrade() {
            session.ended(self.connection_id, ended.to_string());
            // Whoever waits for room learns that there will be none.
            session.sink.drained();
        }
    }
}

impl SoundEndpoint for Connection {
    fn uplink(&self) -> Option<&Uplink> {
        self.sound.as_ref().map(|sound| &sound.uplink)
    }

    fn wanted(&self) -> DecodeMode {
        let wanted = self
            .session
            .upgrade()
            .is_some_and(|session| session.interest().contains(Interest::AUDIO));
        if wanted {
            DecodeMode::Samples
        } else {
            DecodeMode::Length
        }
    }

    fn segment(&self) -> u64 {
        self.session
            .upgrade()
            .map_or(0, |session| session.look(Conversation::segment))
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
            // It is not asked for.
            DownlinkFrame::Packet(_) => return,
        };
        session.act(|conversation, now| {
            conversation.track_audio(self.connection_id, segment, sound, now)
        });
    }

    fn on_segment_ended(&self, segment: u64) {
        if let Some(session) = self.session.upgrade() {
            session.act(|conversation, _| conversation.segment_ended(self.connection_id, segment));
        }
    }

    fn on_mark(&self) {
        if let Some(session) = self.session.upgrade() {
            // Where the connection is gone there is nothing to commit.
            let _ = session.act(|conversation, now| {
                if conversation.connection_id() == self.connection_id {
                    conversation.commit_audio(now)
                } else {
                    Err(Rejected::Stale)
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
