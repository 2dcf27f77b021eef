//! Playback: a queue of parts on one output stream, which tells what was heard of each.
//!
//! Audio is generated faster than it plays, so several parts may wait at once: of one item, of
//! several items, of several responses. Each part begins where the one before it ends. What was
//! heard is one number, the position on the stream. It comes from the clock, or from a player that
//! reports it. The clock stands while nothing is left to play.

mod stopping;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::audio::format::AudioFormat;

pub(super) use stopping::Cut;

/// How the position of playback is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlaybackSource {
    /// By the wall clock: audio plays from the moment it arrives, or after the audio before it.
    #[default]
    Clock,
    /// By the player's reports.
    Reports,
    /// By the caller's end of a call, which tells how much of the stream it has still to play.
    Caller,
}

impl PlaybackSource {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "clock" => Some(Self::Clock),
            "reports" => Some(Self::Reports),
            "caller" => Some(Self::Caller),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Reports => "reports",
            Self::Caller => "caller",
        }
    }
}

/// How many parts may wait. Beyond that the oldest counts as heard. Only a player that never
/// reports, or a server that never ends a response, gets there.
const MAX_PARTS: usize = 64;

/// How many runs may wait. Only a server that mixes several parts chunk by chunk gets there.
const MAX_RUNS: usize = 1024;

/// The part of a run that belongs to none: parts are numbered from 1.
const NO_PART: u64 = 0;

/// Lengths of audio are sums of fractions of a millisecond. This is above what such a sum can be
/// off, and below one sample.
const ROUNDING_MS: f64 = 0.001;

/// One content part of an answer, which has audio that is not known to have been heard.
#[derive(Debug)]
struct Part {
    /// Its number, in the order of arrival.
    number: u64,
    response_id: Arc<str>,
    item_id: Arc<str>,
    content_index: usize,
    /// Milliseconds of audio that were received.
    received_ms: f64,
    /// Milliseconds of its runs that have been played and left the queue.
    heard_ms: f64,
    /// No more audio of it will come.
    complete: bool,
}

impl Part {
    /// Whether it was heard to its end.
    fn is_heard(&self) -> bool {
        self.complete && self.heard_ms + ROUNDING_MS >= self.received_ms
    }

    fn is(&self, response_id: &str, item_id: &str, content_index: usize) -> bool {
        // The ids of the newest part are mostly the same ones, not only equal.
        let same = |one: &str, other: &str| std::ptr::eq(one, other) || one == other;
        self.content_index == content_index
            && same(&self.item_id, item_id)
            && same(&self.response_id, response_id)
    }
}

/// Audio of one part that plays without a gap. A part has several runs where audio of another part
/// came in between.
#[derive(Debug)]
struct Run {
    part: u64,
    /// Its position on the stream.
    begin_ms: f64,
    length_ms: f64,
}

impl Run {
    fn end_ms(&self) -> f64 {
        self.begin_ms + self.length_ms
    }
}

/// A part that was heard to its end.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HeardPart {
    pub(super) response_id: Arc<str>,
    pub(super) item_id: Arc<str>,
    pub(super) content_index: usize,
    pub(super) length_ms: f64,
}

#[derive(Debug)]
pub(super) struct Playback {
    source: PlaybackSource,
    parts: VecDeque<Part>,
    runs: VecDeque<Run>,
    /// How many parts there have been.
    count: u64,
    /// The end of the stream, in milliseconds.
    end_ms: f64,
    /// The position on the stream at `since`.
    position_ms: f64,
    since: Duration,
    /// Parts that were heard to their end, until [`Playback::take_heard`].
    heard: Vec<HeardPart>,
    /// The format of the session's output, where the last `session.updated` named one.
    format: Option<AudioFormat>,
}

impl Playback {
    pub(super) fn new(source: PlaybackSource) -> Self {
        Self {
            source,
            parts: VecDeque::new(),
            runs: VecDeque::new(),
            count: 0,
            end_ms: 0.0,
            position_ms: 0.0,
            since: Duration::ZERO,
            heard: Vec::new(),
            format: None,
        }
    }

    pub(super) fn source(&self) -> PlaybackSource {
        self.source
    }

    pub(super) fn set_format(&mut self, format: Option<AudioFormat>) {
        self.format = format;
    }

    pub(super) fn format(&self) -> Option<AudioFormat> {
        self.format
    }

    /// The ids of the response and the item of the newest part.
    pub(super) fn ids(&self) -> Option<(&Arc<str>, &Arc<str>)> {
        let part = self.parts.back()?;
        Some((&part.response_id, &part.item_id))
    }

    /// Whether nothing is left to play, and nothing may follow what has been played.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The items of the parts that are left.
    pub(super) fn items(&self) -> impl Iterator<Item = &Arc<str>> {
        self.parts.iter().map(|part| &part.item_id)
    }

    /// Whether all audio of the parts of that response that are left has come.
    pub(super) fn is_complete(&self, response_id: &str) -> bool {
        let mut parts = self.parts.iter();
        parts.all(|part| *part.response_id != *response_id || part.complete)
    }

    /// Whether a part of that response is left.
    pub(super) fn holds(&self, response_id: &str) -> bool {
        self.parts
            .iter()
            .any(|part| *part.response_id == *response_id)
    }

    /// Announces a part whose audio may come later, or names the part of audio that came without.
    pub(super) fn announce(&mut self, response_id: &str, item_id: &str, content_index: usize) {
        let unnamed =
            |part: &&mut Part| part.item_id.is_empty() && *part.response_id == *response_id;
        if let Some(part) = self.parts.iter_mut().find(unnamed) {
            part.item_id = item_id.into();
            part.content_index = content_index;
            return;
        }
        let known = |part: &Part| part.is(response_id, item_id, content_index);
        if !self.parts.iter().any(known) {
            self.add(response_id.into(), item_id.into(), content_index);
        }
    }

    fn add(&mut self, response_id: Arc<str>, item_id: Arc<str>, content_index: usize) -> u64 {
        self.count += 1;
        self.parts.reserve_exact(1);
        self.parts.push_back(Part {
            number: self.count,
            response_id,
            item_id,
            content_index,
            received_ms: 0.0,
            heard_ms: 0.0,
            complete: false,
        });
        if self.parts.len() > MAX_PARTS
            && let Some(oldest) = self.parts.pop_front()
        {
            self.runs.retain(|run| run.part != oldest.number);
        }
        self.count
    }

    /// Adds a chunk of `bytes` to the stream.
    pub(super) fn chunk(
        &mut self,
        response_id: &Arc<str>,
        item_id: &Arc<str>,
        content_index: usize,
        bytes: usize,
        format: AudioFormat,
        now: Duration,
    ) {
        self.advance(now);
        let length_ms = format.duration_ms(bytes as u64);
        let known = self
            .parts
            .iter_mut()
            .rev()
            .find(|part| part.is(response_id, item_id, content_index));
        let number = if let Some(part) = known {
            part.received_ms += length_ms;
            part.number
        } else {
            let (response_id, item_id) = (Arc::clone(response_id), Arc::clone(item_id));
            let number = self.add(response_id, item_id, content_index);
            if let Some(part) = self.parts.back_mut() {
                part.received_ms = length_ms;
            }
            number
        };
        match self.runs.back_mut() {
            Some(run) if run.part == number => run.length_ms += length_ms,
            _ => {
                self.runs.push_back(Run {
                    part: number,
                    begin_ms: self.end_ms,
                    length_ms,
                });
                if self.runs.len() > MAX_RUNS {
                    self.retire_run();
                }
            }
        }
        self.end_ms += length_ms;
    }

    /// No more audio of that part will come; without a `content_index`, of that item.
    pub(super) fn part_complete(
        &mut self,
        item_id: &str,
        content_index: Option<usize>,
        now: Duration,
    ) {
        for part in &mut self.parts {
            if *part.item_id == *item_id
                && content_index.is_none_or(|index| index == part.content_index)
            {
                part.complete = true;
            }
        }
        self.advance(now);
        self.retire_parts();
    }

    /// No more audio of that response will come.
    pub(super) fn response_complete(&mut self, response_id: &str, now: Duration) {
        for part in &mut self.parts {
            part.complete |= *part.response_id == *response_id;
        }
        self.advance(now);
        self.retire_parts();
    }

    /// Moves the position to `now`, and drops the parts that were heard to their end.
    pub(super) fn advance(&mut self, now: Duration) {
        if self.source == PlaybackSource::Clock {
            // Convert from whole microseconds: seconds as a float can round a millisecond away.
            let elapsed_ms = now.saturating_sub(self.since).as_micros() as f64 / 1000.0;
            self.position_ms = (self.position_ms + elapsed_ms).min(self.end_ms);
            self.since = now;
        }
        self.retire();
    }

    /// Drops the runs that have been played, and the parts that were heard to their end with them.
    fn retire(&mut self) {
        let before = self.runs.len();
        while let Some(run) = self.runs.front()
            && run.end_ms() <= self.position_ms + ROUNDING_MS
        {
            self.retire_run();
        }
        if self.runs.len() < before {
            self.retire_parts();
        }
    }

    /// Counts the first run as played.
    fn retire_run(&mut self) {
        let Some(run) = self.runs.pop_front() else {
            return;
        };
        let mut parts = self.parts.iter_mut().rev();
        if let Some(part) = parts.find(|part| part.number == run.part) {
            part.heard_ms += run.length_ms;
        }
    }

    fn retire_parts(&mut self) {
        let heard = &mut self.heard;
        self.parts.retain(|part| {
            let is_left = !part.is_heard();
            if !is_left {
                heard.push(HeardPart {
                    response_id: Arc::clone(&part.response_id),
                    item_id: Arc::clone(&part.item_id),
                    content_index: part.content_index,
                    length_ms: part.received_ms,
                });
            }
            is_left
        });
    }

    /// Whether parts were heard to their end since [`Self::take_heard`].
    pub(super) fn has_heard(&self) -> bool {
        !self.heard.is_empty()
    }

    /// The parts that were heard to their end since the last call, in their order.
    pub(super) fn take_heard(&mut self) -> Vec<HeardPart> {
        std::mem::take(&mut self.heard)
    }

    /// When the next part will have been heard to its end, as far as the clock tells.
    pub(super) fn next_end(&self) -> Option<Duration> {
        // Asked after each transaction, most of which find nothing to play.
        if self.parts.is_empty() || self.source != PlaybackSource::Clock {
            return None;
        }
        let complete = self.parts.iter().filter(|part| part.complete);
        let ends = complete.filter_map(|part| {
            let last = self.runs.iter().rev().find(|run| run.part == part.number);
            last.map(Run::end_ms)
        });
        let end_ms = ends.min_by(f64::total_cmp)?;
        let left_ms = (end_ms - self.position_ms).max(0.0);
        Some(self.since + Duration::from_micros((left_ms * 1000.0).ceil() as u64))
    }

    /// Milliseconds of audio that were received of a response whose parts are left.
    pub(super) fn length_of(&self, response_id: &str) -> Option<f64> {
        let parts = self.parts.iter();
        let of_response = parts.filter(|part| *part.response_id == *response_id);
        of_response
            .map(|part| part.received_ms)
            .reduce(|a, b| a + b)
    }

    /// Forgets the parts of a response, as if it had none.
    pub(super) fn forget(&mut self, response_id: &str) {
        self.parts.retain(|part| *part.response_id != *response_id);
    }

    /// Ends the parts of a response that was played to its end.
    pub(super) fn played_out(&mut self, response_id: &str) {
        for part in &mut self.parts {
            if *part.response_id == *response_id {
                part.complete = true;
                part.heard_ms = part.received_ms;
                let number = part.number;
                self.runs.retain(|run| run.part != number);
            }
        }
        self.retire_parts();
    }

    /// Handles the player's report that it has played `played_ms` of that part. All audio before
    /// that has been played then. The position never moves backward.
    pub(super) fn report(&mut self, item_id: &str, content_index: usize, played_ms: f64) {
        let part = self
            .parts
            .iter()
            .find(|part| *part.item_id == *item_id && part.content_index == content_index);
        let Some(part) = part.filter(|_| self.source == PlaybackSource::Reports) else {
            return;
        };
        let mut left_ms = played_ms.max(0.0) - part.heard_ms;
        for run in self.runs.iter().filter(|run| run.part == part.number) {
            if left_ms <= 0.0 {
                break;
            }
            let position_ms = run.begin_ms + left_ms.min(run.length_ms);
            self.position_ms = self.position_ms.max(position_ms);
            left_ms -= run.length_ms;
        }
        self.retire();
    }

    /// The caller's end has still to play the last `left_ms` of the stream. The position never moves
    /// backward.
    pub(super) fn left_to_play(&mut self, left_ms: f64) {
        if self.source == PlaybackSource::Caller {
            let position_ms = self.end_ms - left_ms.max(0.0);
            self.position_ms = self.position_ms.max(position_ms);
            self.retire();
        }
    }

    /// Sound that belongs to no answer takes this much room on the stream.
    pub(super) fn room(&mut self, length_ms: f64, now: Duration) {
        self.advance(now);
        self.runs.push_back(Run {
            part: NO_PART,
            begin_ms: self.end_ms,
            length_ms,
        });
        self.end_ms += length_ms;
        if self.runs.len() > MAX_RUNS {
            self.retire_run();
        }
    }

    /// Forgets the parts, for a new connection. The format stays until the server states another
    /// one, because the new connection gets the same configuration.
    pub(super) fn reset(&mut self) {
        self.parts.clear();
        self.runs.clear();
        self.heard.clear();
        self.position_ms = self.end_ms;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PCM: AudioFormat = AudioFormat::Pcm { rate: 24_000 };
    /// Bytes of a millisecond.
    const MS: usize = 48;

    fn at(ms: u64) -> Duration {
        Duration::from_secs(1) + Duration::from_millis(ms)
    }

    /// A chunk of that many milliseconds.
    fn chunk(playback: &mut Playback, item: &str, part: usize, ms: usize, now: Duration) {
        playback.chunk(&"r".into(), &item.into(), part, ms * MS, PCM, now);
    }

    fn playing(source: PlaybackSource, ms: usize) -> Playback {
        let mut playback = Playback::new(source);
        chunk(&mut playback, "i", 0, ms, at(0));
        playback
    }

    fn cuts(playback: &mut Playback, now: Duration) -> Vec<(String, usize, u64)> {
        let cuts = playback.interrupt(now).into_iter();
        cuts.map(|cut| (cut.item_id.to_string(), cut.content_index, cut.audio_end_ms))
            .collect()
    }

    fn cut(item: &str, part: usize, ms: u64) -> (String, usize, u64) {
        (item.to_owned(), part, ms)
    }

    #[test]
    fn the_cut_is_the_elapsed_time_in_whole_milliseconds() {
        let mut playback = playing(PlaybackSource::Clock, 200);
        let now = Duration::from_micros(1_050_900);
        assert_eq!(cuts(&mut playback, now), [cut("i", 0, 50)]);
        assert_eq!(cuts(&mut playback, now), []);
    }

    #[test]
    fn no_millisecond_is_lost_to_floating_point() {
        for ms in 0..200_000 {
            let mut playback = playing(PlaybackSource::Clock, 200_000);
            assert_eq!(cuts(&mut playback, at(ms)), [cut("i", 0, ms)]);
        }
    }

    #[test]
    fn the_cut_never_exceeds_the_audio_received() {
        let mut playback = playing(PlaybackSource::Clock, 200);
        assert_eq!(cuts(&mut playback, at(60_000)), [cut("i", 0, 200)]);
    }

    #[test]
    fn parts_play_one_after_the_other() {
        let mut playback = playing(PlaybackSource::Clock, 300);
        chunk(&mut playback, "i", 1, 300, at(10));
        chunk(&mut playback, "j", 0, 300, at(20));
        playback.part_complete("i", Some(0), at(20));
        assert_eq!(
            cuts(&mut playback, at(350)),
            [cut("i", 1, 50), cut("j", 0, 0)],
            "the first was heard to its end"
        );
    }

    #[test]
    fn a_part_that_may_go_on_is_cut_although_all_of_it_was_heard() {
        let mut playback = playing(PlaybackSource::Clock, 100);
        chunk(&mut playback, "j", 0, 100, at(0));
        assert_eq!(
            cuts(&mut playback, at(150)),
            [cut("i", 0, 100), cut("j", 0, 50)]
        );
    }

    #[test]
    fn the_clock_stands_while_nothing_is_left_to_play() {
        let mut playback = playing(PlaybackSource::Clock, 500);
        chunk(&mut playback, "i", 0, 4000, at(2500));
        assert_eq!(cuts(&mut playback, at(3500)), [cut("i", 0, 1500)]);
    }

    #[test]
    fn a_part_that_others_interleave_with_was_heard_in_pieces() {
        let mut playback = playing(PlaybackSource::Clock, 100);
        chunk(&mut playback, "j", 0, 100, at(0));
        chunk(&mut playback, "i", 0, 100, at(0));
        assert_eq!(
            cuts(&mut playback, at(250)),
            [cut("i", 0, 150), cut("j", 0, 100)]
        );
    }

    #[test]
    fn what_is_queued_behind_a_response_that_is_stopped_moves_up() {
        let mut playback = playing(PlaybackSource::Clock, 300);
        let other = |playback: &mut Playback, ms: usize| {
            playback.chunk(&"s".into(), &"j".into(), 0, ms * MS, PCM, at(0));
        };
        other(&mut playback, 200);
        chunk(&mut playback, "i", 1, 100, at(0));
        other(&mut playback, 200);
        let stopped = playback.interrupt_response("r", at(100)).into_iter();
        let stopped: Vec<_> = stopped
            .map(|cut| (cut.item_id.to_string(), cut.content_index, cut.audio_end_ms))
            .collect();
        assert_eq!(stopped, [cut("i", 0, 100), cut("i", 1, 0)]);
        assert_eq!(playback.interrupt_response("r", at(100)), []);
        assert_eq!(cuts(&mut playback, at(350)), [cut("j", 0, 250)]);
    }

    #[test]
    fn a_response_that_was_heard_to_its_end_is_not_stopped() {
        let mut playback = playing(PlaybackSource::Clock, 100);
        playback.response_complete("r", at(0));
        playback.chunk(&"s".into(), &"j".into(), 0, 100 * MS, PCM, at(0));
        assert_eq!(playback.interrupt_response("r", at(150)), []);
        assert_eq!(cuts(&mut playback, at(150)), [cut("j", 0, 50)]);
    }

    #[test]
    fn reports_of_the_player_replace_the_clock() {
        let mut playback = playing(PlaybackSource::Reports, 200);
        playback.report("i", 0, 120.7);
        playback.report("i", 0, 20.0);
        playback.report("other", 0, 500.0);
        assert_eq!(cuts(&mut playback, at(60_000)), [cut("i", 0, 120)]);
    }

    #[test]
    fn a_report_of_a_part_says_that_the_parts_before_it_were_played() {
        let mut playback = playing(PlaybackSource::Reports, 200);
        chunk(&mut playback, "j", 0, 200, at(0));
        playback.part_complete("i", None, at(0));
        playback.report("j", 0, 30.0);
        assert_eq!(cuts(&mut playback, at(0)), [cut("j", 0, 30)]);
    }

    #[test]
    fn the_end_of_a_part_is_known_ahead() {
        let mut playback = playing(PlaybackSource::Clock, 200);
        assert_eq!(playback.next_end(), None, "more of it may come");
        playback.response_complete("r", at(50));
        assert_eq!(playback.next_end(), Some(at(200)));
        playback.advance(at(200));
        let heard = playback.take_heard();
        assert_eq!(heard.len(), 1);
        assert!((heard[0].length_ms - 200.0).abs() < ROUNDING_MS);
        assert!(playback.is_empty() && playback.next_end().is_none());
    }

    #[test]
    fn what_never_ends_fills_no_memory() {
        let mut playback = Playback::new(PlaybackSource::Reports);
        for n in 0..10_000 {
            chunk(&mut playback, &format!("i{}", n % 200), n % 3, 20, at(0));
        }
        assert_eq!(playback.parts.len(), MAX_PARTS);
        assert!(playback.runs.len() <= MAX_RUNS);
    }

    /// What a player of one millisecond a step plays.
    #[derive(Default)]
    struct Player {
        queue: VecDeque<usize>,
        heard: [u64; 4],
        received: [u64; 4],
        complete: [bool; 4],
    }

    proptest! {
        /// The queue agrees with a player that plays the chunks in their order, whatever comes.
        #[test]
        fn agrees_with_a_player(steps in prop::collection::vec((0..4usize, 0..4u8, 0..40usize), 0..120)) {
            let mut playback = Playback::new(PlaybackSource::Clock);
            let (mut player, mut ms) = (Player::default(), 0);
            for (part, kind, length) in steps {
                match kind {
                    0 | 1 if !player.complete[part] && length > 0 => {
                        chunk(&mut playback, "i", part, length, at(ms));
                        player.queue.extend(std::iter::repeat_n(part, length));
                        player.received[part] += length as u64;
                    }
                    2 => {
                        ms += length as u64;
                        for _ in 0..length {
                            if let Some(part) = player.queue.pop_front() {
                                player.heard[part] += 1;
                            }
                        }
                    }
                    3 if player.received[part] > 0 => {
                        playback.part_complete("i", Some(part), at(ms));
                        player.complete[part] = true;
                    }
                    _ => {}
                }
            }
            let mut found = cuts(&mut playback, at(ms));
            found.sort();
            let expected: Vec<_> = (0..4)
                .filter(|&part| player.received[part] > 0)
                .filter(|&part| !player.complete[part] || player.heard[part] < player.received[part])
                .map(|part| cut("i", part, player.heard[part]))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
