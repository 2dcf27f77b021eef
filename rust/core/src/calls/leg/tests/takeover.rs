//! Another line that takes the place of one that was lost, or is silent.

use super::*;

const PAGE: Capabilities = Capabilities {
    messages: true,
    pause: true,
    ..Capabilities::MEDIA_STREAM
};

impl Stage {
    fn break_off(&mut self, ms: u64) {
        self.leg
            .line_ended("reset", false, at(ms), &mut self.effects);
    }

    /// A line that has read its start takes over. Returns what it is sent at once.
    fn take_over(&mut self, ms: u64) -> Vec<String> {
        let mut other = Self::started(PAGE);
        let (carrier, started) = std::mem::replace(&mut other.leg, Leg::over(at(0))).into_line();
        let started = started.expect("it has started");
        self.leg.resume(carrier, started, at(ms), &mut self.effects);
        self.sent()
    }
}

#[test]
fn a_line_that_comes_for_a_call_that_is_over_is_told_and_closed() {
    let mut stage = Stage::started(PAGE);
    stage.leg.hang_up(false, at(10));
    stage.sent();
    assert_eq!(
        stage.take_over(20),
        [r#"HangUp("hung up by this side")"#, "close 1000"]
    );
    assert!(stage.leg.is_over() && stage.effects.events.is_empty());
}

#[test]
fn what_the_application_has_paused_stands_still_on_the_next_line() {
    for pauses_before in [true, false] {
        let mut stage = Stage::started(PAGE);
        if pauses_before {
            assert!(stage.leg.pause_output(true, at(0)));
        }
        stage.break_off(10);
        if !pauses_before {
            assert!(stage.leg.pause_output(true, at(20)));
        }
        assert_eq!(stage.take_over(30)[1..], ["Pause"]);
        stage.play(800, 40);
        stage.sent();
        assert!(stage.leg.left_to_play_ms(at(5_000)) >= 100.0);
        assert!(stage.leg.pause_output(false, at(5_000)));
        assert_eq!(stage.sent()[0], "Resume");
    }
}

#[test]
fn what_is_let_go_on_while_there_is_no_line_goes_on() {
    let mut stage = Stage::started(PAGE);
    assert!(stage.leg.pause_output(true, at(0)));
    stage.break_off(10);
    assert!(stage.leg.pause_output(false, at(20)));
    assert_eq!(stage.take_over(30).len(), 1);
    stage.leg.hang_up(false, at(40));
    assert!(!stage.leg.pause_output(true, at(50)));
}

#[test]
fn a_silence_of_the_line_before_does_not_stop_the_next() {
    let mut stage = Stage::started(PAGE);
    let effects = &mut stage.effects;
    stage.leg.line_is_silent(Some("nothing"), at(10), effects);
    assert_eq!(stage.take_over(20).len(), 1);
    assert!(!stage.leg.is_paused());
}

#[test]
fn messages_to_a_silent_line_are_sent_over_it_and_again_over_the_next() {
    let mut stage = Stage::started(PAGE);
    stage.leg.send_message("0", at(0)).unwrap();
    stage.sent();
    let effects = &mut stage.effects;
    stage.leg.line_is_silent(Some("nothing"), at(10), effects);
    for number in 1..=150 {
        stage.leg.send_message(&number.to_string(), at(20)).unwrap();
    }
    assert_eq!(stage.sent()[1..].len(), 150, "behind the pause");
    let held = (51..=150).map(|number| format!("Message(\"{number}\")"));
    assert!(
        stage.take_over(30)[1..]
            .iter()
            .eq(&held.collect::<Vec<_>>())
    );
}

#[test]
fn messages_that_a_line_has_delivered_after_its_silence_are_not_sent_again() {
    let mut stage = Stage::started(PAGE);
    let effects = &mut stage.effects;
    stage.leg.line_is_silent(Some("nothing"), at(10), effects);
    stage.leg.send_message("1", at(20)).unwrap();
    stage.leg.line_is_silent(None, at(30), &mut stage.effects);
    stage.break_off(40);
    assert_eq!(stage.take_over(50).len(), 1);
}

#[test]
fn a_message_that_is_longer_than_the_line_takes_is_refused_and_the_next_line_may_take_it() {
    let mut stage = Stage::started(PAGE);
    stage.leg.limit_messages(3);
    assert_eq!(stage.leg.send_message("123", at(0)), Ok(()));
    let refused = stage.leg.send_message("1234", at(0));
    assert_eq!(refused, Err(UnsentMessage::TooLong { bytes: 4, most: 3 }));
    stage.break_off(10);
    assert_eq!(stage.leg.send_message("12345", at(20)), Ok(()));
    assert_eq!(stage.take_over(30)[1], "Message(\"12345\")");
    assert_eq!(stage.leg.send_message("123456", at(40)), Ok(()));
}
