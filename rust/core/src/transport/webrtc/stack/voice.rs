//! Which stream (SSRC) of the far side is heard.
//!
//! A call has one voice. Another stream takes its place when it begins: a server may change at any time. Two
//! that go on at once cannot be heard as one; then the first is, until it is silent.

use std::time::{Duration, Instant};

/// How long the stream that is heard must be silent before one that it was preferred to is heard.
const SILENCE: Duration = Duration::from_millis(200);

/// How many packets of a stream that was left show that it goes on, and has not just been overtaken.
const GOES_ON: u8 = 3;

/// The stream that is heard, and the one before it.
#[derive(Debug, Default)]
pub(super) struct Voice {
    heard: Option<Stream>,
    left: Option<Stream>,
    /// The stream that is heard has shown that it goes on beside another one.
    is_preferred: bool,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    ssrc: u32,
    /// Its newest packet.
    sequence: u16,
    at: Instant,
    /// How many new packets have come since it was left.
    since: u8,
}

impl Stream {
    /// Takes note of a packet. Returns whether it is newer than all before it.
    fn receive(&mut self, sequence: u16, now: Instant) -> bool {
        self.at = now;
        let ahead = sequence.wrapping_sub(self.sequence);
        let is_newer = ahead != 0 && ahead < 1 << 15;
        if is_newer {
            self.sequence = sequence;
        }
        is_newer
    }
}

impl Voice {
    /// Whether a packet is heard.
    pub fn hears(&mut self, ssrc: u32, sequence: u16, now: Instant) -> bool {
        let stream = Stream {
            ssrc,
            sequence,
            at: now,
            since: 0,
        };
        let Some(heard) = &mut self.heard else {
            self.heard = Some(stream);
            return true;
        };
        if heard.ssrc == ssrc {
            heard.receive(sequence, now);
            return true;
        }
        if let Some(left) = self.left.as_mut().filter(|left| left.ssrc == ssrc) {
            left.since += u8::from(left.receive(sequence, now));
            let is_silent = now.saturating_duration_since(heard.at) >= SILENCE;
            if left.since < GOES_ON && !is_silent {
                return false;
            }
            self.is_preferred = !is_silent;
            self.heard = Some(Stream { since: 0, ..*left });
            self.left = None;
            return true;
        }
        if self.is_preferred && now.saturating_duration_since(heard.at) < SILENCE {
            return false;
        }
        self.is_preferred = false;
        self.left = self.heard.replace(stream);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the packets are heard: each is a stream, a number and a time in ms.
    fn heard(packets: impl IntoIterator<Item = (u32, u16, u64)>) -> Vec<(u32, u16)> {
        let (mut voice, begin) = (Voice::default(), Instant::now());
        let heard = packets.into_iter().filter(|(ssrc, sequence, at)| {
            voice.hears(*ssrc, *sequence, begin + Duration::from_millis(*at))
        });
        heard.map(|(ssrc, sequence, _)| (ssrc, sequence)).collect()
    }

    #[test]
    fn a_stream_that_takes_the_place_of_another_is_heard_from_its_first_packet() {
        // The last packets of the first one are overtaken.
        let first = (0..10).map(|n| (1, n, u64::from(n) * 20));
        let second = (0..10).map(|n| (2, n, 200 + u64::from(n) * 20));
        let late = [(1, 10, 241), (1, 9, 242), (1, 11, 243)];
        let mut packets: Vec<_> = first.chain(second).chain(late).collect();
        packets.sort_by_key(|(.., at)| *at);
        let heard = heard(packets);
        assert_eq!(heard.len(), 20);
        assert_eq!(heard[10], (2, 0));
    }

    #[test]
    fn of_two_streams_that_go_on_one_is_heard() {
        let packets = (0..500_u16).flat_map(|n| {
            let at = u64::from(n) * 20;
            [(1, n.wrapping_sub(3), at), (2, n, at + 7)]
        });
        let heard = heard(packets);
        let first = heard.iter().filter(|(ssrc, _)| *ssrc == 1).count();
        assert!(first >= 496, "{first}");
        let changes = heard.windows(2).filter(|it| it[0].0 != it[1].0).count();
        assert!(changes <= 2, "{changes}");
    }

    #[test]
    fn one_that_was_not_heard_is_when_the_other_is_silent() {
        let both = (0..20_u16).flat_map(|n| {
            let at = u64::from(n) * 20;
            [(1, n, at), (2, n, at + 7)]
        });
        let alone = (20..40_u16).map(|n| (2, n, u64::from(n) * 20 + 7));
        let again = (40..60_u16).flat_map(|n| {
            let at = u64::from(n) * 20;
            [(1, n, at), (2, n, at + 7)]
        });
        let heard = heard(both.chain(alone).chain(again));
        let second = heard.iter().filter(|(ssrc, _)| *ssrc == 2).count();
        // From 200 ms after the last packet of the first on.
        assert!((10..20).contains(&second), "{second}");
        assert_eq!(heard.last(), Some(&(1, 59)));
    }

    #[test]
    fn numbers_may_begin_anywhere_and_repeat() {
        let packets = [
            (1, u16::MAX, 0),
            (1, 0, 20),
            (1, 0, 21),
            (2, 9, 30),
            (1, 0, 40),
        ];
        assert_eq!(heard(packets).len(), 4);
    }
}
