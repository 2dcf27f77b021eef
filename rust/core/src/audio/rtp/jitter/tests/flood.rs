//! Senders of more sound than there is time for.

use std::time::Duration;

use bytes::Bytes;

use super::super::{JitterBuffer, JitterOptions, RtpPacket};
use super::path::{PAUSE, PLAIN, TICKS, ms};

/// SILK at 8 kHz, two frames of 60 ms: 120 ms in six bytes.
const LONG: &[u8] = &[0x19, 0x80, 1, 0x80, 1];
const LONG_TICKS: u32 = 6 * TICKS;

/// SILK at 8 kHz, 10 ms.
const SHORT: &[u8] = &[0x00, 0x80, 1, 2, 3];

struct Flood {
    buffer: JitterBuffer,
    sequence: u16,
    timestamp: u32,
    /// Ticks that were played out.
    ticks: u64,
}

impl Flood {
    fn new() -> Self {
        Self {
            buffer: JitterBuffer::new(JitterOptions::default()).unwrap(),
            sequence: 0,
            timestamp: 0,
            ticks: 0,
        }
    }

    /// A packet so far behind the one before, in sequence and ticks.
    fn send(&mut self, step: u16, ticks: u32, payload: &'static [u8], now: Duration) {
        self.sequence = self.sequence.wrapping_add(step);
        self.timestamp = self.timestamp.wrapping_add(ticks);
        let packet = RtpPacket {
            ssrc: 1,
            sequence: self.sequence,
            timestamp: self.timestamp,
            payload: Bytes::from_static(payload),
        };
        self.buffer.insert(packet, now);
        while let Some(playout) = self.buffer.poll(now) {
            self.ticks += u64::from(playout.ticks);
        }
    }

    fn seconds(&self) -> f64 {
        self.ticks as f64 / 48_000.0
    }
}

/// What may come in ten seconds: what may be ahead, and a tenth more than real time.
const MOST: f64 = 15.0 + 11.0;

#[test]
fn no_more_sound_is_played_out_than_there_is_time_for() {
    let mut flood = Flood::new();
    for n in 0..20_000 {
        flood.send(1, LONG_TICKS, LONG, ms(n / 2));
    }
    assert!(
        (MOST - 1.0..=MOST).contains(&flood.seconds()),
        "{}",
        flood.seconds()
    );
    let stats = flood.buffer.stats();
    let played = flood.ticks / u64::from(LONG_TICKS);
    // The rest waits until it is due.
    assert!(
        (19_000..20_000).contains(&(stats.too_fast + played)),
        "{stats:?}"
    );
    // Who then sends in real time is heard again.
    let (before, from) = (flood.ticks, 10_200);
    for n in 0..50 {
        flood.send(1, TICKS, PLAIN, ms(from + 20 * n));
    }
    assert!(flood.ticks - before >= u64::from(TICKS) * 40);
}

#[test]
fn nor_is_more_made_up_for_gaps() {
    // Gaps of 120 ms, of twelve packets and of one, and a pause of 400 ms.
    for (step, ticks, payload) in [
        (13, LONG_TICKS + TICKS / 2, SHORT),
        (2, 2 * LONG_TICKS, LONG),
        (1, 21 * TICKS, PAUSE),
    ] {
        let mut flood = Flood::new();
        for n in 0..1_000 {
            flood.send(step, ticks, payload, ms(10 * n));
        }
        assert!(flood.seconds() <= MOST, "{}", flood.seconds());
    }
}

#[test]
fn what_may_be_ahead_can_be_said_anew() {
    let mut flood = Flood::new();
    flood.buffer.allow_ahead(ms(1_000));
    for _ in 0..600 {
        flood.send(1, LONG_TICKS, LONG, ms(0));
    }
    for _ in 0..600 {
        flood.send(1, LONG_TICKS, LONG, ms(1_000));
    }
    assert!(flood.seconds() <= 2.1, "{}", flood.seconds());
    assert!(flood.seconds() >= 0.9, "{}", flood.seconds());
}

#[test]
fn a_stream_in_real_time_with_losses_and_a_stall_loses_nothing_by_it() {
    let mut flood = Flood::new();
    for n in 0..30_000_u64 {
        // Of a stall of 12 s each five minutes all comes at its end.
        let in_stall = n % 15_000 < 600;
        let now = if in_stall {
            n / 15_000 * 15_000 + 600
        } else {
            n
        };
        if n % 10 != 3 {
            flood.send(
                1 + u16::from(n % 10 == 4),
                TICKS * (1 + u32::from(n % 10 == 4)),
                PLAIN,
                ms(20 * now),
            );
        }
    }
    assert_eq!(flood.buffer.stats().too_fast, 0);
}
