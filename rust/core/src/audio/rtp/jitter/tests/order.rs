//! Lost, reordered and duplicate packets, one by one.

use bytes::Bytes;

use super::super::{Insertion, JitterBuffer, JitterOptions, RtpPacket};
use super::path::{PLAIN, Path, REDUNDANT, TICKS, ms};

fn packet(n: u16) -> RtpPacket {
    RtpPacket {
        ssrc: 1,
        sequence: n,
        timestamp: u32::from(n) * TICKS,
        payload: Bytes::from_static(PLAIN),
    }
}

fn buffer() -> JitterBuffer {
    JitterBuffer::new(JitterOptions::default()).unwrap()
}

#[test]
fn packets_wait_for_the_target_and_leave_in_order() {
    let mut path = Path::default();
    for (n, transit) in [(0, 30), (1, 30), (2, 61), (3, 35), (4, 30)] {
        path.deliver(n, ms(transit), PLAIN);
    }
    let played = path.run(JitterOptions::default());
    assert_eq!(played.letters(), "ppppp");
    let times: Vec<u128> = played
        .events
        .iter()
        .map(|(now, _, _)| now.as_millis())
        .collect();
    assert_eq!(times, [70, 90, 110, 130, 150]);
    assert!(played.holes().is_empty());
}

#[test]
fn the_first_packets_may_be_out_of_order() {
    let mut path = Path::default();
    for (n, transit) in [(0, 35), (1, 5), (2, 5)] {
        path.deliver(n, ms(transit), PLAIN);
    }
    assert_eq!(path.run(JitterOptions::default()).letters(), "ppp");
}

#[test]
fn a_lost_packet_is_concealed_at_its_time_or_recovered_from_the_next() {
    for (payload, letters) in [(PLAIN, "ppcpp"), (REDUNDANT, "pprpp")] {
        let mut path = Path::default();
        for n in [0, 1, 3, 4] {
            path.deliver(n, ms(10), payload);
        }
        let played = path.run(JitterOptions::default());
        assert_eq!(played.letters(), letters);
        assert!(played.holes().is_empty());
        // When the one after it is due.
        assert_eq!(played.events[2].0, ms(60 + 10 + 40));
        assert_eq!(played.buffer.stats().lost, 1);
    }
}

#[test]
fn of_a_burst_of_losses_the_last_is_recovered() {
    let mut path = Path::default();
    for n in [0, 1, 5, 6] {
        path.deliver(n, ms(10), REDUNDANT);
    }
    let played = path.run(JitterOptions::default());
    assert_eq!(played.letters(), "ppccrpp");
    assert!(played.holes().is_empty());
    let stats = played.buffer.stats();
    assert_eq!((stats.lost, stats.recovered_ticks), (3, u64::from(TICKS)));
    assert!((stats.concealed_fraction() - 2.0 / 7.0).abs() < 1e-9);
}

#[test]
fn a_packet_may_come_until_the_one_after_it_is_due() {
    for (transit, letters) in [(69, "ppppp"), (71, "ppcpp")] {
        let mut path = Path::default();
        for n in 0..5 {
            path.deliver(n, ms(if n == 2 { transit } else { 10 }), PLAIN);
        }
        let played = path.run(JitterOptions::default());
        assert_eq!(played.letters(), letters);
        assert_eq!(played.buffer.stats().late, u64::from(transit == 71));
        assert!(played.in_time());
    }
}

#[test]
fn a_packet_after_its_deadline_is_late_once_and_then_a_duplicate() {
    let mut buffer = buffer();
    buffer.insert(packet(0), ms(0));
    assert_eq!(buffer.insert(packet(0), ms(1)), Insertion::Duplicate);
    buffer.insert(packet(2), ms(40));
    while buffer.poll(ms(100)).is_some() {}
    assert_eq!(buffer.insert(packet(0), ms(100)), Insertion::Duplicate);
    assert_eq!(buffer.insert(packet(1), ms(100)), Insertion::Late);
    assert_eq!(buffer.insert(packet(1), ms(100)), Insertion::Duplicate);
    let stats = buffer.stats();
    assert_eq!((stats.received, stats.lost, stats.late), (6, 1, 1));
    assert_eq!(stats.duplicates, 3);
}

#[test]
fn an_invalid_packet_is_refused() {
    let mut buffer = buffer();
    let mut empty = packet(0);
    empty.payload = Bytes::new();
    assert_eq!(buffer.insert(empty, ms(0)), Insertion::Rejected);
    let mut endless = packet(0);
    // 63 frames of 20 ms.
    endless.payload = Bytes::from_static(&[0x0B, 0x3F, 0]);
    assert_eq!(buffer.insert(endless, ms(0)), Insertion::Rejected);
    assert_eq!(buffer.next_deadline(), None);
    assert_eq!(buffer.stats().refused, 2);
}

#[test]
fn the_buffer_is_bounded_in_packets_and_in_bytes() {
    for options in [
        JitterOptions {
            max_packets: 10,
            ..<_>::default()
        },
        JitterOptions {
            max_bytes: 10 * PLAIN.len(),
            ..<_>::default()
        },
    ] {
        let mut buffer = JitterBuffer::new(options).unwrap();
        for n in 0..100 {
            assert_eq!(buffer.insert(packet(n), ms(1)), Insertion::Accepted);
        }
        let given: Vec<u32> =
            std::iter::from_fn(|| buffer.poll(ms(5_000)).map(|it| it.timestamp / TICKS)).collect();
        assert_eq!(given, (90..100).collect::<Vec<u32>>());
        assert_eq!(buffer.stats().discarded, 90);
        assert_eq!(buffer.stats().lost, 0);
    }
    let small = JitterOptions {
        max_bytes: 4,
        ..<_>::default()
    };
    let mut buffer = JitterBuffer::new(small).unwrap();
    assert_eq!(buffer.insert(packet(0), ms(0)), Insertion::Rejected);
}

#[test]
fn another_ssrc_is_another_stream() {
    let mut buffer = buffer();
    buffer.insert(packet(0), ms(0));
    let mut other = packet(40_000);
    other.ssrc = 2;
    buffer.insert(other, ms(10));
    let playout = buffer.poll(ms(50)).unwrap();
    assert_eq!(playout.timestamp, 40_000 * TICKS);
    assert_eq!(buffer.poll(ms(50)), None);
    let stats = buffer.stats();
    assert_eq!((stats.restarts, stats.discarded, stats.lost), (1, 1, 0));
}

#[test]
fn a_new_sequence_is_accepted_when_its_second_packet_confirms_it() {
    let mut buffer = buffer();
    buffer.insert(packet(0), ms(0));
    buffer.insert(packet(1), ms(20));
    assert_eq!(buffer.insert(packet(40_000), ms(30)), Insertion::Rejected);
    buffer.insert(packet(2), ms(40));
    assert_eq!(buffer.insert(packet(9_000), ms(50)), Insertion::Rejected);
    assert_eq!(buffer.insert(packet(9_001), ms(70)), Insertion::Accepted);
    let given: Vec<u32> =
        std::iter::from_fn(|| buffer.poll(ms(200)).map(|it| it.timestamp / TICKS)).collect();
    assert_eq!(given, [9_000, 9_001]);
    let stats = buffer.stats();
    assert_eq!((stats.restarts, stats.refused), (1, 1));
}

#[test]
fn a_reset_keeps_only_the_counters() {
    let mut buffer = buffer();
    buffer.insert(packet(0), ms(0));
    buffer.reset();
    assert_eq!(buffer.next_deadline(), None);
    assert_eq!(buffer.insert(packet(0), ms(5)), Insertion::Accepted);
    assert_eq!(buffer.next_deadline(), Some(ms(45)));
    assert_eq!(buffer.stats().received, 2);
}
