//! Invariants that hold for any behaviour of the network.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::{Content, JitterBuffer, JitterOptions, RtpPacket};
use super::path::{PAUSE, PLAIN, Path, REDUNDANT, TICKS, ms};

/// The fate of a packet on the network.
#[derive(Clone, Debug)]
struct Fate {
    lost: bool,
    repeated: bool,
    delay: u64,
    payload: &'static [u8],
}

fn fate(payloads: &'static [&'static [u8]]) -> impl Strategy<Value = Fate> {
    (
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        prop_oneof![8 => 0_u64..3, 4 => 0_u64..80, 1 => 0_u64..500],
        prop::sample::select(payloads),
    )
        .prop_map(|(lost, repeated, delay, payload)| Fate {
            lost,
            repeated,
            delay,
            payload,
        })
}

fn path(fates: &[Fate]) -> Path {
    let mut path = Path::default();
    for (n, fate) in (0..).zip(fates) {
        if !fate.lost {
            path.deliver(n, ms(20 + fate.delay), fate.payload);
            if fate.repeated {
                path.deliver(n, ms(25 + 2 * fate.delay), fate.payload);
            }
        }
    }
    path
}

proptest! {
    #[test]
    fn every_packet_is_played_once_in_order_and_in_time(
        fates in prop::collection::vec(fate(&[PLAIN, REDUNDANT, PAUSE]), 1..300),
    ) {
        let path = path(&fates);
        let came = path.arrivals.len() as u64;
        let played = path.run(JitterOptions::default());
        let mut given = HashSet::new();
        let mut last = None;
        prop_assert!(played.in_time());
        for (_, playout, _) in &played.events {
            if playout.arrived.is_some() {
                prop_assert!(given.insert(playout.timestamp));
                let sequence = playout.timestamp.wrapping_add(5 * TICKS) / TICKS;
                prop_assert!(last.is_none_or(|last| last < sequence));
                last = Some(sequence);
            }
        }
        let stats = played.buffer.stats();
        prop_assert_eq!(stats.received, came);
        prop_assert_eq!(given.len() as u64 + stats.duplicates + stats.late, came);
        prop_assert_eq!((stats.refused, stats.discarded), (0, 0));
        let ticks: u64 = played.events.iter().map(|(_, playout, _)| u64::from(playout.ticks)).sum();
        prop_assert_eq!(stats.ticks, ticks);
        // Every packet between the first and the last that were played was played or lost.
        if let (Some(last), false) = (last, fates.is_empty()) {
            let first = played.events.iter().find_map(|(_, playout, _)| {
                playout.arrived.map(|_| playout.timestamp.wrapping_add(5 * TICKS) / TICKS)
            });
            let span = u64::from(last - first.unwrap() + 1);
            prop_assert_eq!(given.len() as u64 + stats.lost, span);
        }
    }

    #[test]
    fn sound_that_never_pauses_has_no_holes_but_those_too_long_to_fill(
        fates in prop::collection::vec(fate(&[PLAIN, REDUNDANT]), 1..300),
    ) {
        let played = path(&fates).run(JitterOptions::default());
        for hole in played.holes() {
            prop_assert!(hole >= 120 * 48, "{}", hole);
        }
    }

    #[test]
    fn any_packets_at_any_time_are_sorted_into_bounded_memory(
        steps in prop::collection::vec(
            (
                0_u64..200,
                prop_oneof![Just(1_u32), 0_u32..3],
                prop_oneof![0_u16..30, any::<u16>()],
                prop_oneof![(0_u32..30).prop_map(|n| n * TICKS), any::<u32>()],
                prop_oneof![
                    Just(PLAIN.to_vec()),
                    Just(REDUNDANT.to_vec()),
                    Just(PAUSE.to_vec()),
                    prop::collection::vec(any::<u8>(), 0..20),
                ],
            ),
            1..200,
        ),
    ) {
        let options = JitterOptions { max_packets: 20, max_bytes: 200, ..<_>::default() };
        let mut buffer = JitterBuffer::new(options).unwrap();
        let mut now = Duration::ZERO;
        let mut given = 0;
        for (elapsed, ssrc, sequence, timestamp, payload) in steps {
            now += ms(elapsed);
            let payload = Bytes::from(payload);
            buffer.insert(RtpPacket { ssrc, sequence, timestamp, payload }, now);
            for _ in 0..40 {
                let Some(playout) = buffer.poll(now) else { break };
                prop_assert!((120..=5_760).contains(&playout.ticks) && playout.ticks % 120 == 0);
                given += u64::from(matches!(playout.content, Content::Packet(_)));
            }
        }
        // The buffer becomes idle, and every packet that arrived is counted.
        let mut rest = 0;
        while let Some(deadline) = buffer.next_deadline() {
            now = now.max(deadline);
            while let Some(playout) = buffer.poll(now) {
                given += u64::from(matches!(playout.content, Content::Packet(_)));
            }
            rest += 1;
            prop_assert!(rest < 1_000);
        }
        let stats = buffer.stats();
        prop_assert_eq!(
            given
                + stats.late
                + stats.duplicates
                + stats.refused
                + stats.discarded
                + stats.too_fast,
            stats.received
        );
    }
}
