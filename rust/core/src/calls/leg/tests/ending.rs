//! The end of a call, and of what is played.

use super::*;

/// Moves time on as a driver does, up to `ms`; how often it had to.
fn run(stage: &mut Stage, from_ms: u64, ms: u64) -> usize {
    let mut now = at(from_ms);
    let mut wakes = 0;
    while let Some(due) = stage.leg.poll_timeout(now)
        && due <= at(ms)
        && wakes < 10_000
    {
        now = due.max(now);
        stage.leg.handle_timeout(now, &mut stage.effects);
        wakes += 1;
    }
    wakes
}

#[test]
fn hanging_up_after_playback_waits_for_the_mark() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    stage.play(400, 0);
    stage.leg.hang_up(true, at(10));
    assert_eq!(stage.sent(), ["Mark(1)", "400", "Mark(2)"]);
    stage.wait(60);
    assert!(!stage.effects.ended);
    stage.receive("1", 61);
    stage.receive("2", 90);
    assert!(stage.effects.ended);
    assert_eq!(stage.sent(), ["close 1000"]);
    assert_eq!(stage.leg.end().map(|end| end.by), Some(EndedBy::Us));
}

#[test]
fn a_mark_that_never_comes_is_waited_for_a_second() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    stage.play(400, 0);
    stage.leg.when_played(9, at(0));
    stage.wait(500);
    assert!(stage.effects.played.is_empty());
    stage.wait(1_051);
    assert_eq!(stage.effects.played, [(9, true)]);
}

#[test]
fn marks_that_were_lost_hold_up_nobody_for_ever_and_cost_no_time() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    stage.play(8 * 4000, 0);
    stage.leg.when_played(1, at(10));
    stage.leg.hang_up(true, at(10));
    let wakes = run(&mut stage, 10, 20_000);
    assert_eq!(stage.effects.played, [(1, true)]);
    assert!(stage.leg.is_over());
    assert!(wakes < 50, "woken {wakes} times");
}

#[test]
fn what_a_caller_who_hangs_up_has_not_heard_was_not_played() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    stage.play(8 * 4000, 0);
    stage.leg.when_played(1, at(10));
    stage.receive("stop", 20);
    assert_eq!(stage.effects.played, [(1, false)]);
}

#[test]
fn what_waits_to_be_sent_when_a_hang_up_is_asked_for_is_confirmed_as_well() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    stage.receive("full", 0);
    stage.play(8 * 2000, 0);
    stage.leg.hang_up(true, at(10));
    stage.receive("room", 20);
    let wakes = run(&mut stage, 20, 20_000);
    assert!(stage.leg.is_over());
    assert!(wakes < 50, "woken {wakes} times");
}

/// How long a far side without marks may still play what the clock says is over.
pub(super) const UNTOLD: u64 = 200;

#[test]
fn a_goodbye_is_heard_to_its_end_where_no_marks_tell() {
    let mut stage = Stage::started(PACED);
    stage.play(8 * 60, 0);
    run(&mut stage, 0, 10);
    stage.leg.hang_up(true, at(10));
    run(&mut stage, 10, 60 + UNTOLD - 1);
    // What the history says was heard does not wait.
    assert!(stage.leg.left_to_play_ms(at(60)) == 0.0);
    assert!(!stage.effects.ended);
    // Silence pushes the last frames through the jitter buffer of the far side.
    assert_eq!(stage.sent(), ["160"; 13]);
    let wakes = run(&mut stage, 60 + UNTOLD - 1, 60 + UNTOLD);
    assert!(stage.effects.ended && wakes > 0);
}

#[test]
fn who_waits_for_the_end_of_what_is_played_waits_for_that_as_well() {
    let capabilities = Capabilities {
        far_buffer: Some(Duration::from_secs(60)),
        marks: Marks::None,
        ..Capabilities::MEDIA_STREAM
    };
    for capabilities in [PACED, capabilities] {
        let mut stage = Stage::started(capabilities);
        stage.play(8 * 60, 0);
        stage.leg.when_played(3, at(0));
        run(&mut stage, 0, 60 + UNTOLD - 1);
        assert!(stage.effects.played.is_empty());
        run(&mut stage, 60 + UNTOLD - 1, 60 + UNTOLD);
        assert_eq!(stage.effects.played, [(3, true)]);
    }
}

#[test]
fn nothing_is_waited_for_where_all_was_heard_long_ago_or_was_cleared() {
    let mut stage = Stage::started(PACED);
    stage.play(8 * 60, 0);
    run(&mut stage, 0, 60 + UNTOLD);
    stage.leg.hang_up(true, at(60 + UNTOLD));
    assert!(stage.leg.is_over());
    let mut stage = Stage::started(PACED);
    stage.play(8 * 60, 0);
    run(&mut stage, 0, 40);
    stage.leg.clear(at(40));
    stage.leg.hang_up(true, at(40));
    assert!(stage.leg.is_over());
}

#[test]
fn a_call_whose_session_is_lost_ends_when_its_last_words_were_heard() {
    let options = LegOptions {
        session_timeout: Some(at(30)),
        ..LegOptions::default()
    };
    let mut stage = Stage::new(PACED, options);
    stage.receive("start", 0);
    stage.play(8 * 60, 0);
    stage.leg.command(CallerCommand::Attended(false), at(0));
    run(&mut stage, 0, 60 + UNTOLD - 1);
    assert!(!stage.effects.ended);
    run(&mut stage, 60 + UNTOLD - 1, 60 + UNTOLD + 5);
    assert!(stage.effects.ended);
}
