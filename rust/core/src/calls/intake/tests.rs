use proptest::prelude::*;

use super::*;

const FRAME: usize = 160;

fn at(ms: u64) -> Duration {
    Duration::from_millis(1_000 + ms)
}

fn intake(options: IntakeOptions) -> Intake {
    Intake::new(options, AudioFormat::Mulaw)
}

fn packet(n: u64) -> Vec<u8> {
    vec![(n % 200) as u8 + 1; FRAME]
}

fn give(intake: &mut Intake, n: u64, reorders: bool) {
    let sound = packet(n);
    let media = Media {
        sound: &sound,
        number: Some(n + 1),
        at_ms: Some(n * 20),
    };
    intake.packet(media, reorders, at(n * 20));
}

/// The packets that a sound is made of; 0 is silence.
fn packets(sound: &[u8]) -> Vec<u8> {
    let name = |byte: u8| if byte == 0xff { 0 } else { byte };
    sound.chunks(FRAME).map(|chunk| name(chunk[0])).collect()
}

#[test]
fn packets_go_on_in_batches() {
    let mut intake = intake(IntakeOptions::default());
    for n in 0..3 {
        give(&mut intake, n, false);
        assert!(!intake.is_ready(at(n * 20)));
    }
    give(&mut intake, 3, false);
    assert!(intake.is_ready(at(60)));
    assert_eq!(packets(&intake.take()), [1, 2, 3, 4]);
    assert!(!intake.is_ready(at(60)) && intake.poll_timeout().is_none());
}

#[test]
fn an_incomplete_batch_goes_on_after_a_while() {
    let mut intake = intake(IntakeOptions::default());
    give(&mut intake, 0, false);
    assert_eq!(intake.poll_timeout(), Some(at(200)));
    assert!(!intake.is_ready(at(199)) && intake.is_ready(at(200)));
}

#[test]
fn a_gap_is_filled_with_silence_of_its_format() {
    for (format, silence) in [
        (AudioFormat::Mulaw, 0xff),
        (AudioFormat::Alaw, 0xd5),
        (AudioFormat::Pcm { rate: 16_000 }, 0),
    ] {
        let mut intake = Intake::new(IntakeOptions::default(), format);
        let frame = vec![1; (format.sample_rate() / 50) as usize * format.bytes_per_sample()];
        for (number, at_ms) in [(1, 0), (4, 60)] {
            let media = Media {
                sound: &frame,
                number: Some(number),
                at_ms: Some(at_ms),
            };
            intake.packet(media, false, at(at_ms));
        }
        let sound = intake.take();
        assert_eq!(sound.len(), 4 * frame.len());
        assert!(
            sound[frame.len()..3 * frame.len()]
                .iter()
                .all(|byte| *byte == silence)
        );
        assert_eq!(intake.stats().filled_ms, 40);
    }
}

#[test]
fn a_long_gap_is_filled_up_to_the_bound() {
    let mut intake = intake(IntakeOptions::default());
    give(&mut intake, 0, false);
    give(&mut intake, 900, false);
    assert_eq!(intake.take().len(), 2 * FRAME + 80_000);
}

#[test]
fn jitter_of_the_carriers_clock_makes_no_silence() {
    let mut intake = intake(IntakeOptions::default());
    for (n, off) in [0_i64, 1, -1, 3, -2, 5, -6, 2].into_iter().enumerate() {
        let at_ms = (n as i64 * 20 + off).max(0) as u64;
        let media = Media {
            sound: &packet(n as u64),
            number: None,
            at_ms: Some(at_ms),
        };
        intake.packet(media, false, at(at_ms));
    }
    assert_eq!(packets(&intake.take()), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_late_packet_takes_the_place_of_its_silence_and_a_second_one_none() {
    let mut intake = intake(IntakeOptions::default());
    for n in [0, 3, 1, 1, 2, 0] {
        give(&mut intake, n, false);
    }
    assert_eq!(packets(&intake.take()), [1, 2, 3, 4]);
    assert_eq!(intake.stats().dropped, 2);
}

#[test]
fn packets_are_put_in_order_where_the_carrier_shuffles_them() {
    let mut intake = intake(IntakeOptions::default());
    for n in [0, 2, 1, 3, 6, 4, 5] {
        give(&mut intake, n, true);
    }
    assert_eq!(packets(&intake.take()), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(intake.stats().filled_ms, 0);
}

#[test]
fn a_packet_that_never_comes_is_waited_for_and_given_up() {
    let mut intake = intake(IntakeOptions::default());
    give(&mut intake, 0, true);
    for n in 2..8 {
        give(&mut intake, n, true);
    }
    assert_eq!(packets(&intake.take()), [1, 0, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn silence_ends_a_turn_whose_sound_stops_coming() {
    let mut intake = intake(IntakeOptions::default());
    give(&mut intake, 0, false);
    intake.take();
    assert_eq!(intake.poll_timeout(), None);
    intake.speech(true, at(0));
    assert_eq!(intake.poll_timeout(), Some(at(750)));
    intake.handle_timeout(at(750));
    assert_eq!(intake.take().len(), 750 * 8);
    assert_eq!(intake.poll_timeout(), Some(at(1_500)));
    intake.handle_timeout(at(1_700));
    assert_eq!(intake.take().len(), 300 * 8);
    intake.speech(false, at(1_700));
    assert_eq!(intake.poll_timeout(), None);
}

#[test]
fn silence_that_went_in_is_taken_off_the_gap() {
    let mut intake = intake(IntakeOptions::default());
    give(&mut intake, 0, false);
    intake.take();
    intake.speech(true, at(0));
    intake.handle_timeout(at(750));
    let inserted = intake.take().len();
    // The next packet is the one of 800 ms: 780 ms are missing, 750 are there.
    give(&mut intake, 40, false);
    assert_eq!(inserted + intake.take().len(), (780 + 20) * 8);
}

#[test]
fn a_number_from_elsewhere_does_not_make_the_call_deaf() {
    let mut intake = intake(IntakeOptions::default());
    give(&mut intake, 0, true);
    let sound = packet(7);
    let media = Media {
        sound: &sound,
        number: Some(u64::MAX),
        at_ms: None,
    };
    intake.packet(media, true, at(20));
    give(&mut intake, 1, true);
    assert_eq!(packets(&intake.take()), [1, 8, 2]);
}

#[test]
fn what_is_said_while_paused_leaves_no_trace() {
    let mut intake = intake(IntakeOptions::default());
    give(&mut intake, 0, false);
    intake.pause(true);
    for n in 1..50 {
        give(&mut intake, n, false);
    }
    intake.pause(false);
    for n in 50..54 {
        give(&mut intake, n, false);
    }
    assert_eq!(packets(&intake.take()), [51, 52, 53, 54]);
}

#[test]
fn a_stream_in_another_format_begins_without_the_sound_of_the_one_before() {
    let mut intake = intake(IntakeOptions::default());
    give(&mut intake, 0, false);
    intake.restart(AudioFormat::Pcm { rate: 16_000 });
    assert!(!intake.has_sound());
}

fn give_at(intake: &mut Intake, n: u64, number: Option<u64>, at_ms: Option<u64>, reorders: bool) {
    let media = Media {
        sound: &packet(n),
        number,
        at_ms,
    };
    intake.packet(media, reorders, at(n * 20));
}

#[test]
fn a_clock_that_is_set_back_does_not_make_the_call_deaf() {
    let mut intake = intake(IntakeOptions::default());
    for (n, at_ms) in [1_000, 500, 520, 540, 560].into_iter().enumerate() {
        give_at(&mut intake, n as u64, Some(n as u64), Some(at_ms), false);
    }
    // Two are taken for late ones.
    assert_eq!(packets(&intake.take()), [1, 4, 5]);
    assert_eq!(intake.stats().dropped, 2);
    // A loss after that is one.
    give_at(&mut intake, 5, Some(5), Some(620), false);
    assert_eq!(packets(&intake.take()), [0, 0, 6]);
}

#[test]
fn a_clock_that_begins_anew_costs_nothing() {
    let mut intake = intake(IntakeOptions::default());
    for (n, at_ms) in [100_000, 0, 20].into_iter().enumerate() {
        give_at(&mut intake, n as u64, None, Some(at_ms), false);
    }
    assert_eq!(packets(&intake.take()), [1, 2, 3]);
}

#[test]
fn a_time_from_elsewhere_is_no_loss() {
    let mut intake = intake(IntakeOptions::default());
    for (n, at_ms) in [0, 1 << 53, 40].into_iter().enumerate() {
        give_at(&mut intake, n as u64, None, Some(at_ms), false);
    }
    assert_eq!(packets(&intake.take()), [1, 2, 3]);
}

#[test]
fn a_packet_without_a_time_takes_its_room() {
    let mut intake = intake(IntakeOptions::default());
    for (n, at_ms) in [Some(0), None, Some(40), None, Some(100)]
        .into_iter()
        .enumerate()
    {
        give_at(&mut intake, n as u64, None, at_ms, false);
    }
    assert_eq!(packets(&intake.take()), [1, 2, 3, 4, 0, 5]);
}

#[test]
fn numbers_that_begin_anew_do_not_make_the_call_deaf() {
    for reorders in [false, true] {
        let mut intake = intake(IntakeOptions::default());
        for (n, number) in [500, 501, 1, 2, 3, 4].into_iter().enumerate() {
            give_at(&mut intake, n as u64, Some(number), None, reorders);
        }
        let expected: &[u8] = if reorders {
            &[1, 2, 5, 6]
        } else {
            &[1, 2, 3, 4, 5, 6]
        };
        assert_eq!(packets(&intake.take()), expected);
    }
}

#[test]
fn a_packet_that_comes_twice_is_taken_once() {
    for reorders in [false, true] {
        let mut intake = intake(IntakeOptions::default());
        for n in [0, 0, 1, 1, 1, 1, 2] {
            give_at(&mut intake, n, Some(n), None, reorders);
        }
        assert_eq!(packets(&intake.take()), [1, 2, 3]);
        assert_eq!(intake.stats().dropped, 4);
    }
}

#[test]
fn what_was_lost_with_the_session_is_no_gap() {
    let mut intake = intake(IntakeOptions::default());
    give(&mut intake, 0, false);
    intake.forget_place();
    give(&mut intake, 100, false);
    assert_eq!(packets(&intake.take()), [1, 101]);
}

proptest! {
    /// Whatever is lost, doubled or shuffled within the window, each packet that came stands in its
    /// place once, and the length is that of the time.
    #[test]
    fn sound_stands_in_its_place(
        lost in prop::collection::hash_set(1..39_u64, 0..12),
        swaps in prop::collection::vec(1..38_usize, 0..10),
        doubled in prop::collection::vec(1..39_usize, 0..5),
    ) {
        let mut order: Vec<u64> = (0..40).collect();
        for at in swaps {
            order.swap(at, at + 1);
        }
        for at in doubled {
            let n = order[at];
            order.insert(at + 1, n);
        }
        let options = IntakeOptions { max_early: 12, ..IntakeOptions::default() };
        let mut intake = intake(options);
        let mut sound = Vec::new();
        for n in order.into_iter().filter(|n| !lost.contains(n)) {
            give(&mut intake, n, true);
            sound.extend(intake.take());
        }
        let expected: Vec<u8> = (0..40)
            .map(|n| if lost.contains(&n) { 0 } else { n as u8 + 1 })
            .collect();
        let found = packets(&sound);
        prop_assert!(expected.starts_with(&found), "{found:?}");
    }
}
