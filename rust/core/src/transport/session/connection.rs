//! One connection of a session: what waits to be sent, and what its driver brings.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::sync::{Notify, watch};

use super::{Counters, OutgoingLimits, Session};
use crate::conversation::{Capabilities, Conversation, Interest, Rejected, ServerEvent, Sound};
use crate::transport::endpoint::{CloseReason, Endpoint, Frame, Outgoing, Writer};
use crate::transport::sound::{
    DecodeMode, DownlinkFrame, SampleRates, SoundEndpoint, SoundStats, Uplink,
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

#[derive(Debug)]
struct Waiting {
    message: Outgoing,
    /// It may be left out where the server does not read.
    droppable: bool,
}

#[derive(Debug, Default)]
struct OutgoingQueue {
    waiting: VecDeque<Waiting>,
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

    pub(super) fn send(&self, text: String, droppable: bool) -> Result<(), String> {
        let mut queue = self.queue();
        queue.bytes += text.len();
        let message = Outgoing::Text(text);
        queue.waiting.push_back(Waiting { message, droppable });
        queue.congested |= queue.bytes > self.limits.high_water;
        let mut dropped = 0;
        while queue.bytes > self.limits.max_bytes {
            let Some(at) = queue.waiting.iter().position(|next| next.droppable) else {
                return Err(format!(
                    "the server does not read: {} bytes wait to be sent to it (max_outgoing_bytes is {})",
                    queue.bytes, self.limits.max_bytes
                ));
            };
            if let Some(next) = queue.waiting.remove(at) {
                queue.bytes -= size(&next.message);
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

    pub(super) fn close(&self, code: u16, reason: String) {
        self.queue().waiting.push_back(Waiting {
            message: Outgoing::Close { code, reason },
            droppable: false,
        });
        self.tell_driver();
    }

    /// Nothing that waits is of use any more: say goodbye at once.
    pub(super) fn abandon(&self) {
        let mut queue = self.queue();
        queue.waiting.clear();
        queue.bytes = 0;
        queue.waiting.push_back(Waiting {
            message: Outgoing::Close {
                code: 1011,
                reason: String::new(),
            },
            droppable: false,
        });
        drop(queue);
        self.tell_driver();
    }
}

impl Endpoint for Connection {
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
        session.act(|conversation, now| conversation.handle_server(self.connection_id, event, now));
        self.counters.frames_read.fetch_add(1, Ordering::AcqRel);
    }

    fn take_outgoing(&self, batch: &mut Vec<Outgoing>, max_bytes: usize) {
        let mut queue = self.queue();
        let mut taken = 0;
        while let Some(Waiting { message, .. }) = queue.waiting.front() {
            if taken > 0 && taken + size(message) > max_bytes {
                break;
            }
            taken += size(message).max(1);
            if let Some(Waiting { message, .. }) = queue.waiting.pop_front() {
                queue.taken += usize::from(matches!(message, Outgoing::Text(_)));
                batch.push(message);
            }
        }
    }

    fn on_flushed(&self) {
        let mut queue = self.queue();
        let flushed = std::mem::take(&mut queue.taken) as u64;
        queue.bytes = queue.waiting.iter().map(|next| size(&next.message)).sum();
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
            .map_or(0, |session| session.look(Conversation::sounding))
    }

    fn on_sound(&self, segment: u64, piece: DownlinkFrame<'_>) {
        let (Some(session), Some(own)) = (self.session.upgrade(), &self.sound) else {
            return;
        };
        let rate = own.rates.output;
        let sound = match piece {
            DownlinkFrame::Samples(samples) => Sound::Pcm {
                data: samples
                    .iter()
                    .flat_map(|sample| sample.to_le_bytes())
                    .collect(),
                rate,
            },
            DownlinkFrame::Length(samples) => Sound::Unheard { samples, rate },
            // It is not asked for.
            DownlinkFrame::Packet(_) => return,
        };
        session
            .act(|conversation, now| conversation.sound(self.connection_id, segment, sound, now));
    }

    fn on_segment_ended(&self, segment: u64) {
        if let Some(session) = self.session.upgrade() {
            session.act(|conversation, _| conversation.sound_ended(self.connection_id, segment));
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
