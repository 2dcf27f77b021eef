use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::base::BaseDelay;
use super::order::{Order, PacketPosition, Past};
use super::target::TargetDelay;
use super::{Content, Insertion, JitterError, JitterOptions, JitterStats, Playout, RtpPacket};
use crate::audio::opus::packet::{self, CLOCK_RATE};

/// The shortest piece of Opus sound, 2.5 ms in ticks: a guess is as long as a multiple of it.
const UNIT: i64 = CLOCK_RATE as i64 / 400;

/// How long a piece of silence is: 20 ms in ticks.
const SILENCE: i64 = CLOCK_RATE as i64 / 50;

/// A sender that is silent shows a sign of life every 400 ms (`MAX_CONSECUTIVE_DTX` of libopus); one
/// that may be late or lost comes on top of it. In ticks.
const LONGEST_SILENCE: i64 = CLOCK_RATE as i64 / 2;

/// No more lost sound than this is filled in when its time is past: by then the decoder's guesses
/// have faded, too. 120 ms in ticks.
const FILLED_AFTERWARDS: i64 = CLOCK_RATE as i64 * 120 / 1_000;

/// See the [module](super) for how it works.
#[derive(Debug)]
pub struct JitterBuffer {
    options: JitterOptions,
    order: Option<Order>,
    /// A packet out of sequence and when it came: the first of a new sequence, perhaps.
    astray: Option<(RtpPacket, Duration)>,
    base: BaseDelay,
    target: TargetDelay,
    /// By sequence number.
    waiting: BTreeMap<i64, Waiting>,
    /// The payload bytes in `waiting`.
    bytes: usize,
    next: Option<Next>,
    past: Past,
    stats: JitterStats,
}

#[derive(Debug)]
struct Waiting {
    timestamp: i64,
    ticks: i64,
    arrived: Duration,
    payload: Bytes,
}

/// What comes next after what was given out.
#[derive(Clone, Copy, Debug)]
struct Next {
    sequence: i64,
    timestamp: i64,
    /// The duration of the last packet: what a lost one most likely has.
    ticks: i64,
    /// The last packet began or continued a pause; for how many ticks silence was given out since.
    silence: Option<i64>,
}

/// What there is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Give out the first that waits.
    Give,
    /// Recover the packet before the first that waits from the copy in that.
    Recover { ticks: i64 },
    /// Conceal a lost packet.
    Conceal { ticks: i64 },
    /// Fill a pause.
    Silence { ticks: i64 },
}

impl JitterBuffer {
    pub fn new(options: JitterOptions) -> Result<Self, JitterError> {
        options.check()?;
        Ok(Self {
            options,
            order: None,
            astray: None,
            base: BaseDelay::default(),
            target: TargetDelay::new(&options),
            waiting: BTreeMap::new(),
            bytes: 0,
            next: None,
            past: Past::default(),
            stats: JitterStats::default(),
        })
    }

    /// Takes a packet that came at `now`.
    pub fn insert(&mut self, packet: RtpPacket, now: Duration) -> Insertion {
        self.stats.received += 1;
        let insertion = self.sort(packet, now);
        match insertion {
            Insertion::Accepted => {}
            Insertion::Late => self.stats.late += 1,
            Insertion::Duplicate => self.stats.duplicates += 1,
            Insertion::Rejected => self.stats.refused += 1,
        }
        insertion
    }

    /// The next piece of sound if its time has come. There may be several: ask until there is none.
    pub fn poll(&mut self, now: Duration) -> Option<Playout> {
        self.leave_long_gap(now);
        let (step, due) = self.step()?;
        if now < due {
            return None;
        }
        let playout = match step {
            Step::Give => self.give(now)?,
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

    /// When [`poll`](Self::poll) has something next, unless packets come before. It may be past.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.step().map(|(_, due)| due)
    }

    /// Forgets the stream, what waits and what was learnt of the path. Counts remain.
    pub fn reset(&mut self) {
        self.restart();
        self.astray = None;
        self.target = TargetDelay::new(&self.options);
    }

    pub fn stats(&self) -> JitterStats {
        JitterStats {
            target: self.target.get(),
            ..self.stats
        }
    }

    /// Finds a packet's stream and its place in that.
    fn sort(&mut self, packet: RtpPacket, now: Duration) -> Insertion {
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
        if let Some(place) = order.place(&packet) {
            self.astray = None;
            return self.accept(packet.payload, place, i64::from(ticks), now);
        }
        match self.astray.take() {
            Some((first, then)) if packet.sequence == first.sequence.wrapping_add(1) => {
                self.stats.restarts += 1;
                // It was counted as refused when it came.
                self.stats.refused -= 1;
                self.restart();
                self.sort(first, then);
                self.sort(packet, now)
            }
            _ => {
                self.astray = Some((packet, now));
                Insertion::Rejected
            }
        }
    }

    /// Learns from a packet that belongs to the stream, and keeps it if it can still be heard.
    fn accept(
        &mut self,
        payload: Bytes,
        place: PacketPosition,
        ticks: i64,
        now: Duration,
    ) -> Insertion {
        let PacketPosition {
            sequence,
            timestamp,
            newest,
        } = place;
        if self.waiting.contains_key(&sequence) {
            return Insertion::Duplicate;
        }
        let behind = self.next.map_or(0, |next| next.sequence - sequence);
        if behind > 0 && self.past.fill(behind) {
            return Insertion::Duplicate;
        }
        self.learn(micros(now) - sounding(timestamp), newest, now);
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

    fn learn(&mut self, transit: i64, newest: bool, now: Duration) {
        let delay = self.base.observe(transit, now);
        if newest && delay > self.options.max_delay.as_micros() as i64 {
            // No jitter that the buffer could even out: the sender paused without its timestamps.
            self.base.restart(transit, now);
        } else {
            self.target.observe(delay);
        }
    }

    /// What is to be done next, and when.
    fn step(&self) -> Option<(Step, Duration)> {
        let first = self.waiting.first_key_value();
        let Some(next) = self.next else {
            return first.map(|(_, packet)| (Step::Give, self.due(packet)));
        };
        let Some((sequence, packet)) = first else {
            return self.silence(&next, LONGEST_SILENCE);
        };
        let give = (Step::Give, self.due(packet));
        let gap = (packet.timestamp - next.timestamp) / UNIT * UNIT;
        if gap <= 0 {
            return Some(give);
        }
        // What comes before the packet is due no later than it.
        let earlier = |(step, due): (Step, Duration)| (step, due.min(give.1));
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
            return Some(silence.map_or(give, earlier));
        }
        if lost {
            let ticks = next.ticks.min(gap);
            // It is given up when the one after it is due: until then it may still come.
            let due = self.sounds(next.timestamp + ticks);
            return Some(earlier((Step::Conceal { ticks }, due)));
        }
        Some(give)
    }

    /// Silence of at most `room` if there is a pause that may still last.
    fn silence(&self, next: &Next, room: i64) -> Option<(Step, Duration)> {
        next.silence
            .filter(|so_far| *so_far < LONGEST_SILENCE)
            .map(|_| {
                let ticks = SILENCE.min(room);
                (Step::Silence { ticks }, self.sounds(next.timestamp))
            })
    }

    /// When a packet is due: never later than the target after it came.
    fn due(&self, packet: &Waiting) -> Duration {
        let latest = packet.arrived + self.target.get();
        self.sounds(packet.timestamp).min(latest)
    }

    /// When the sound of a timestamp is due.
    fn sounds(&self, timestamp: i64) -> Duration {
        let base = self.base.get().unwrap_or_default();
        let due = sounding(timestamp) + base;
        Duration::from_micros(due.max(0) as u64) + self.target.get()
    }

    /// Goes past a gap that is over for so long that filling it would do harm.
    fn leave_long_gap(&mut self, now: Duration) {
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
        // The packet before this one may be in it.
        let copy = packet::redundancy(&packet.payload).map_or(0, i64::from);
        let copied = i64::from(copy > 0);
        let left = lost - copied;
        self.next = Some(Next {
            sequence: sequence - copied,
            timestamp: (timestamp - copy).max(next.timestamp),
            ..next
        });
        self.stats.lost += left as u64;
        self.past.pass_empty(left as u64);
    }

    fn give(&mut self, now: Duration) -> Option<Playout> {
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

    /// The turn of a packet is over, and of all before it.
    fn pass_packet(&mut self, sequence: i64, packet: &Waiting) {
        let lost = self.next.map_or(0, |next| sequence - next.sequence);
        self.stats.lost += lost as u64;
        self.past.pass_empty(lost as u64);
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

    /// Makes room.
    fn discard_first(&mut self) {
        if let Some((sequence, packet)) = self.waiting.pop_first() {
            self.bytes -= packet.payload.len();
            self.stats.discarded += 1;
            self.pass_packet(sequence, &packet);
        }
    }

    /// Another stream begins. The path remains what it was, and so does the target.
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

/// When a timestamp sounds by the sender's clock, in microseconds.
fn sounding(timestamp: i64) -> i64 {
    timestamp * 125 / 6
}

fn micros(now: Duration) -> i64 {
    // An agent version that is longer ago than this does not exist; the margin keeps sums in range.
    i64::try_from(now.as_micros())
        .unwrap_or(i64::MAX)
        .min(1 << 60)
}
