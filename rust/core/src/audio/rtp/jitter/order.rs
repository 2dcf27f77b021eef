use super::RtpPacket;

/// How far a sequence number may be ahead of the greatest, or behind it, and still belong to the stream
/// (RFC 3550 appendix A.1).
const MAX_DROPOUT: i64 = 3_000;
const MAX_MISORDER: i64 = 100;

/// The position of a packet in its stream: sequence number and timestamp, extended so that they do not
/// wrap around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacketPosition {
    pub(super) sequence: i64,
    pub(super) timestamp: i64,
    /// Whether no packet with a greater sequence number has arrived.
    pub(super) newest: bool,
}

/// Computes the positions of packets from their distance to the newest one.
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

    /// The position of a packet, or `None` if it is too far from the others.
    pub(super) fn position(&mut self, packet: &RtpPacket) -> Option<PacketPosition> {
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

/// Which of the last sequence numbers were received: it distinguishes duplicate packets from late ones.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    /// One bit for each sequence number, the newest in the lowest bit.
    received: u128,
}

impl Past {
    /// Appends a sequence number.
    pub(super) fn pass(&mut self, received: bool) {
        self.received = self.received << 1 | u128::from(received);
    }

    /// Appends `count` sequence numbers that were not received.
    pub(super) fn pass_missing(&mut self, count: u64) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.received = self.received.checked_shl(count).unwrap_or(0);
    }

    /// Marks the sequence number `age` before the next one as received; returns whether it was received
    /// before. False for a number that is too old to be stored.
    pub(super) fn mark_received(&mut self, age: i64) -> bool {
        let Some(bit) = u32::try_from(age - 1)
            .ok()
            .and_then(|shift| 1_u128.checked_shl(shift))
        else {
            return false;
        };
        let before = self.received & bit != 0;
        self.received |= bit;
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
        let positions: Vec<PacketPosition> = [(65_534, u32::MAX - 100), (0, 1_819), (65_535, 859)]
            .into_iter()
            .map(|(sequence, timestamp)| order.position(&packet(sequence, timestamp)).unwrap())
            .collect();
        assert_eq!(positions[1].sequence - positions[0].sequence, 2);
        assert_eq!(positions[1].timestamp - positions[0].timestamp, 1_920);
        assert_eq!(positions[2].sequence - positions[0].sequence, 1);
        assert_eq!(positions[2].timestamp - positions[0].timestamp, 960);
        let newest: Vec<bool> = positions.iter().map(|position| position.newest).collect();
        assert_eq!(newest, [true, true, false]);
    }

    #[test]
    fn a_packet_too_far_away_has_no_position() {
        let mut order = Order::beginning(&packet(10, 0));
        assert!(order.position(&packet(10, 0)).is_some());
        assert!(order.position(&packet(3_011, 0)).is_none());
        assert!(order.position(&packet(65_400, 0)).is_none());
        assert!(order.position(&packet(3_010, 0)).is_some());
        assert!(order.position(&packet(2_910, 0)).is_some());
    }

    #[test]
    fn late_packets_differ_from_duplicates() {
        let mut past = Past::default();
        past.pass(true);
        past.pass(false);
        assert!(!past.mark_received(1));
        assert!(past.mark_received(1));
        assert!(past.mark_received(2));
        past.pass_missing(126);
        assert!(past.mark_received(128));
        assert!(!past.mark_received(129));
        past.pass_missing(1 << 40);
        assert!(!past.mark_received(128));
    }

    proptest! {
        #[test]
        fn any_walk_of_legal_steps_is_followed(
            start: (u16, u32),
            steps in prop::collection::vec((1_i64..=3_000, 0_i64..1 << 31), 0..100),
        ) {
            let mut order = Order::beginning(&packet(start.0, start.1));
            let (mut sequence, mut timestamp) = (i64::from(start.0), i64::from(start.1));
            order.position(&packet(start.0, start.1)).unwrap();
            for (ahead, elapsed) in steps {
                sequence += ahead;
                timestamp += elapsed;
                let position = order.position(&packet(sequence as u16, timestamp as u32)).unwrap();
                prop_assert_eq!(position, PacketPosition { sequence, timestamp, newest: true });
            }
        }
    }
}
