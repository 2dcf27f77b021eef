//! A long sound that is sent in real time, as a microphone would.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::audio::convert::ToWire;
use crate::conversation::{Conversation, Rejected};

use super::microphone::{AudioInput, Microphone, SendAudioError};
use super::pacer::Paced;

/// A stream that is later than this sends the rest later, in place of catching up: so much sound at once
/// would not be real time.
const MOST_BEHIND: Duration = Duration::from_secs(1);

/// A long sound. Its samples are shared, so that many sessions can send them.
#[derive(Debug, Clone)]
pub enum Recording {
    /// PCM, mono, at a rate of its own, or at the wire's where none is named.
    Samples(Arc<[i16]>, Option<u32>),
    /// In the format of the wire.
    Wire(Arc<[u8]>),
}

impl Recording {
    /// The number of samples. In the format of the wire a byte is a sample: only G.711 is given so.
    pub fn len(&self) -> usize {
        match self {
            Self::Samples(samples, _) => samples.len(),
            Self::Wire(bytes) => bytes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn piece(&self, from: usize, to: usize) -> AudioInput<'_> {
        match self {
            Self::Samples(samples, rate) => AudioInput::Samples(&samples[from..to], *rate),
            Self::Wire(bytes) => AudioInput::Wire(&bytes[from..to]),
        }
    }
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streamed {
    /// The duration of the sound that was sent.
    pub sent: Duration,
    /// The error that stopped it. `None` where it was sent to its end or was cancelled.
    pub failure: Option<SendAudioError>,
}

struct Underway {
    microphone: Weak<Microphone>,
    /// The connection that was current when it began. It ends with that one.
    connection_id: u64,
    recording: Recording,
    converter: ToWire,
    commit: bool,
    /// Samples per second, and per piece.
    rate: u32,
    piece: usize,
    sent: usize,
    /// When the first sample was due. Each delay moves it.
    began: Option<Instant>,
    ended: Box<dyn FnOnce(Streamed) + Send>,
}

impl Underway {
    fn played(&self) -> Duration {
        Duration::from_secs_f64(self.sent as f64 / f64::from(self.rate))
    }

    /// Sends a piece. Returns when the next one is due, or the failure with which the stream ended.
    fn step(&mut self, now: Instant) -> Result<Instant, Option<SendAudioError>> {
        let gone = || Some(SendAudioError::Rejected(Rejected::NotConnected));
        let microphone = self.microphone.upgrade().ok_or_else(gone)?;
        let session = microphone.session();
        if session.look(Conversation::connection_id) != self.connection_id {
            return Err(gone());
        }
        let all = self.recording.len();
        if self.sent == all {
            // The last piece has been spoken.
            return Err(None);
        }
        if session.is_congested() {
            // Recorded sound can wait for the server: none of it need be dropped.
            let later = now + self.lasts(self.piece);
            self.began = later.checked_sub(self.played());
            return Ok(later);
        }
        let began = *self.began.get_or_insert(now);
        let end = self.sent.saturating_add(self.piece).min(all);
        let piece = self.recording.piece(self.sent, end);
        let is_last = end == all;
        microphone.send_through(&mut self.converter, piece, is_last, self.commit && is_last)?;
        self.sent = end;
        let next = began + self.played();
        if next + MOST_BEHIND < now {
            self.began = now.checked_sub(self.played());
            return Ok(now);
        }
        Ok(next)
    }

    fn lasts(&self, samples: usize) -> Duration {
        Duration::from_secs_f64(samples as f64 / f64::from(self.rate))
    }

    fn end(self, failure: Option<SendAudioError>) {
        let sent = self.played();
        (self.ended)(Streamed { sent, failure });
    }
}

/// A recording that is being sent.
#[derive(Clone)]
pub struct Stream(Arc<Mutex<Option<Underway>>>);

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl Stream {
    /// Sends `recording` into `microphone` in real time, in pieces of `interval`. It begins when it is
    /// added to a [`Pacer`](super::Pacer). With `commit` the user's turn ends after it. `ended` is
    /// called once, by the pacer or by [`cancel`](Self::cancel).
    ///
    /// It pauses while more bytes wait to be sent than
    /// [`OutgoingLimits::high_water`](super::OutgoingLimits::high_water).
    pub fn new(
        microphone: &Arc<Microphone>,
        recording: Recording,
        interval: Duration,
        commit: bool,
        ended: impl FnOnce(Streamed) + Send + 'static,
    ) -> Result<Self, Rejected> {
        let connection_id = microphone.session().look(|conversation| {
            conversation.takes_audio()?;
            Ok(conversation.connection_id())
        })?;
        let format = microphone.format();
        let rate = match &recording {
            Recording::Samples(_, Some(rate)) => *rate,
            _ => format.sample_rate(),
        }
        .max(1);
        let piece = (interval.as_secs_f64() * f64::from(rate)).round() as usize;
        Ok(Self(Arc::new(Mutex::new(Some(Underway {
            microphone: Arc::downgrade(microphone),
            connection_id,
            recording,
            converter: ToWire::new(format),
            commit,
            rate,
            piece: piece.max(1),
            sent: 0,
            began: None,
            ended: Box::new(ended),
        })))))
    }

    fn underway(&self) -> MutexGuard<'_, Option<Underway>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops sending. Does nothing where it has ended.
    pub fn cancel(&self) {
        let cancelled = self.underway().take();
        if let Some(cancelled) = cancelled {
            cancelled.end(None);
        }
    }
}

impl Paced for Stream {
    fn advance(&mut self, now: Instant) -> Option<Instant> {
        let mut slot = self.underway();
        match slot.as_mut()?.step(now) {
            Ok(next) => Some(next),
            Err(failure) => {
                let ended = slot.take();
                drop(slot);
                ended?.end(failure);
                None
            }
        }
    }
}
