//! What the caller has heard: one position on the stream of sound that the leg was given.
//!
//! It is known from marks, which come back when they were played, and from the clock between them and
//! where there are none. The position is the one at which a message that is sent now will find the
//! player: what a `clear` cuts is what was not heard when it arrives, not when it is sent.
//!
//! With a one-way delay of `d`, a mark at position P that comes back at time t was played at t - d, and
//! a message that is sent at time u arrives at u + d: P + (u - t) + 2d is heard by then. The round trip 2d
//! is what a mark takes that is sent while nothing plays. A player that fills a buffer before it plays
//! delays each beginning; the marks of earlier beginnings tell by how much.

use std::collections::VecDeque;
use std::time::Duration;

/// A mark that comes back late must not move the position back: the earliest of so many counts.
const OFFSETS: usize = 3;

/// How far the position may be ahead of a mark that is due and has not come back, in milliseconds
/// besides the round trip.
const MARK_GRACE_MS: f64 = 300.0;

/// A mark that is overdue by this much was lost.
const MARK_LOST_MS: f64 = 5_000.0;

/// A round trip or a delay beyond this is taken for something else.
const MAX_DELAY_MS: f64 = 2_000.0;

/// Where marks stand in a run, in milliseconds after its beginning; then one each [`MARK_EVERY_MS`].
const FIRST_MARKS_MS: [f64; 2] = [100.0, 500.0];
const MARK_EVERY_MS: f64 = 1_000.0;

/// How long a far side that has no marks may still play what the clock says is over, in milliseconds: its
/// network, its jitter buffer and its loudspeaker hold some 50 to 150.
const UNTOLD_DELAY_MS: f64 = 200.0;

/// Below one sample.
const ROUNDING_MS: f64 = 0.001;

#[derive(Debug, Clone, Copy)]
struct Mark {
    id: u64,
    position_ms: f64,
    sent_ms: f64,
    /// It was sent while nothing played: it measures the round trip.
    is_probe: bool,
}

/// Sound that plays without a pause.
#[derive(Debug)]
struct Run {
    begin_ms: f64,
    begun_ms: f64,
    /// Position minus time, as the last marks tell; before the first one, as estimated.
    offsets: VecDeque<f64>,
    is_estimated: bool,
    /// How many marks were sent in it.
    marks: usize,
}

impl Run {
    fn offset(&self) -> f64 {
        let offsets = self.offsets.iter().copied();
        offsets.max_by(f64::total_cmp).unwrap_or(f64::NEG_INFINITY)
    }

    /// Where the next mark is due.
    fn next_mark_ms(&self) -> f64 {
        let at = match FIRST_MARKS_MS.get(self.marks) {
            Some(at) => *at,
            None => (self.marks + 1 - FIRST_MARKS_MS.len()) as f64 * MARK_EVERY_MS,
        };
        self.begin_ms + at
    }
}

/// The position of playback at the far end of a call. All positions and lengths are in milliseconds.
#[derive(Debug)]
pub struct PlayoutTracker {
    has_marks: bool,
    may_stall: bool,
    max_marks: usize,
    queued_ms: f64,
    sent_ms: f64,
    /// Marks tell that this was heard.
    confirmed_ms: f64,
    run: Option<Run>,
    marks: VecDeque<Mark>,
    last_id: u64,
    round_trip_ms: Option<f64>,
    start_delay_ms: Option<f64>,
    /// The position at which the far side was paused.
    paused_ms: Option<f64>,
}

/// Milliseconds, in which positions are counted.
pub(super) fn ms(at: Duration) -> f64 {
    at.as_secs_f64() * 1000.0
}

impl PlayoutTracker {
    /// For a carrier that takes `max_marks` marks at once; 0: it has none.
    pub fn new(max_marks: usize) -> Self {
        Self {
            has_marks: max_marks > 0,
            may_stall: false,
            max_marks,
            queued_ms: 0.0,
            sent_ms: 0.0,
            confirmed_ms: 0.0,
            run: None,
            marks: VecDeque::new(),
            last_id: 0,
            round_trip_ms: None,
            start_delay_ms: None,
            paused_ms: None,
        }
    }

    /// The carrier takes so many marks at once: it tells when the stream starts. `may_stall`: its player may
    /// stand still, as a page's does that the browser has put to sleep.
    pub fn take_marks(&mut self, max_marks: usize, may_stall: bool) {
        self.has_marks = max_marks > 0;
        self.may_stall = may_stall;
        self.max_marks = max_marks;
    }

    /// Sound was given to the leg.
    pub fn queued(&mut self, length_ms: f64) {
        self.queued_ms += length_ms;
    }

    /// What was not sent lasts so long now.
    pub fn unsent_is(&mut self, length_ms: f64) {
        self.queued_ms = self.sent_ms + length_ms;
    }

    /// Whether the far side has nothing to play, as far as this side knows.
    pub fn is_dry(&self, now: Duration) -> bool {
        self.run.is_none() || self.heard_ms(now) + ROUNDING_MS >= self.sent_ms
    }

    /// A mark is to be sent now, before sound that begins anew, to measure the round trip.
    pub fn probe(&mut self, now: Duration) -> Option<u64> {
        self.is_dry(now).then(|| self.new_mark(now, true)).flatten()
    }

    /// Sound is sent now.
    pub fn sent(&mut self, length_ms: f64, now: Duration) {
        if self.is_dry(now) {
            let (begin_ms, since_ms) = (self.sent_ms, ms(now));
            let delay_ms = self.start_delay_ms.unwrap_or(0.0);
            self.run = Some(Run {
                begin_ms,
                begun_ms: since_ms,
                offsets: VecDeque::from([begin_ms - since_ms - delay_ms]),
                is_estimated: true,
                marks: 0,
            });
        }
        self.sent_ms += length_ms;
    }

    /// How much sound may be sent before the next mark is due.
    pub fn until_mark_ms(&self, now: Duration) -> f64 {
        match &self.run {
            Some(run) if self.has_marks && !self.is_dry(now) => {
                (run.next_mark_ms() - self.sent_ms).max(0.0)
            }
            _ if self.has_marks => FIRST_MARKS_MS[0],
            _ => f64::INFINITY,
        }
    }

    /// A mark is to be sent now, behind the sound that was sent last.
    pub fn mark(&mut self, now: Duration) -> Option<u64> {
        let run = self.run.as_mut()?;
        if self.sent_ms + ROUNDING_MS < run.next_mark_ms() {
            return None;
        }
        run.marks += 1;
        self.new_mark(now, false)
    }

    /// A mark at the end of what was sent, whether one is due or not.
    pub fn end_mark(&mut self, now: Duration) -> Option<u64> {
        self.new_mark(now, false)
    }

    fn new_mark(&mut self, now: Duration, is_probe: bool) -> Option<u64> {
        if self.marks.len() >= self.max_marks {
            return None;
        }
        self.last_id += 1;
        self.marks.push_back(Mark {
            id: self.last_id,
            position_ms: self.sent_ms,
            sent_ms: ms(now),
            is_probe,
        });
        Some(self.last_id)
    }

    /// A mark came back; false where it is none of those on their way, such as one of sound that was
    /// cleared.
    pub fn mark_returned(&mut self, id: u64, now: Duration) -> bool {
        let Some(at) = self.marks.iter().position(|mark| mark.id == id) else {
            return false;
        };
        // They come back in their order: those before it were lost.
        let mark = self.marks.drain(..=at).next_back();
        let Some(mark) = mark else {
            return false;
        };
        self.confirmed_ms = self.confirmed_ms.max(mark.position_ms);
        if mark.is_probe {
            self.learn_round_trip(ms(now) - mark.sent_ms);
        } else {
            self.learn_offset(mark.position_ms, ms(now));
        }
        true
    }

    /// The far side has said that so much of what was sent was not played. Returns whether all of it is
    /// played now.
    pub fn unplayed_is(&mut self, unplayed_ms: f64, now: Duration) -> bool {
        let position_ms = (self.sent_ms - unplayed_ms).max(0.0);
        let was_played = self.confirmed_ms + ROUNDING_MS >= self.sent_ms;
        self.confirmed_ms = self.confirmed_ms.max(position_ms);
        if let Some(paused_ms) = &mut self.paused_ms {
            // It may have played on until it was told.
            *paused_ms = paused_ms.max(position_ms);
        }
        self.learn_offset(position_ms, ms(now));
        !was_played && unplayed_ms <= ROUNDING_MS
    }

    fn learn_round_trip(&mut self, measured_ms: f64) {
        if !(0.0..MAX_DELAY_MS).contains(&measured_ms) {
            return;
        }
        self.round_trip_ms = Some(match self.round_trip_ms {
            None => measured_ms,
            // What is much longer was held up by sound that still played.
            Some(known) if measured_ms > 2.0 * known + 50.0 => known,
            Some(known) => known + 0.3 * (measured_ms - known),
        });
    }

    fn learn_offset(&mut self, position_ms: f64, now_ms: f64) {
        let round_trip_ms = self.round_trip_ms.unwrap_or(0.0);
        let Some(run) = self.run.as_mut().filter(|_| self.paused_ms.is_none()) else {
            return;
        };
        let offset = position_ms - now_ms + round_trip_ms;
        if position_ms <= run.begin_ms {
            // The far side still played what was before when this run was thought to begin.
            if offset + run.begun_ms < run.begin_ms && run.is_estimated {
                run.offsets = VecDeque::from([offset]);
            }
            return;
        }
        if std::mem::take(&mut run.is_estimated) {
            let delay_ms = run.begin_ms - run.begun_ms - offset;
            if delay_ms < MAX_DELAY_MS {
                let delay_ms = delay_ms.max(0.0);
                let known = self.start_delay_ms.unwrap_or(delay_ms);
                self.start_delay_ms = Some(known + 0.5 * (delay_ms - known));
            }
            run.offsets.clear();
        }
        run.offsets.push_back(offset);
        if run.offsets.len() > OFFSETS {
            run.offsets.pop_front();
        }
    }

    /// The position that is heard when a message that is sent now arrives.
    pub fn heard_ms(&self, now: Duration) -> f64 {
        if let Some(paused_ms) = self.paused_ms {
            return paused_ms;
        }
        let Some(run) = &self.run else {
            return self.sent_ms;
        };
        let (now_ms, mut most_ms) = (ms(now), self.sent_ms);
        if let Some((mark, lost_ms)) = self.awaited_mark(run)
            && now_ms < lost_ms
        {
            let round_trip_ms = self.round_trip_ms.unwrap_or(0.0);
            most_ms = most_ms.min(mark.position_ms + round_trip_ms + MARK_GRACE_MS);
        }
        let least_ms = self.confirmed_ms.max(run.begin_ms).min(most_ms);
        (run.offset() + now_ms).clamp(least_ms, most_ms)
    }

    /// The mark that is to come back next, and when it counts as lost.
    fn awaited_mark(&self, run: &Run) -> Option<(&Mark, f64)> {
        let passed_ms = self.confirmed_ms;
        let is_awaited = |mark: &&Mark| !mark.is_probe && mark.position_ms > passed_ms;
        let mark = self.marks.iter().find(is_awaited)?;
        let due_ms = mark.position_ms - run.offset() + self.round_trip_ms.unwrap_or(0.0);
        Some((mark, due_ms + MARK_LOST_MS))
    }

    /// How much of what the leg was given is still to be heard.
    pub fn left_ms(&self, now: Duration) -> f64 {
        (self.queued_ms - self.heard_ms(now)).max(0.0)
    }

    /// Whether the far side may still play something: it is not believed to the millisecond.
    pub fn may_play(&self, now: Duration) -> bool {
        if self.confirmed_ms + ROUNDING_MS >= self.sent_ms {
            return false;
        }
        let of_run = |run: &Run| {
            let awaited = self.awaited_mark(run).filter(|_| self.may_stall);
            let is_awaited = awaited.is_some_and(|(_, lost_ms)| ms(now) < lost_ms);
            is_awaited || run.offset() + ms(now) < self.sent_ms + MARK_GRACE_MS
        };
        self.paused_ms.is_some() || self.run.as_ref().is_some_and(of_run)
    }

    /// How much is ahead of the player, of what was sent.
    pub fn ahead_ms(&self, now: Duration) -> f64 {
        (self.sent_ms - self.heard_ms(now)).max(0.0)
    }

    /// When all that was sent will have been heard, as far as is known now, unless that is so already.
    pub fn end_of_sent(&self, now: Duration) -> Option<Duration> {
        let run = self.run.as_ref().filter(|_| self.paused_ms.is_none())?;
        if self.is_dry(now) {
            return None;
        }
        let mut end_ms = self.sent_ms - run.offset();
        if end_ms <= ms(now)
            && let Some((_, lost_ms)) = self.awaited_mark(run)
        {
            // It is overdue, and holds the position back until then.
            end_ms = lost_ms;
        }
        Some(Duration::from_secs_f64(end_ms.max(ms(now)) / 1000.0) + Duration::from_millis(1))
    }

    /// The far side drops what it has not played: all that was queued counts as over. Returns whether
    /// there was anything.
    pub fn clear(&mut self, now: Duration) -> bool {
        let had_sound = self.left_ms(now) > ROUNDING_MS;
        self.sent_ms = self.queued_ms;
        self.confirmed_ms = self.queued_ms;
        self.run = None;
        self.marks.clear();
        self.paused_ms = None;
        had_sound
    }

    /// The far side begins anew, and has none of what was sent before: that counts as over. What was not
    /// sent is still to come.
    pub fn restart(&mut self) {
        self.confirmed_ms = self.sent_ms;
        self.run = None;
        self.marks.clear();
        self.paused_ms = None;
        self.round_trip_ms = None;
        self.start_delay_ms = None;
    }

    /// The far side stops where it is.
    pub fn pause(&mut self, now: Duration) {
        self.paused_ms = Some(self.heard_ms(now));
    }

    /// The far side goes on.
    pub fn resume(&mut self, now: Duration) {
        if let Some(paused_ms) = self.paused_ms.take()
            && let Some(run) = &mut self.run
        {
            run.offsets = VecDeque::from([paused_ms - ms(now)]);
        }
    }

    /// When the far side is silent for certain, if nothing more is sent. `None`: that is known from marks, or
    /// nothing was sent that was not cleared.
    ///
    /// It moves no position: what is cut is cut by what the clock says was heard.
    pub fn silent_from(&self) -> Option<Duration> {
        let run = self.run.as_ref()?;
        if self.has_marks || self.paused_ms.is_some() {
            return None;
        }
        let end_ms = self.sent_ms - run.offset() + UNTOLD_DELAY_MS;
        Some(Duration::from_secs_f64(end_ms.max(0.0) / 1000.0))
    }

    /// Whether all that was sent is known to have been heard: by marks, where the carrier has them.
    pub fn is_confirmed(&self, now: Duration) -> bool {
        let is_heard = self.left_ms(now) <= ROUNDING_MS;
        is_heard && (!self.has_marks || self.marks.iter().all(|mark| mark.is_probe))
    }
}

#[cfg(test)]
mod tests;
