//! A sender, a network and a clock for the tests.

use std::time::Duration;

use bytes::Bytes;

use super::super::{Content, JitterBuffer, JitterOptions, Playout, RtpPacket};

/// SILK at 8 kHz, 20 ms, mono, one frame, without a copy of the packet before.
pub(super) const PLAIN: &[u8] = &[0x08, 0x80, 1, 2, 3];
/// The same with a copy of the packet before.
pub(super) const REDUNDANT: &[u8] = &[0x08, 0xC0, 1, 2, 3];
/// The beginning of a pause.
pub(super) const PAUSE: &[u8] = &[0x08];

pub(super) const TICKS: u32 = 960;

pub(super) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Numbers that look random and are the same in every run (`SplitMix64`).
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// In `0.0..1.0`.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Packets and their arrivals.
#[derive(Default)]
pub(super) struct Path {
    pub(super) arrivals: Vec<(Duration, RtpPacket)>,
}

impl Path {
    /// A packet of 20 ms of a stream that began at 0: the `n`th, which takes `transit`.
    pub(super) fn deliver(&mut self, n: u32, transit: Duration, payload: &'static [u8]) {
        self.deliver_at(ms(20) * n + transit, n, TICKS * n, payload);
    }

    pub(super) fn deliver_at(
        &mut self,
        arrival: Duration,
        n: u32,
        timestamp: u32,
        payload: &'static [u8],
    ) {
        let packet = RtpPacket {
            ssrc: 7,
            // Both wrap around early in each test.
            sequence: (n as u16).wrapping_sub(10),
            timestamp: timestamp.wrapping_sub(5 * TICKS),
            payload: Bytes::from_static(payload),
        };
        self.arrivals.push((arrival, packet));
    }

    /// Runs a buffer from the first arrival until it is idle.
    pub(super) fn run(mut self, options: JitterOptions) -> Played {
        let mut buffer = JitterBuffer::new(options).unwrap();
        let mut events = Vec::new();
        self.arrivals.sort_by_key(|(arrival, _)| *arrival);
        let mut arrivals = self.arrivals.into_iter().peekable();
        loop {
            let arrival = arrivals.peek().map(|(arrival, _)| *arrival);
            let deadline = buffer.next_deadline();
            let target = buffer.stats().target;
            let Some(now) = [arrival, deadline].into_iter().flatten().min() else {
                break;
            };
            // A deadline in the past is handled immediately.
            let now = now.max(events.last().map_or(Duration::ZERO, |(then, _, _)| *then));
            if arrival.is_some_and(|arrival| arrival <= now) {
                buffer.insert(arrivals.next().unwrap().1, now);
            }
            while let Some(playout) = buffer.poll(now) {
                events.push((now, playout, buffer.stats().target.max(target)));
            }
        }
        Played { events, buffer }
    }
}

/// The frames that were played out.
pub(super) struct Played {
    /// Each frame with its time and the target before it.
    pub(super) events: Vec<(Duration, Playout, Duration)>,
    pub(super) buffer: JitterBuffer,
}

impl Played {
    /// One letter for each frame: packet, recovered, concealed, silence.
    pub(super) fn letters(&self) -> String {
        self.events
            .iter()
            .map(|(_, playout, _)| match playout.content {
                Content::Packet(_) => 'p',
                Content::Recovered(_) => 'r',
                Content::Concealed => 'c',
                Content::Silence => 's',
            })
            .collect()
    }

    /// How long each packet waited.
    pub(super) fn waits(&self) -> impl Iterator<Item = Duration> {
        self.events
            .iter()
            .filter_map(|(now, playout, _)| Some(now.saturating_sub(playout.arrived?)))
    }

    /// Whether no packet waited longer than the target.
    pub(super) fn in_time(&self) -> bool {
        self.events.iter().all(|(now, playout, target)| {
            playout
                .arrived
                .is_none_or(|arrived| *now <= arrived + *target)
        })
    }

    /// The gaps between consecutive frames, in ticks.
    pub(super) fn holes(&self) -> Vec<i32> {
        self.events
            .windows(2)
            .map(|pair| {
                let end = pair[0].1.timestamp.wrapping_add(pair[0].1.ticks);
                pair[1].1.timestamp.wrapping_sub(end) as i32
            })
            .filter(|hole| *hole != 0)
            .collect()
    }
}
