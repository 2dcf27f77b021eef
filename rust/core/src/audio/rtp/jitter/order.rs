use super::RtpPacket;

/// A sequence number may be so far ahead of the greatest, and so far behind it, and still belong to
/// the stream (RFC 3550 appendix A.1).
const MAX_DROPOUT: i64 = 3_000;
const MAX_MISORDER: i64 = 100;

/// Where a packet stands in its stream: sequence number and timestamp without their wrapping around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacketPosition {
    pub(super) sequence: i64,
    pub(super) timestamp: i64,
    /// No packet of a greater sequence number has come.
    pub(super) newest: bool,
}

/// Gives packets their place in the stream, by their distance from the newest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    ssrc: u32,
    sequence: i64,
    timestamp: i64,
}

impl Order {
    /// The order of a stream that begins with this packet.
    pub(super) fn beginning(packet: &RtpPacket) -> Self {
        Self {
            ssrc: packet.ssrc,
            sequence: i64::from(packet.sequence) - 1,
            timestamp: i64::from(packet.timestamp),
        }
    }

    pub(super) fn is_of(&self, packet: &RtpPacket) -> bool {
        self.ssrc == packet.ssrc
    }

    /// The place of a packet, or `None` if it is too far from the others.
    pub(super) fn place(&mut self, packet: &RtpPacket) -> Option<PacketPosition> {
        let step = packet.sequence.wrapping_sub(self.sequence as u16) as i16;
        let sequence = self.sequence + i64::from(step);
        if !(-MAX_MISORDER..=MAX_DROPOUT).contains(&i64::from(step)) {
            return None;
        }
        let elapsed = packet.timestamp.wrapping_sub(self.timestamp as u32) as i32;
        let timestamp = self.timestamp + i64::from(elapsed);
        let newest = step > 0;
        if newest {
            self.sequence = sequence;
            self.timestamp = timestamp;
        }
        Some(PacketPosition {
            sequence,
            timestamp,
            newest,
        })
    }
}

/// Which of the places that are past were filled: a packet that comes again is told from one that
/// comes late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    /// The lowest bit is the newest place.
    filled: u128,
}

impl Past {
    /// A place passes.
    pub(super) fn pass(&mut self, filled: bool) {
        self.filled = self.filled << 1 | u128::from(filled);
    }

    /// Places pass that were not filled.
    pub(super) fn pass_empty(&mut self, count: u64) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.filled = self.filled.checked_shl(count).unwrap_or(0);
    }

    /// Fills the place that is `age` behind the next; returns whether it had been filled before. What is
    /// out of memory was not.
    pub(super) fn fill(&mut self, age: i64) -> bool {
        let Some(bit) = u32::try_from(age - 1)
            .ok()
            .and_then(|shift| 1_u128.checked_shl(shift))
        else {
            return false;
        };
        let before = self.filled & bit != 0;
        self.filled |= bit;
        before
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn packet(sequence: u16, timestamp: u32) -> RtpPacket {
        RtpPacket {
            ssrc: 1,
            sequence,
            timestamp,
            payload: Bytes::new(),
        }
    }

    #[test]
    fn numbers_go_on_where_they_wrap_around() {
        let mut order = Order::beginning(&packet(65_534, u32::MAX - 100));
        let places: Vec<PacketPosition> = [(65_534, u32::MAX - 100), (0, 1_819), (65_535, 859)]
            .into_iter()
            .map(|(sequence, timestamp)| order.place(&packet(sequence, timestamp)).unwrap())
            .collect();
        assert_eq!(places[1].sequence - places[0].sequence, 2);
        assert_eq!(places[1].timestamp - places[0].timestamp, 1_920);
        assert_eq!(places[2].sequence - places[0].sequence, 1);
        assert_eq!(places[2].timestamp - places[0].timestamp, 960);
        let newest: Vec<bool> = places.iter().map(|place| place.newest).collect();
        assert_eq!(newest, [true, true, false]);
    }

    #[test]
    fn what_is_too_far_away_has_no_place() {
        let mut order = Order::beginning(&packet(10, 0));
        assert!(order.place(&packet(10, 0)).is_some());
        assert!(order.place(&packet(3_011, 0)).is_none());
        assert!(order.place(&packet(65_400, 0)).is_none());
        assert!(order.place(&packet(3_010, 0)).is_some());
        assert!(order.place(&packet(2_910, 0)).is_some());
    }

    #[test]
    fn the_past_knows_late_packets_from_repeated_ones() {
        let mut past = Past::default();
        past.pass(true);
        past.pass(false);
        assert!(!past.fill(1));
        assert!(past.fill(1));
        assert!(past.fill(2));
        past.pass_empty(126);
        assert!(past.fill(128));
        assert!(!past.fill(129));
        past.pass_empty(1 << 40);
        assert!(!past.fill(128));
    }

    proptest! {
        #[test]
        fn any_walk_of_legal_steps_is_followed(
            start: (u16, u32),
            steps in prop::collection::vec((1_i64..=3_000, 0_i64..1 << 31), 0..100),
        ) {
            let mut order = Order::beginning(&packet(start.0, start.1));
            let (mut sequence, mut timestamp) = (i64::from(start.0), i64::from(start.1));
            order.place(&packet(start.0, start.1)).unwrap();
            for (ahead, elapsed) in steps {
                sequence += ahead;
                timestamp += elapsed;
                let place = order.place(&packet(sequence as u16, timestamp as u32)).unwrap();
                prop_assert_eq!(place, PacketPosition { sequence, timestamp, newest: true });
            }
        }
    }
}
