//! The user's sound that no item of the history holds yet, as it was sent: what a new connection has to
//! hear again.
//!
//! While nobody speaks the last second is kept; while the user speaks, all from where the server heard
//! the speech begin; without turn detection, all since the last commit. A committed item's sound is
//! kept until its transcript has come. What is kept is bounded, and the oldest goes first.
//!
//! Positions are in bytes since the connection began, as the server counts its milliseconds.

use std::collections::VecDeque;

use super::sound_pieces::SoundPieces;
use crate::audio::AudioFormat;
use crate::conversation::item::ItemId;

/// The silence after which every server takes a turn as over, in milliseconds.
const PAUSE_MS: u64 = 1000;

/// How much is kept while nobody speaks, in milliseconds.
const IDLE_MS: u64 = 1000;

/// Where the user's speech stands, as the server tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Speech {
    Silent,
    /// Since this position.
    Open(u64),
    /// Between these positions; an item is to hold it.
    Over {
        from: u64,
        to: u64,
    },
}

/// What a new connection has to hear, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::conversation) enum Unheard {
    Sound(Vec<u8>),
    /// The user's turn ends here.
    Commit,
}

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are independent of each other"
)]
pub(in crate::conversation) struct KeptSound {
    /// Milliseconds that may be kept of speech, and of committed items together.
    most_ms: u64,
    /// The same in bytes.
    most: u64,
    /// How many bytes are kept while nobody speaks.
    idle: u64,
    format: AudioFormat,
    /// The server detects no turns: the client commits.
    by_hand: bool,
    /// The user's speech is transcribed.
    transcribed: bool,
    waiting: SoundPieces,
    /// The position of the first byte that is kept.
    start: u64,
    speech: Speech,
    /// Where turns were committed that no item holds yet.
    commits: VecDeque<u64>,
    /// The sound of committed items, oldest first.
    items: VecDeque<(ItemId, SoundPieces)>,
    /// Sound goes over a media track, and messages have to be short.
    is_apart: bool,
    /// There is no connection: nothing is trimmed but by the bound.
    waits: bool,
    /// Bytes that were dropped at the bound since the connection was lost.
    dropped: u64,
}

impl KeptSound {
    pub fn new(most_ms: u64) -> Self {
        let mut sound = Self {
            most_ms,
            most: 0,
            idle: 0,
            format: AudioFormat::default(),
            by_hand: false,
            transcribed: false,
            waiting: SoundPieces::default(),
            start: 0,
            speech: Speech::Silent,
            commits: VecDeque::new(),
            items: VecDeque::new(),
            is_apart: false,
            waits: false,
            dropped: 0,
        };
        sound.measure();
        sound
    }

    /// Reckons the bounds in bytes.
    fn measure(&mut self) {
        self.most = self.bytes(self.most_ms);
        self.idle = self.bytes(IDLE_MS);
    }

    /// Takes note of what the session's configuration says of the user's sound.
    pub fn configured(&mut self, format: AudioFormat, by_hand: bool, transcribed: bool) {
        if format != self.format {
            // What was kept is noise in another format.
            let is_apart = self.is_apart;
            *self = Self::new(self.most_ms);
            self.is_apart = is_apart;
        }
        (self.format, self.by_hand, self.transcribed) = (format, by_hand, transcribed);
        self.measure();
    }

    fn bytes(&self, ms: u64) -> u64 {
        let sample = self.format.bytes_per_sample() as u64;
        ms * u64::from(self.format.sample_rate()) / 1000 * sample
    }

    fn end(&self) -> u64 {
        self.start + self.waiting.len() as u64
    }

    /// The bytes that are kept.
    pub fn len(&self) -> usize {
        self.waiting.len()
            + self
                .items
                .iter()
                .map(|(_, sound)| sound.len())
                .sum::<usize>()
    }

    pub fn append(&mut self, wire: &[u8]) {
        let from = self.needed_from(self.end() + wire.len() as u64);
        // First what goes, so that its memory is there for what comes.
        self.trim_to(from);
        self.waiting.push(wire);
        // What came may be longer than what is kept.
        self.trim_to(from);
    }

    /// The client ends the user's turn here.
    pub fn commit(&mut self) {
        self.commits.push_back(self.end());
    }

    fn trim(&mut self) {
        self.trim_to(self.needed_from(self.end()));
    }

    /// From where sound is needed once it ends at `end`.
    fn needed_from(&self, end: u64) -> u64 {
        let bound = end.saturating_sub(self.most);
        match &self.speech {
            Speech::Open(from) | Speech::Over { from, .. } => (*from).max(bound),
            Speech::Silent if self.by_hand || self.waits || !self.commits.is_empty() => bound,
            Speech::Silent => bound.max(end.saturating_sub(self.idle)),
        }
    }

    fn trim_to(&mut self, position: u64) {
        let start = self.start;
        self.drop_to(position);
        if self.waits {
            self.dropped += self.start - start;
        }
    }

    fn drop_to(&mut self, position: u64) {
        let position = position.min(self.end());
        if position > self.start {
            self.waiting.drop_front((position - self.start) as usize);
            self.start = position;
        }
    }

    pub fn speech_started(&mut self, ms: Option<u64>) {
        let from = ms.map_or(self.start, |ms| self.bytes(ms).max(self.start));
        self.speech = Speech::Open(from.min(self.end()));
        self.trim();
    }

    pub fn speech_stopped(&mut self, ms: Option<u64>) {
        let from = match self.speech {
            Speech::Open(from) | Speech::Over { from, .. } => from,
            Speech::Silent => self.start,
        };
        let end = self.end();
        let to = ms
            .map_or(end, |ms| self.bytes(ms))
            .clamp(from, end.max(from));
        self.speech = Speech::Over { from, to };
    }

    /// The server holds the sound so far in that item.
    pub fn committed(&mut self, item_id: Option<&str>) {
        let (from, to) = match (self.commits.pop_front(), &self.speech) {
            (Some(at), _) => (self.start, at),
            (None, Speech::Over { from, to }) => (*from, *to),
            (None, Speech::Open(from)) => (*from, self.end()),
            (None, Speech::Silent) => (self.start, self.end()),
        };
        self.speech = Speech::Silent;
        self.drop_to(from);
        let sound = self
            .waiting
            .take_front(to.saturating_sub(self.start) as usize);
        self.start = self.start.max(to);
        if let Some(item_id) = item_id {
            self.keep_item(item_id.into(), sound);
        }
        self.trim();
    }

    fn keep_item(&mut self, item_id: ItemId, sound: SoundPieces) {
        if !self.transcribed {
            // Its transcript will not come: the newest one is what the next answer is about.
            self.items.clear();
        }
        self.items.retain(|(known, _)| *known != item_id);
        if sound.len() > 0 {
            self.items.push_back((item_id, sound));
        }
        let most = self.most as usize;
        let mut kept: usize = self.items.iter().map(|(_, sound)| sound.len()).sum();
        while kept > most
            && let Some((_, oldest)) = self.items.pop_front()
        {
            kept -= oldest.len();
        }
    }

    /// The server dropped what no item holds.
    pub fn cleared(&mut self) {
        self.speech = Speech::Silent;
        self.commits.clear();
        self.drop_to(self.end());
    }

    /// The sound of an item is not needed any more.
    pub fn forget(&mut self, item_id: &str) {
        self.items.retain(|(known, _)| **known != *item_id);
        if self.items.is_empty() {
            self.items = VecDeque::new();
        }
    }

    /// An answer has ended: without transcription there is nothing to wait for.
    pub fn answered(&mut self) {
        if !self.transcribed {
            self.items = VecDeque::new();
        }
    }

    /// The sound of an item whose transcript has not come.
    pub fn of_item(&self, item_id: &str) -> Option<Vec<u8>> {
        let mut items = self.items.iter();
        let (_, sound) = items.find(|(known, _)| **known == *item_id)?;
        Some(sound.copy(0, sound.len()))
    }

    /// Sound goes over a media track: no message has any.
    pub fn goes_apart(&mut self, is_apart: bool) {
        self.is_apart = is_apart;
    }

    pub fn is_apart(&self) -> bool {
        self.is_apart
    }

    /// Whether the client ends the user's turns.
    pub fn is_by_hand(&self) -> bool {
        self.by_hand
    }

    pub fn is_speech_open(&self) -> bool {
        matches!(self.speech, Speech::Open(_))
    }

    /// Whether the server was to end the user's turn, and has not said in which item it is: another
    /// server does so by itself.
    pub fn is_to_be_detected(&self) -> bool {
        matches!(self.speech, Speech::Over { .. })
    }

    /// Whether the user's turn is over, and no item holds it.
    pub fn is_turn_over(&self) -> bool {
        matches!(self.speech, Speech::Over { .. }) || !self.commits.is_empty()
    }

    /// The connection is lost: all that comes is kept, up to the bound.
    pub fn suspend(&mut self) {
        self.waits = true;
        self.dropped = 0;
    }

    /// What the new connection has to hear, and the milliseconds that were lost at the bound. Positions
    /// count from its beginning.
    pub fn resume(&mut self) -> (Vec<Unheard>, u64) {
        let cuts: Vec<u64> = self.commits.iter().copied().collect();
        let mut from = self.start;
        let was_open = match self.speech {
            Speech::Open(since) => {
                from = since;
                true
            }
            // The server detects turns: it ends this one again, and answers it by itself.
            Speech::Over { from: since, to } => {
                from = since;
                let quiet = self.end().saturating_sub(to);
                let missing = self.bytes(PAUSE_MS).saturating_sub(quiet) as usize;
                self.waiting.push(&vec![self.format.silence(); missing]);
                true
            }
            Speech::Silent => false,
        };
        self.drop_to(from);
        let mut unheard = Vec::new();
        let (base, end) = (self.start, self.end());
        let mut at = base;
        for cut in &cuts {
            let cut = (*cut).clamp(at, end);
            if cut > at {
                let piece = self
                    .waiting
                    .copy((at - base) as usize, (cut - base) as usize);
                unheard.push(Unheard::Sound(piece));
                unheard.push(Unheard::Commit);
            }
            at = cut;
        }
        if end > at {
            let rest = self
                .waiting
                .copy((at - base) as usize, (end - base) as usize);
            unheard.push(Unheard::Sound(rest));
        }
        self.commits = cuts.iter().map(|cut| cut.saturating_sub(base)).collect();
        self.commits.retain(|cut| *cut > 0);
        self.start = 0;
        self.speech = if was_open {
            Speech::Open(0)
        } else {
            Speech::Silent
        };
        self.waits = false;
        let rate = self.bytes(1000).max(1);
        (unheard, std::mem::take(&mut self.dropped) * 1000 / rate)
    }

    /// Takes back the sound of items whose transcripts have not come: another server is to hear it again, in
    /// front of what no item holds.
    pub fn take_back(&mut self) {
        let items = std::mem::take(&mut self.items);
        if items.is_empty() {
            return;
        }
        let rest = std::mem::take(&mut self.waiting);
        let (start, mut commits) = (self.start, VecDeque::new());
        for (_, sound) in items {
            self.waiting.push(&sound.copy(0, sound.len()));
            if self.by_hand {
                commits.push_back(self.waiting.len() as u64);
            } else {
                let pause = self.bytes(PAUSE_MS) as usize;
                self.waiting.push(&vec![self.format.silence(); pause]);
            }
        }
        let shift = self.waiting.len() as u64;
        let moved = |position: u64| shift + position.saturating_sub(start);
        commits.extend(self.commits.iter().map(|position| moved(*position)));
        self.commits = commits;
        self.waiting.push(&rest.copy(0, rest.len()));
        self.start = 0;
        self.speech = match self.speech {
            Speech::Silent if self.by_hand => Speech::Silent,
            Speech::Silent | Speech::Open(_) => Speech::Open(0),
            Speech::Over { to, .. } => Speech::Over {
                from: 0,
                to: moved(to),
            },
        };
    }

    /// Forgets everything: the conversation begins anew.
    pub fn reset(&mut self) {
        let before = std::mem::replace(self, Self::new(self.most_ms));
        self.is_apart = before.is_apart;
        self.configured(before.format, before.by_hand, before.transcribed);
    }
}

#[cfg(test)]
mod tests;
