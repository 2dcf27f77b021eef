//! The caller's sound on its way in: put in order, with its gaps filled, in batches.
//!
//! Turn detection counts milliseconds of sound, so a gap is filled with silence: a packet that was lost
//! must not make the caller's pause shorter. While speech is open and nothing comes at all, silence goes
//! in as time passes, or the turn would never end; it is taken off the gap that is found afterwards.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::carrier::Media;
use crate::audio::AudioFormat;

/// How the caller's sound is taken in, each with its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakeOptions {
    /// How much sound goes to the model in one message: 80 ms. Zero: each packet by itself.
    pub batch: Duration,
    /// The longest gap that is filled with silence: 10 s.
    pub max_gap: Duration,
    /// How long nothing may come while speech is open before silence goes in: 750 ms; `None`: for ever.
    pub inactivity: Option<Duration>,
    /// How many packets that came too early wait for those before them: 5.
    pub max_early: usize,
}

impl Default for IntakeOptions {
    fn default() -> Self {
        Self {
            batch: Duration::from_millis(80),
            max_gap: Duration::from_secs(10),
            inactivity: Some(Duration::from_millis(750)),
            max_early: 5,
        }
    }
}

/// What was done to the caller's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IntakeStats {
    pub packets: u64,
    /// Packets that came after their place had been passed on, or twice.
    pub dropped: u64,
    /// Packets that came in another order than they were sent.
    pub reordered: u64,
    /// Milliseconds of silence that were put in place of sound.
    pub filled_ms: u64,
}

/// A step between two packets that is less than this off is jitter of the carrier's clock, in
/// milliseconds.
const TOLERANCE_MS: f64 = 15.0;

/// A step of the packets' numbers beyond this is no loss: 20 s of packets of 20 ms.
const MAX_JUMP: u64 = 1_000;

/// A packet that is later than this is not late: the carrier's clock was set back, in milliseconds.
const MAX_LATE_MS: f64 = 2_000.0;

/// A step of the packets' times beyond this is no loss, in milliseconds.
const MAX_STEP_MS: f64 = 3_600_000.0;

/// So many packets one behind the other that are all too late are not late either: the carrier counts
/// from somewhere else.
const MAX_BEHIND: u32 = 3;

/// How long an incomplete batch waits for more.
const PATIENCE: Duration = Duration::from_millis(120);

/// Silence of this length goes in at once, while nothing comes.
const SILENCE: Duration = Duration::from_millis(100);

/// One stream of the caller's sound.
#[derive(Debug)]
pub struct Intake {
    options: IntakeOptions,
    format: AudioFormat,
    batch: Vec<u8>,
    /// When the first sound of the batch came.
    batch_since: Option<Duration>,
    /// Bytes of the batch that are silence in place of what is missing, and where each begins in
    /// milliseconds of the stream.
    holes: Vec<(f64, Range<usize>)>,
    /// Where the sound that came ends, in milliseconds of the stream.
    end_ms: Option<f64>,
    next_number: Option<u64>,
    /// The number and the time of the packet that came last.
    last: Option<(u64, Option<u64>)>,
    /// How many packets, one behind the other, were too late, and where the last of them stood.
    behind: Option<(u64, u32)>,
    /// Packets whose predecessors have not come.
    early: BTreeMap<u64, (Option<u64>, Vec<u8>)>,
    /// Silence that went in while nothing came, in milliseconds.
    advanced_ms: f64,
    is_speech_open: bool,
    is_paused: bool,
    last_packet: Option<Duration>,
    stats: IntakeStats,
}

impl Intake {
    pub fn new(options: IntakeOptions, format: AudioFormat) -> Self {
        Self {
            options,
            format,
            batch: Vec::new(),
            batch_since: None,
            holes: Vec::new(),
            end_ms: None,
            next_number: None,
            last: None,
            behind: None,
            early: BTreeMap::new(),
            advanced_ms: 0.0,
            is_speech_open: false,
            is_paused: false,
            last_packet: None,
            stats: IntakeStats::default(),
        }
    }

    pub fn format(&self) -> AudioFormat {
        self.format
    }

    pub fn stats(&self) -> IntakeStats {
        self.stats
    }

    /// The stream begins anew, perhaps in another format: its numbers and times mean something else.
    pub fn restart(&mut self, format: AudioFormat) {
        if format != self.format {
            // It would be read as something else.
            self.batch.clear();
            self.batch_since = None;
        }
        self.format = format;
        self.forget_place();
        self.advanced_ms = 0.0;
    }

    /// What came before is told to nobody: no gap is made of the time until the next packet.
    pub fn forget_place(&mut self) {
        self.end_ms = None;
        self.next_number = None;
        self.last = None;
        self.behind = None;
        self.early.clear();
        self.holes.clear();
    }

    /// The caller has begun to speak, as the server says, or has stopped.
    pub fn speech(&mut self, is_open: bool, now: Duration) {
        self.is_speech_open = is_open;
        if is_open && self.last_packet.is_some() {
            self.last_packet = self.last_packet.max(Some(now));
        }
    }

    /// While paused, sound is dropped, and no gap is made of it.
    pub fn pause(&mut self, paused: bool) {
        self.is_paused = paused;
        if paused {
            self.batch.clear();
            self.batch_since = None;
            self.forget_place();
        }
    }

    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// A packet came. `reorders`: its number tells its place; otherwise it stands where it came.
    ///
    /// Returns the silence that was put in front of it beyond the time in which nothing came, in milliseconds:
    /// a far end whose clock leaps has it for nothing.
    pub fn packet(&mut self, media: Media<'_>, reorders: bool, now: Duration) -> f64 {
        let (before_ms, before) = (self.stats.filled_ms, self.last_packet);
        self.put(media, reorders, now);
        let filled_ms = self.stats.filled_ms - before_ms;
        if filled_ms == 0 {
            return 0.0;
        }
        let since = before.map_or(Duration::ZERO, |before| now.saturating_sub(before));
        (filled_ms as f64 - since.as_secs_f64() * 1000.0).max(0.0)
    }

    fn put(&mut self, media: Media<'_>, reorders: bool, now: Duration) {
        self.stats.packets += 1;
        self.last_packet = Some(now);
        if self.is_paused {
            return;
        }
        self.batch_since.get_or_insert(now);
        let Some(number) = media.number else {
            self.place(media.at_ms, media.sound);
            return;
        };
        let this = Some((number, media.at_ms));
        if std::mem::replace(&mut self.last, this) == this {
            self.stats.dropped += 1;
            return;
        }
        if !reorders {
            // They come in the order of their numbers, whatever these are.
            self.place(media.at_ms, media.sound);
            return;
        }
        let mut next = *self.next_number.get_or_insert(number);
        if number.abs_diff(next) > MAX_JUMP || (number < next && !self.take_late(number, media)) {
            // The carrier counts from somewhere else now.
            self.forget_place();
            self.next_number = Some(number);
            next = number;
        }
        if number == next {
            self.next_number = Some(number.saturating_add(1));
            self.place(media.at_ms, media.sound);
            self.take_early();
        } else if number > next {
            self.stats.reordered += 1;
            let known = self
                .early
                .insert(number, (media.at_ms, media.sound.to_vec()));
            self.stats.dropped += u64::from(known.is_some());
            if self.early.len() > self.options.max_early {
                // What is missing does not come any more.
                self.next_number = self.early.keys().next().copied();
                self.take_early();
            }
        }
    }

    /// A piece of the stream goes past the intake: it is packets, for a model that takes them, and they are in
    /// order. False: it is dropped, for input is paused. What is held is to be passed on before it.
    pub fn pass(&mut self, at_ms: u64, length_ms: f64, now: Duration) -> bool {
        self.stats.packets += 1;
        self.last_packet = Some(now);
        if self.is_paused {
            return false;
        }
        // Sound that follows begins behind it.
        self.forget_place();
        self.end_ms = Some(at_ms as f64 + length_ms);
        self.advanced_ms = 0.0;
        true
    }

    fn take_early(&mut self) {
        while let Some(first) = self.early.first_entry()
            && Some(*first.key()) <= self.next_number
        {
            let (number, (at_ms, sound)) = first.remove_entry();
            self.next_number = Some(number.saturating_add(1));
            self.place(at_ms, &sound);
        }
    }

    /// Takes a packet that comes after a later one: it has a place only where silence stands for it.
    /// False, and not taken: it is the next packet of a carrier that counts from somewhere else. `key`
    /// tells which of two such packets is the later.
    fn take_late(&mut self, key: u64, media: Media<'_>) -> bool {
        if self.fill_hole(media) {
            return true;
        }
        let count = match self.behind {
            Some((last, count)) if key > last => count + 1,
            Some((_, count)) => count,
            None => 1,
        };
        self.behind = Some((key, count));
        let is_late = count < MAX_BEHIND;
        self.stats.dropped += u64::from(is_late);
        is_late
    }

    /// Puts a late packet in the place of the silence that stands for it, if there is such.
    fn fill_hole(&mut self, media: Media<'_>) -> bool {
        let length = media.sound.len();
        let hole = media.at_ms.and_then(|at_ms| {
            let at_ms = at_ms as f64;
            self.holes
                .iter()
                .enumerate()
                .find_map(|(index, (begin_ms, bytes))| {
                    let offset = bytes.start + self.bytes_of(at_ms - begin_ms);
                    let fits = at_ms >= *begin_ms && offset + length <= bytes.end;
                    fits.then_some((index, offset))
                })
        });
        let Some((index, offset)) = hole else {
            return false;
        };
        self.batch[offset..offset + length].copy_from_slice(media.sound);
        self.stats.reordered += 1;
        // Its place is taken: a second one like it is dropped.
        let (begin_ms, bytes) = self.holes.swap_remove(index);
        let (before, behind) = (bytes.start..offset, offset + length..bytes.end);
        let behind_ms = begin_ms + self.format.duration_ms((behind.start - bytes.start) as u64);
        self.holes
            .extend((!before.is_empty()).then_some((begin_ms, before)));
        self.holes
            .extend((!behind.is_empty()).then_some((behind_ms, behind)));
        true
    }

    /// Appends sound that begins at `at_ms` of the stream.
    fn place(&mut self, at_ms: Option<u64>, sound: &[u8]) {
        let length_ms = self.format.duration_ms(sound.len() as u64);
        let Some(key) = at_ms else {
            self.end_ms = self.end_ms.map(|end_ms| end_ms + length_ms);
            return self.append(sound);
        };
        let at_ms = key as f64;
        let mut off_ms = self.end_ms.map_or(0.0, |end_ms| at_ms - end_ms);
        if off_ms < -TOLERANCE_MS.max(length_ms / 2.0) {
            let media = Media {
                sound,
                number: None,
                at_ms: Some(key),
            };
            if off_ms >= -MAX_LATE_MS && self.take_late(key, media) {
                return;
            }
            off_ms = self.begin_at(at_ms);
        } else if off_ms > MAX_STEP_MS {
            off_ms = self.begin_at(at_ms);
        } else if off_ms > TOLERANCE_MS {
            // Times are whole milliseconds: what is missing is, too.
            let most_ms = self.options.max_gap.as_secs_f64() * 1000.0;
            let gap_ms = (off_ms - self.advanced_ms).clamp(0.0, most_ms).round();
            self.fill(gap_ms, at_ms - gap_ms);
        }
        // Small steps of the carrier's clock do not add up.
        let is_jitter = off_ms.abs() <= TOLERANCE_MS;
        let begin_ms = self.end_ms.filter(|_| is_jitter).unwrap_or(at_ms);
        let drift_ms = if is_jitter { off_ms / 16.0 } else { 0.0 };
        self.end_ms = Some(begin_ms + drift_ms + length_ms);
        self.append(sound);
    }

    /// The carrier's clock was set: its times begin anew. Returns how far they are off now.
    fn begin_at(&mut self, at_ms: f64) -> f64 {
        self.end_ms = Some(at_ms);
        self.holes.clear();
        0.0
    }

    fn append(&mut self, sound: &[u8]) {
        self.behind = None;
        self.advanced_ms = 0.0;
        self.batch.extend_from_slice(sound);
    }

    /// Puts silence in place of what is missing from `begin_ms` on.
    fn fill(&mut self, gap_ms: f64, begin_ms: f64) {
        let bytes = self.bytes_of(gap_ms);
        if bytes == 0 {
            return;
        }
        let start = self.batch.len();
        self.batch.resize(start + bytes, self.format.silence());
        self.holes.push((begin_ms, start..start + bytes));
        self.stats.filled_ms += gap_ms.round() as u64;
    }

    /// Whole samples that last so long, in bytes.
    fn bytes_of(&self, ms: f64) -> usize {
        let samples = ms.max(0.0) * f64::from(self.format.sample_rate()) / 1000.0;
        samples.round() as usize * self.format.bytes_per_sample()
    }

    /// Whether any sound waits to be passed on.
    pub fn has_sound(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Whether the batch is to be passed on.
    pub fn is_ready(&self, now: Duration) -> bool {
        !self.batch.is_empty() && (self.is_full() || self.is_overdue(now))
    }

    fn is_full(&self) -> bool {
        let target_ms = self.options.batch.as_secs_f64() * 1000.0;
        self.batch.len() >= self.bytes_of(target_ms).max(1)
    }

    fn is_overdue(&self, now: Duration) -> bool {
        let due = self
            .batch_since
            .map(|since| since + self.options.batch + PATIENCE);
        due.is_some_and(|due| due <= now)
    }

    /// The sound that came and was not passed on.
    pub fn take(&mut self) -> Vec<u8> {
        self.batch_since = None;
        self.holes.clear();
        let capacity = self.batch.capacity();
        std::mem::replace(&mut self.batch, Vec::with_capacity(capacity.min(4096)))
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let batch = self
            .batch_since
            .map(|since| since + self.options.batch + PATIENCE);
        [batch, self.silence_due()].into_iter().flatten().min()
    }

    /// When silence is to go in, because nothing comes.
    fn silence_due(&self) -> Option<Duration> {
        let inactivity = self
            .options
            .inactivity
            .filter(|_| self.is_speech_open && !self.is_paused)?;
        let advanced = Duration::from_secs_f64(self.advanced_ms / 1000.0);
        Some(self.last_packet? + inactivity + advanced)
    }

    /// Puts silence in where nothing has come for too long. The first piece makes up for the wait.
    pub fn handle_timeout(&mut self, now: Duration) {
        let Some(inactivity) = self.options.inactivity else {
            return;
        };
        while let Some(due) = self.silence_due()
            && due <= now
        {
            let piece = if self.advanced_ms == 0.0 {
                inactivity.max(SILENCE)
            } else {
                SILENCE
            };
            let piece_ms = piece.as_secs_f64() * 1000.0;
            let length = self.batch.len() + self.bytes_of(piece_ms);
            self.batch.resize(length, self.format.silence());
            self.batch_since.get_or_insert(now);
            self.advanced_ms += piece_ms;
            self.stats.filled_ms += piece_ms as u64;
        }
    }
}

#[cfg(test)]
mod tests;
