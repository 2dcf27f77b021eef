use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::base::BaseDelay;
use super::budget::SoundBudget;
use super::order::{Order, PacketPosition, Past};
use super::target::TargetDelay;
use super::{Content, Insertion, JitterError, JitterOptions, JitterStats, Playout, RtpPacket};
use crate::audio::opus::packet::{self, CLOCK_RATE};

/// The shortest Opus frame, 2.5 ms in ticks: concealed sound is a multiple of it.
const UNIT: i64 = CLOCK_RATE as i64 / 400;

/// The duration of a frame of silence: 20 ms in ticks.
const SILENCE: i64 = CLOCK_RATE as i64 / 50;

/// The longest pause that is filled, in ticks. A silent sender sends a packet every 400 ms
/// (`MAX_CONSECUTIVE_DTX` of libopus); the rest allows for one that is late or lost.
const LONGEST_SILENCE: i64 = CLOCK_RATE as i64 / 2;

/// The longest gap in the past that is filled, 120 ms in ticks: after that the decoder's concealment has
/// faded anyway.
const FILLED_AFTERWARDS: i64 = CLOCK_RATE as i64 * 120 / 1_000;

/// A jitter buffer; the [module](super) explains how it works.
#[derive(Debug)]
pub struct JitterBuffer {
    options: JitterOptions,
    order: Option<Order>,
    /// A packet out of sequence and its arrival: it may be the first of a new sequence.
    out_of_sequence: Option<(RtpPacket, Duration)>,
    base: BaseDelay,
    target: TargetDelay,
    /// By sequence number.
    waiting: BTreeMap<i64, Waiting>,
    /// The payload bytes in `waiting`.
    bytes: usize,
    next: Option<Next>,
    past: Past,
    budget: SoundBudget,
    stats: JitterStats,
}

#[derive(Debug)]
struct Waiting {
    timestamp: i64,
    ticks: i64,
    arrived: Duration,
    payload: Bytes,
}

/// What follows the last frame that was played out.
#[derive(Clone, Copy, Debug)]
struct Next {
    sequence: i64,
    timestamp: i64,
    /// The duration of the last packet: what a lost one most likely has.
    ticks: i64,
    /// During a pause: how many ticks of silence were played out so far.
    silence: Option<i64>,
}

/// The next frame to play out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The first waiting packet.
    Packet { ticks: i64 },
    /// The packet before the first waiting one, from the copy in that.
    Recover { ticks: i64 },
    /// A lost packet, concealed.
    Conceal { ticks: i64 },
    /// Silence in a pause.
    Silence { ticks: i64 },
}

impl Step {
    fn ticks(self) -> i64 {
        match self {
            Self::Packet { ticks }
            | Self::Recover { ticks }
            | Self::Conceal { ticks }
            | Self::Silence { ticks } => ticks,
        }
    }
}

impl JitterBuffer {
    pub fn new(options: JitterOptions) -> Result<Self, JitterError> {
        options.check()?;
        Ok(Self {
            options,
            order: None,
            out_of_sequence: None,
            base: BaseDelay::default(),
            target: TargetDelay::new(&options),
            waiting: BTreeMap::new(),
            bytes: 0,
            next: None,
            past: Past::default(),
            budget: SoundBudget::new(options.max_ahead),
            stats: JitterStats::default(),
        })
    }

    /// How much sound may come faster than in real time from now on, in place of what the options say.
    pub fn allow_ahead(&mut self, max_ahead: Duration) {
        self.budget = SoundBudget::new(max_ahead);
    }

    /// Inserts a packet that arrived at `now`.
    pub fn insert(&mut self, packet: RtpPacket, now: Duration) -> Insertion {
        self.stats.received += 1;
        let insertion = self.classify(packet, now);
        match insertion {
            Insertion::Accepted => {}
            Insertion::Late => self.stats.late += 1,
            Insertion::Duplicate => self.stats.duplicates += 1,
            Insertion::Rejected => self.stats.refused += 1,
        }
        insertion
    }

    /// Returns the next frame if it is due. Several may be due: call this until it returns `None`.
    pub fn poll(&mut self, now: Duration) -> Option<Playout> {
        let step = loop {
            self.skip_long_gap(now);
            let (step, due) = self.step()?;
            if now < due {
                return None;
            }
            if self.budget.takes(step.ticks(), now) {
                break step;
            }
            self.pass_over(step);
        };
        let playout = match step {
            Step::Packet { .. } => self.take_packet(now)?,
            Step::Recover { ticks } => {
                let copy = self.waiting.first_key_value()?.1.payload.clone();
                self.stats.recovered_ticks += ticks as u64;
                self.pass_lost(ticks, Content::Recovered(copy))?
            }
            Step::Conceal { ticks } => {
                self.stats.concealed_ticks += ticks as u64;
                self.pass_lost(ticks, Content::Concealed)?
            }
            Step::Silence { ticks } => {
                self.stats.silence_ticks += ticks as u64;
                let next = self.next.as_mut()?;
                next.silence = next.silence.map(|so_far| so_far + ticks);
                self.pass_time(ticks, Content::Silence)?
            }
        };
        self.stats.ticks += u64::from(playout.ticks);
        Some(playout)
    }

    /// When the next frame is due, unless packets arrive before. It may be in the past.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.step().map(|(_, due)| due)
    }

    /// Drops the stream, the waiting packets and the measurements of the path. Counters remain.
    pub fn reset(&mut self) {
        self.restart();
        self.out_of_sequence = None;
        self.target = TargetDelay::new(&self.options);
    }

    pub fn stats(&self) -> JitterStats {
        JitterStats {
            target: self.target.get(),
            ..self.stats
        }
    }

    /// [`JitterStats::restarts`].
    pub fn restarts(&self) -> u64 {
        self.stats.restarts
    }

    /// [`JitterStats::too_fast`].
    pub fn too_fast(&self) -> u64 {
        self.stats.too_fast
    }

    /// Finds the stream of a packet and its position, and accepts it if it belongs there.
    fn classify(&mut self, packet: RtpPacket, now: Duration) -> Insertion {
        let Some(ticks) = packet::duration(&packet.payload) else {
            return Insertion::Rejected;
        };
        if packet.payload.len() > self.options.max_bytes {
            return Insertion::Rejected;
        }
        if self.order.is_some_and(|order| !order.is_of(&packet)) {
            self.stats.restarts += 1;
            self.restart();
        }
        let order = self.order.get_or_insert_with(|| Order::beginning(&packet));
        if let Some(position) = order.position(&packet) {
            self.out_of_sequence = None;
            return self.accept(packet.payload, position, i64::from(ticks), now);
        }
        match self.out_of_sequence.take() {
            Some((first, then)) if packet.sequence == first.sequence.wrapping_add(1) => {
                self.stats.restarts += 1;
                // The first packet was counted as refused when it arrived.
                self.stats.refused -= 1;
                self.restart();
                self.classify(first, then);
                self.classify(packet, now)
            }
            _ => {
                self.out_of_sequence = Some((packet, now));
                Insertion::Rejected
            }
        }
    }

    /// Measures the delay of a packet that belongs to the stream, and stores it unless it is too late.
    fn accept(
        &mut self,
        payload: Bytes,
        position: PacketPosition,
        ticks: i64,
        now: Duration,
    ) -> Insertion {
        let PacketPosition {
            sequence,
            timestamp,
            newest,
        } = position;
        if self.waiting.contains_key(&sequence) {
            return Insertion::Duplicate;
        }
        let behind = self.next.map_or(0, |next| next.sequence - sequence);
        if behind > 0 && self.past.mark_received(behind) {
            return Insertion::Duplicate;
        }
        self.measure(micros(now) - sounding(timestamp), newest, now);
        if behind > 0 {
            return Insertion::Late;
        }
        self.bytes += payload.len();
        let packet = Waiting {
            timestamp,
            ticks,
            arrived: now,
            payload,
        };
        self.waiting.insert(sequence, packet);
        while self.waiting.len() > self.options.max_packets || self.bytes > self.options.max_bytes {
            self.discard_first();
        }
        Insertion::Accepted
    }

    fn measure(&mut self, transit: i64, newest: bool, now: Duration) {
        let delay = self.base.observe(transit, now);
        if newest && delay > self.options.max_delay.as_micros() as i64 {
            // More than jitter: the sender paused and its timestamps stood still.
            self.base.restart(transit, now);
        } else {
            self.target.observe(delay);
        }
    }

    /// The next step, and when it is due.
    fn step(&self) -> Option<(Step, Duration)> {
        let first = self.waiting.first_key_value();
        let Some(next) = self.next else {
            return first.map(|(_, packet)| {
                let ticks = packet.ticks;
                (Step::Packet { ticks }, self.due(packet))
            });
        };
        let Some((sequence, packet)) = first else {
            return self.silence(&next, LONGEST_SILENCE);
        };
        let ticks = packet.ticks;
        let packet_step = (Step::Packet { ticks }, self.due(packet));
        let gap = (packet.timestamp - next.timestamp) / UNIT * UNIT;
        if gap <= 0 {
            return Some(packet_step);
        }
        // A step before the packet is due no later than the packet.
        let earlier = |(step, due): (Step, Duration)| (step, due.min(packet_step.1));
        let lost = *sequence > next.sequence;
        let copy = if lost {
            packet::redundancy(&packet.payload).map(i64::from)
        } else {
            None
        };
        if copy == Some(gap) {
            let recover = Step::Recover { ticks: gap };
            return Some(earlier((recover, self.sounds(packet.timestamp))));
        }
        if next.silence.is_some() {
            let room = gap - copy.unwrap_or(0);
            let silence = if room > 0 {
                self.silence(&next, room)
            } else {
                None
            };
            return Some(silence.map_or(packet_step, earlier));
        }
        if lost {
            let ticks = next.ticks.min(gap);
            // It counts as lost when the one after it is due: until then it may still arrive.
            let due = self.sounds(next.timestamp + ticks);
            return Some(earlier((Step::Conceal { ticks }, due)));
        }
        Some(packet_step)
    }

    /// Silence of at most `room` ticks, if there is a pause that may still last.
    fn silence(&self, next: &Next, room: i64) -> Option<(Step, Duration)> {
        next.silence
            .filter(|so_far| *so_far < LONGEST_SILENCE)
            .map(|_| {
                let ticks = SILENCE.min(room);
                (Step::Silence { ticks }, self.sounds(next.timestamp))
            })
    }

    /// When a packet is due: at the latest the target delay after its arrival.
    fn due(&self, packet: &Waiting) -> Duration {
        let latest = packet.arrived + self.target.get();
        self.sounds(packet.timestamp).min(latest)
    }

    /// When the sound at a timestamp is due.
    fn sounds(&self, timestamp: i64) -> Duration {
        let base = self.base.get().unwrap_or_default();
        let due = sounding(timestamp) + base;
        Duration::from_micros(due.max(0) as u64) + self.target.get()
    }

    /// Skips a gap that is too long and too far in the past to be filled.
    fn skip_long_gap(&mut self, now: Duration) {
        let Some((sequence, packet)) = self.waiting.first_key_value() else {
            return;
        };
        let Some(next) = self.next else { return };
        let lost = *sequence - next.sequence;
        let gap = packet.timestamp - next.timestamp;
        let filled_in_time = self.sounds(next.timestamp + FILLED_AFTERWARDS) >= now;
        if lost <= 0 || next.silence.is_some() || gap <= FILLED_AFTERWARDS || filled_in_time {
            return;
        }
        let (sequence, timestamp) = (*sequence, packet.timestamp);
        // This packet may hold a copy of the one before it.
        let copy = packet::redundancy(&packet.payload).map_or(0, i64::from);
        self.skip_to(sequence - i64::from(copy > 0), timestamp - copy);
    }

    /// Leaves a gap up to there.
    fn skip_to(&mut self, sequence: i64, timestamp: i64) {
        let Some(next) = &mut self.next else { return };
        let lost = (sequence - next.sequence).max(0) as u64;
        let resumed = timestamp.max(next.timestamp);
        self.stats.lost += lost;
        self.stats.missing_ticks += (resumed - next.timestamp) as u64;
        self.past.pass_missing(lost);
        next.sequence = sequence;
        next.timestamp = resumed;
    }

    /// Drops a packet, or leaves the gap before it: there was no time for so much sound.
    fn pass_over(&mut self, step: Step) {
        if let Step::Packet { .. } = step {
            if let Some((sequence, packet)) = self.waiting.pop_first() {
                self.bytes -= packet.payload.len();
                self.stats.too_fast += 1;
                self.pass_packet(sequence, &packet);
            }
            return;
        }
        let first = self.waiting.first_key_value();
        if let Some((sequence, timestamp)) = first.map(|(at, packet)| (*at, packet.timestamp)) {
            self.skip_to(sequence, timestamp);
        }
        if let Some(next) = &mut self.next {
            next.silence = None;
        }
    }

    fn take_packet(&mut self, now: Duration) -> Option<Playout> {
        let (sequence, packet) = self.waiting.pop_first()?;
        self.bytes -= packet.payload.len();
        self.pass_packet(sequence, &packet);
        self.stats.delay = now.saturating_sub(packet.arrived);
        Some(Playout {
            timestamp: packet.timestamp as u32,
            ticks: packet.ticks as u32,
            arrived: Some(packet.arrived),
            content: Content::Packet(packet.payload),
        })
    }

    /// Moves past a packet and all packets before it.
    fn pass_packet(&mut self, sequence: i64, packet: &Waiting) {
        let lost = self.next.map_or(0, |next| sequence - next.sequence);
        self.stats.lost += lost as u64;
        self.past.pass_missing(lost as u64);
        self.past.pass(true);
        self.next = Some(Next {
            sequence: sequence + 1,
            timestamp: packet.timestamp + packet.ticks,
            ticks: packet.ticks,
            silence: packet::is_silence(&packet.payload).then_some(0),
        });
    }

    fn pass_lost(&mut self, ticks: i64, content: Content) -> Option<Playout> {
        let next = self.next.as_mut()?;
        next.sequence += 1;
        self.stats.lost += 1;
        self.past.pass(false);
        self.pass_time(ticks, content)
    }

    fn pass_time(&mut self, ticks: i64, content: Content) -> Option<Playout> {
        let next = self.next.as_mut()?;
        let timestamp = next.timestamp as u32;
        next.timestamp += ticks;
        Some(Playout {
            timestamp,
            ticks: ticks as u32,
            arrived: None,
            content,
        })
    }

    /// Drops the first waiting packet.
    fn discard_first(&mut self) {
        if let Some((sequence, packet)) = self.waiting.pop_first() {
            self.bytes -= packet.payload.len();
            self.stats.discarded += 1;
            self.pass_packet(sequence, &packet);
        }
    }

    /// Begins another stream. The target is kept, because the path is the same.
    fn restart(&mut self) {
        self.stats.discarded += self.waiting.len() as u64;
        self.waiting.clear();
        self.bytes = 0;
        self.order = None;
        self.next = None;
        self.past = Past::default();
        self.base = BaseDelay::default();
    }
}

/// A timestamp by the sender's clock, in microseconds.
fn sounding(timestamp: i64) -> i64 {
    timestamp * 125 / 6
}

fn micros(now: Duration) -> i64 {
    // No clock runs for so long; the margin keeps sums in range.
    i64::try_from(now.as_micros())
        .unwrap_or(i64::MAX)
        .min(1 << 60)
}
