//! Pauses, stalls and timestamps that jump.

use std::time::Duration;

use super::super::JitterOptions;
use super::path::{PAUSE, PLAIN, Path, Played, REDUNDANT, TICKS, ms};

fn run(path: Path) -> Played {
    path.run(JitterOptions::default())
}

#[test]
fn a_pause_that_was_announced_is_filled_with_silence_in_time() {
    let mut path = Path::default();
    for n in 0..5 {
        path.deliver(n, ms(10), PLAIN);
    }
    path.deliver(5, ms(10), PAUSE);
    // The sequence continues; the timestamp advances by 300 ms.
    for n in 6..9 {
        path.deliver_at(ms(20 * u64::from(n) + 300 + 10), n, TICKS * (n + 15), PLAIN);
    }
    let played = run(path);
    assert_eq!(
        played.letters(),
        format!("{}{}ppp", "p".repeat(6), "s".repeat(15))
    );
    assert!(played.holes().is_empty());
    let mut pairs = played.events.windows(2);
    assert!(pairs.all(|pair| pair[1].0 == pair[0].0 + ms(20)));
    assert_eq!(played.buffer.stats().lost, 0);
}

#[test]
fn silence_ends_when_no_packet_arrives() {
    let mut path = Path::default();
    path.deliver(0, ms(10), PLAIN);
    path.deliver(1, ms(10), PAUSE);
    let played = run(path);
    assert_eq!(played.letters(), format!("pp{}", "s".repeat(25)));
}

#[test]
fn nothing_follows_the_end_of_an_utterance() {
    let mut path = Path::default();
    for n in 0..5 {
        path.deliver(n, ms(10), PLAIN);
    }
    path.deliver_at(ms(5_010), 5, TICKS * 250, PLAIN);
    let played = run(path);
    assert_eq!(played.letters(), "pppppp");
    assert_eq!(played.holes(), [245 * TICKS as i32]);
    assert_eq!(played.events[5].0, ms(5_050));
}

#[test]
fn a_sound_lost_at_the_end_of_a_pause_is_recovered_from_the_next() {
    let mut path = Path::default();
    path.deliver(0, ms(10), PLAIN);
    path.deliver(1, ms(10), PAUSE);
    // Packet 2, of 100 ms, is lost.
    path.deliver_at(ms(130), 3, TICKS * 6, REDUNDANT);
    let played = run(path);
    assert_eq!(played.letters(), "ppsssrp");
    assert!(played.holes().is_empty());
}

#[test]
fn packets_that_a_stall_delayed_are_all_played_at_once() {
    let mut path = Path::default();
    for n in 0..100 {
        let stalled = if (50..70).contains(&n) {
            20 * (70 - u64::from(n))
        } else {
            0
        };
        path.deliver(n, ms(10 + stalled), PLAIN);
    }
    let played = run(path);
    assert_eq!(played.letters(), "p".repeat(100));
    let last = played.events.last().unwrap();
    assert!(last.0 <= ms(99 * 20 + 10) + last.2);
}

#[test]
fn a_long_gap_is_skipped_and_a_short_one_filled() {
    for (missing, letters) in [(6, "pppppccccccpp".to_owned()), (100, "ppppppp".to_owned())] {
        let mut path = Path::default();
        for n in (0..5).chain(5 + missing..7 + missing) {
            path.deliver(n, ms(10), PLAIN);
        }
        let played = run(path);
        assert_eq!(played.letters(), letters);
        let stats = played.buffer.stats();
        assert_eq!(stats.lost, u64::from(missing));
        let left_out = if missing == 100 { ms(2000) } else { ms(0) };
        assert_eq!(
            (stats.missing(), stats.concealed() + stats.missing()),
            (left_out, ms(20) * missing)
        );
        assert!(played.waits().all(|wait| wait <= ms(40)));
    }
}

#[test]
fn a_packet_that_follows_a_long_gap_recovers_the_one_before_it() {
    let mut path = Path::default();
    for n in [0, 1, 100, 101] {
        path.deliver(n, ms(10), REDUNDANT);
    }
    let played = run(path);
    assert_eq!(played.letters(), "pprpp");
    assert_eq!(played.holes(), [97 * TICKS as i32]);
}

#[test]
fn a_sender_whose_timestamps_stand_still_in_its_pauses_costs_no_delay() {
    let mut path = Path::default();
    for n in 0..500 {
        // After every hundredth packet the sender pauses for three seconds.
        let silent = Duration::from_secs(3) * (n / 100);
        path.deliver(n, ms(10) + silent, PLAIN);
    }
    let played = run(path);
    assert_eq!(played.letters(), "p".repeat(500));
    assert!(played.waits().all(|wait| wait <= ms(40)));
    assert_eq!(played.buffer.stats().target, ms(20));
}

#[test]
fn timestamps_that_jump_stop_nothing() {
    for jump in [48_000 * 3_600, -48_000 * 3_600, 1 << 30, -4_800, 7] {
        let mut path = Path::default();
        for n in 0..200 {
            let jumped = if n >= 100 { jump } else { 0 };
            let timestamp = (TICKS * n).wrapping_add_signed(jumped);
            path.deliver_at(ms(10 + 20 * u64::from(n)), n, timestamp, PLAIN);
        }
        let played = run(path);
        assert_eq!(played.letters(), "p".repeat(200), "{jump}");
        assert!(played.waits().all(|wait| wait <= ms(200)), "{jump}");
        let settled = played.waits().last().unwrap();
        assert!(settled <= ms(120), "{jump}: {settled:?}");
    }
}

#[test]
fn a_single_wrong_timestamp_has_no_lasting_effect() {
    for jump in [48_000 * 3_600, -48_000 * 3_600] {
        let mut path = Path::default();
        for n in 0..200 {
            let jumped = if n == 100 { jump } else { 0 };
            let timestamp = (TICKS * n).wrapping_add_signed(jumped);
            path.deliver_at(ms(10 + 20 * u64::from(n)), n, timestamp, PLAIN);
        }
        let played = run(path);
        assert_eq!(played.letters(), "p".repeat(200), "{jump}");
        assert_eq!(played.waits().last(), Some(ms(20)), "{jump}");
    }
}
