//! How much may wait to be sent, and what has been sent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::transport::SoundStats;

/// Bounds on what may wait to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutgoingLimits {
    /// Senders that wait are held while more bytes than this are queued: 256 KiB.
    pub high_water: usize,
    /// Past this, the oldest audio is dropped; where that does not help, the connection ends with an
    /// error that names this limit: 4 MiB. One message that is longer than this by itself may wait
    /// besides; a second one is refused.
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

/// What has passed over the newest connection. Tests wait with it until nothing moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    pub frames_read: u64,
    pub messages_queued: u64,
    pub messages_flushed: u64,
    pub audio_dropped: u64,
}

impl Traffic {
    /// All of them, in the order of the fields.
    pub fn numbers(self) -> (u64, u64, u64, u64) {
        (
            self.frames_read,
            self.messages_queued,
            self.messages_flushed,
            self.audio_dropped,
        )
    }
}

/// [`Traffic`] as it is counted, by any thread.
#[derive(Debug, Default)]
pub(super) struct Counters {
    frames_read: AtomicU64,
    messages_queued: AtomicU64,
    messages_flushed: AtomicU64,
    audio_dropped: AtomicU64,
    /// Of the media track, where there is one.
    sound: Option<Box<Mutex<SoundStats>>>,
}

impl Counters {
    pub fn new(has_media_track: bool) -> Self {
        Self {
            sound: has_media_track.then(Box::default),
            ..Self::default()
        }
    }

    pub fn note_sound(&self, stats: SoundStats) {
        if let Some(sound) = &self.sound {
            *sound.lock().unwrap_or_else(PoisonError::into_inner) = stats;
        }
    }

    pub fn sound(&self) -> Option<SoundStats> {
        let sound = self.sound.as_ref()?;
        Some(*sound.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn frame_read(&self) {
        self.frames_read.fetch_add(1, Ordering::AcqRel);
    }

    /// A message was queued, and `dropped` audio messages went for it.
    pub fn queued(&self, dropped: u64) {
        self.messages_queued.fetch_add(1, Ordering::AcqRel);
        // A message that was dropped waits no longer: the sums are equal when nothing waits.
        self.flushed(dropped);
        self.dropped(dropped);
    }

    pub fn flushed(&self, messages: u64) {
        self.messages_flushed.fetch_add(messages, Ordering::AcqRel);
    }

    pub fn dropped(&self, audio: u64) {
        self.audio_dropped.fetch_add(audio, Ordering::AcqRel);
    }

    pub fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        Traffic {
            frames_read: read(&self.frames_read),
            messages_queued: read(&self.messages_queued),
            messages_flushed: read(&self.messages_flushed),
            audio_dropped: read(&self.audio_dropped),
        }
    }
}
