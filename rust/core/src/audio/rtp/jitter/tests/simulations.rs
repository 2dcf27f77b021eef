//! Minutes of a call over paths of known quality.

use std::time::Duration;

use super::super::{JitterOptions, JitterStats};
use super::path::{PLAIN, Path, Played, REDUNDANT, Random, TICKS, ms};

/// A path of 30 ms, and the extra delay or loss of each packet.
fn simulate(
    packets: u32,
    payload: &'static [u8],
    mut fate: impl FnMut(&mut Random) -> Option<f64>,
) -> Played {
    let mut random = Random(1);
    let mut path = Path::default();
    for n in 0..packets {
        if let Some(delay) = fate(&mut random) {
            path.deliver(n, ms(30) + Duration::from_secs_f64(delay / 1000.0), payload);
        }
    }
    path.run(JitterOptions::default())
}

fn concealed(stats: &JitterStats) -> f64 {
    stats.concealed_ticks as f64 / stats.ticks as f64
}

/// The target at a time.
fn target_at(played: &Played, at: Duration) -> u128 {
    let (_, _, target) = played
        .events
        .iter()
        .rfind(|(now, _, _)| *now <= at)
        .unwrap();
    target.as_millis()
}

#[test]
fn on_a_clean_path_sound_waits_for_no_more_than_forty_milliseconds() {
    let played = simulate(3_000, PLAIN, |random| Some(random.unit()));
    assert!(played.events.iter().all(|(_, _, target)| *target <= ms(40)));
    assert!(played.waits().all(|wait| wait <= ms(40)));
    assert_eq!(target_at(&played, ms(1_200)), 20);
    assert_eq!(played.letters(), "p".repeat(3_000));
}

#[test]
fn loss_of_five_percent_and_jitter_of_fifty_milliseconds() {
    let fate = |random: &mut Random| (random.unit() >= 0.05).then(|| random.unit() * 50.0);
    let played = simulate(6_000, PLAIN, fate);
    let target = target_at(&played, Duration::from_secs(60));
    assert!((44..=54).contains(&target), "{target}");
    let stats = played.buffer.stats();
    let guessed = concealed(&stats);
    assert!((0.04..0.055).contains(&guessed), "{guessed}");
    assert!(
        stats.late < 6,
        "nearly all that is lost the network has lost"
    );
    assert!(played.holes().is_empty());

    let played = simulate(6_000, REDUNDANT, fate);
    let guessed = concealed(&played.buffer.stats());
    assert!(guessed < 0.005, "{guessed}");
}

#[test]
fn the_target_follows_a_path_that_gets_worse_and_better() {
    let mut n = 0;
    let played = simulate(6_000, PLAIN, |random| {
        n += 1;
        let bad = (1_000..3_000).contains(&n);
        Some(random.unit() * if bad { 100.0 } else { 2.0 })
    });
    assert_eq!(target_at(&played, Duration::from_secs(19)), 20);
    assert!(target_at(&played, Duration::from_secs(22)) > 80);
    assert!(target_at(&played, Duration::from_secs(59)) <= 102);
    assert!(target_at(&played, Duration::from_secs(95)) <= 22);
}

#[test]
fn rare_spikes_do_not_raise_the_target() {
    let played = simulate(6_000, PLAIN, |random| {
        Some(if random.unit() < 0.01 {
            80.0
        } else {
            random.unit() * 5.0
        })
    });
    assert_eq!(target_at(&played, Duration::from_secs(100)), 20);
    assert!(concealed(&played.buffer.stats()) < 0.012);
}

#[test]
fn clock_drift_builds_up_no_delay() {
    for error in [-300e-6, 300e-6] {
        let mut path = Path::default();
        // Ten minutes; the drift is 180 ms at the end.
        for n in 0..30_000_u32 {
            let sent = Duration::from_secs_f64(f64::from(n) * 0.02 * (1.0 + error));
            path.deliver_at(sent + ms(300), n, TICKS * n, PLAIN);
        }
        let played = path.run(JitterOptions::default());
        assert_eq!(played.letters().len(), 30_000);
        assert!(played.waits().all(|wait| wait <= ms(40)));
        let late = played.waits().skip(100).min().unwrap();
        assert!(late >= ms(19), "{late:?}");
        assert_eq!(played.buffer.stats().target, ms(20));
    }
}

#[test]
fn the_base_follows_a_path_that_becomes_longer() {
    let mut n = 0;
    let played = simulate(6_000, PLAIN, |random| {
        n += 1;
        Some(random.unit() + if n >= 1_000 { 150.0 } else { 0.0 })
    });
    assert_eq!(played.letters(), "p".repeat(6_000));
    assert_eq!(target_at(&played, Duration::from_secs(90)), 20);
    assert!(played.waits().last().unwrap() <= ms(20));
}
