mod ending;
mod leaps;
mod takeover;

use super::*;
use crate::calls::carrier::{Ignored, LegMessage, Marks, Media};
use crate::calls::event::CallEvent;
use crate::conversation::CallerCommand;
use crate::transport::Frame;

/// A carrier whose frames are commands of a test.
#[derive(Debug)]
struct Plain(Capabilities);

const WIDE: AudioFormat = AudioFormat::Pcm { rate: 16_000 };

fn started<'a>(format: AudioFormat) -> LegMessage<'a> {
    LegMessage::Started(Box::new(Started {
        call_id: "call".to_owned(),
        stream_id: "stream".to_owned(),
        caller: None,
        callee: None,
        direction: None,
        parameters: serde_json::Map::new(),
        format,
    }))
}

impl Carrier for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn capabilities(&self) -> Capabilities {
        self.0
    }

    fn read(&mut self, frame: Frame<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        match frame {
            Frame::Text("start") => take(started(AudioFormat::Mulaw)),
            Frame::Text("start wide") => take(started(WIDE)),
            Frame::Text("stop") => take(LegMessage::Stopped("the test ends".to_owned())),
            Frame::Text("full") => take(LegMessage::Full(true)),
            Frame::Text("room") => take(LegMessage::Full(false)),
            Frame::Text(mark) => match mark.parse() {
                Ok(id) => take(LegMessage::Mark(id)),
                Err(_) => take(LegMessage::Ignored(Ignored::NotOfTheProtocol)),
            },
            Frame::Binary(sound) => take(LegMessage::Media(Media {
                sound,
                number: None,
                at_ms: None,
            })),
        }
    }

    fn write(&mut self, command: LegCommand<'_>, out: &mut Vec<Outgoing>) {
        out.push(match command {
            LegCommand::Sound(sound) => Outgoing::Binary(sound.to_vec()),
            other => Outgoing::Text(format!("{other:?}")),
        });
    }
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct Stage {
    leg: Leg,
    effects: Effects,
}

impl Stage {
    fn new(capabilities: Capabilities, options: LegOptions) -> Self {
        let leg = Leg::new(Box::new(Plain(capabilities)), options, at(0));
        let effects = Effects::default();
        Self { leg, effects }
    }

    fn started(capabilities: Capabilities) -> Self {
        let mut stage = Self::new(capabilities, LegOptions::default());
        stage.receive("start", 0);
        stage
    }

    fn receive(&mut self, frame: &str, ms: u64) {
        let effects = &mut self.effects;
        self.leg.receive(Frame::Text(frame), at(ms), effects);
    }

    fn wait(&mut self, ms: u64) {
        self.leg.handle_timeout(at(ms), &mut self.effects);
    }

    fn play(&mut self, bytes: usize, ms: u64) {
        self.leg.play(&vec![7; bytes], AudioFormat::Mulaw, at(ms));
    }

    /// What was sent: lengths of sound, and commands in words.
    fn sent(&mut self) -> Vec<String> {
        let mut batch = Vec::new();
        self.leg.take_outgoing(&mut batch, usize::MAX);
        let shown = |message| match message {
            Outgoing::Binary(sound) => sound.len().to_string(),
            Outgoing::Text(text) => text,
            Outgoing::Close { code, .. } => format!("close {code}"),
        };
        batch.into_iter().map(shown).collect()
    }
}

const PACED: Capabilities = Capabilities {
    far_buffer: None,
    marks: Marks::None,
    ..Capabilities::MEDIA_STREAM
};

#[test]
fn sound_before_the_start_waits_for_it() {
    let mut stage = Stage::new(Capabilities::MEDIA_STREAM, LegOptions::default());
    stage.play(400, 0);
    assert!(stage.sent().is_empty());
    assert!((stage.leg.left_to_play_ms(at(0)) - 50.0).abs() < 0.01);
    stage.receive("start", 100);
    assert!(stage.effects.started);
    assert_eq!(stage.sent(), ["Mark(1)", "400"]);
}

#[test]
fn marks_stand_at_the_beginning_and_each_second() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    stage.play(8 * 2_500, 0);
    let expected = [
        "Mark(1)", "800", "Mark(2)", "3200", "Mark(3)", "4000", "Mark(4)", "8000", "Mark(5)",
        "4000",
    ];
    assert_eq!(stage.sent(), expected);
}

#[test]
fn a_clear_drops_what_waits_and_says_so_only_where_something_may_play() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    stage.leg.command(CallerCommand::Clear, at(0));
    assert!(stage.sent().is_empty());
    stage.play(8_000, 0);
    stage.leg.command(CallerCommand::Clear, at(100));
    assert_eq!(stage.sent(), ["Clear"]);
    assert!(stage.leg.left_to_play_ms(at(100)) == 0.0);
    stage.play(800, 200);
    stage.sent();
    // Long after the end there is nothing to clear.
    stage.leg.command(CallerCommand::Clear, at(5_000));
    assert!(stage.sent().is_empty());
}

#[test]
fn a_full_far_side_is_waited_for() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    stage.receive("full", 0);
    stage.play(800, 0);
    assert!(stage.sent().is_empty());
    stage.receive("room", 50);
    assert_eq!(stage.sent(), ["Mark(1)", "800", "Mark(2)"]);
}

#[test]
fn no_more_is_sent_ahead_than_the_far_side_buffers() {
    let capabilities = Capabilities {
        far_buffer: Some(Duration::from_secs(2)),
        marks: Marks::None,
        ..Capabilities::MEDIA_STREAM
    };
    let mut stage = Stage::started(capabilities);
    stage.play(8 * 5_000, 0);
    let sent = |stage: &mut Stage| -> usize {
        let sent = stage.sent();
        sent.iter().filter_map(|it| it.parse::<usize>().ok()).sum()
    };
    assert_eq!(sent(&mut stage), 16_000);
    assert_eq!(stage.leg.poll_timeout(at(0)), Some(at(250)));
    stage.wait(1_000);
    assert_eq!(sent(&mut stage), 8_000);
}

#[test]
fn frames_are_paced_and_silence_is_kept_up() {
    let mut stage = Stage::started(PACED);
    stage.play(400, 0);
    stage.wait(0);
    assert_eq!(stage.sent(), ["160"]);
    stage.wait(40);
    // A part of a frame is filled up; then silence.
    assert_eq!(stage.sent(), ["160", "160"]);
    stage.wait(80);
    assert_eq!(stage.sent(), ["160", "160"]);
    assert_eq!(stage.leg.poll_timeout(at(80)), Some(at(100)));
    assert!(stage.leg.left_to_play_ms(at(100)) == 0.0);
}

#[test]
fn a_paced_far_side_that_reads_nothing_ends_the_call() {
    let mut stage = Stage::started(PACED);
    for frame in 0..=250 {
        stage.wait(20 * frame);
    }
    assert_eq!(stage.leg.end().map(|end| end.by), Some(EndedBy::LineLost));
}

#[test]
fn a_stream_that_does_not_start_ends() {
    let mut stage = Stage::new(Capabilities::MEDIA_STREAM, LegOptions::default());
    assert_eq!(stage.leg.poll_timeout(at(0)), Some(at(10_000)));
    stage.wait(10_000);
    assert_eq!(stage.leg.end().map(|end| end.by), Some(EndedBy::Limit));
}

#[test]
fn silence_on_both_sides_is_said_and_then_ends_the_call() {
    let options = LegOptions {
        idle_timeout: Some(Duration::from_secs(30)),
        ..LegOptions::default()
    };
    let mut stage = Stage::new(Capabilities::MEDIA_STREAM, options);
    stage.receive("start", 0);
    stage.leg.command(CallerCommand::Speech(true), at(10_000));
    stage.wait(35_000);
    assert!(stage.effects.events.is_empty());
    stage.leg.command(CallerCommand::Speech(false), at(36_000));
    stage.wait(66_000);
    let silence = Duration::from_secs(30);
    assert_eq!(stage.effects.events, [CallEvent::CallIdle { silence }]);
    stage.wait(96_000);
    assert_eq!(stage.leg.end().map(|end| end.by), Some(EndedBy::Limit));
}

#[test]
fn a_lost_line_is_waited_for_and_taken_up() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    stage.play(8_000, 0);
    stage
        .leg
        .line_ended("reset", false, at(100), &mut stage.effects);
    assert!(stage.leg.is_lost() && !stage.effects.ended);
    assert!(stage.leg.left_to_play_ms(at(100)) == 0.0);
    stage.play(160, 200);
    let carrier = Box::new(Plain(Capabilities::MEDIA_STREAM));
    let mut other = Stage::started(Capabilities::MEDIA_STREAM);
    let (_, started) = std::mem::replace(&mut other.leg, Leg::over(at(0))).into_line();
    let started = started.expect("it has started");
    stage
        .leg
        .resume(carrier, started, at(300), &mut stage.effects);
    assert!(stage.leg.is_standing());
    assert_eq!(
        stage.effects.events.last(),
        Some(&CallEvent::CallResumed {})
    );
}

#[test]
fn a_lost_line_that_nobody_takes_up_ends_the_call() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    stage
        .leg
        .line_ended("reset", false, at(0), &mut stage.effects);
    stage.wait(5_000);
    assert!(stage.effects.ended);
    assert_eq!(stage.leg.end().map(|end| end.by), Some(EndedBy::LineLost));
}

#[test]
fn what_is_ignored_is_told_ever_more_rarely() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    for _ in 0..9 {
        stage.receive("nonsense", 10);
    }
    let counts: Vec<u64> = stage
        .effects
        .events
        .iter()
        .filter_map(|event| match event {
            CallEvent::CallFrameIgnored { count, .. } => Some(*count),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [1, 2, 4, 8]);
    assert_eq!(stage.leg.ignored(), 9);
}

#[test]
fn sound_of_another_format_is_converted() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    let pcm = vec![0; 24_000 * 2];
    let length_ms = stage.leg.play(&pcm, AudioFormat::default(), at(0));
    assert!((length_ms - 1_000.0).abs() < 10.0, "{length_ms}");
}

/// The sound that was sent, all of it.
fn sound_of(stage: &mut Stage) -> Vec<u8> {
    let mut batch = Vec::new();
    stage.leg.take_outgoing(&mut batch, usize::MAX);
    let sound = batch.into_iter().filter_map(|message| match message {
        Outgoing::Binary(sound) => Some(sound),
        _ => None,
    });
    sound.flatten().collect()
}

#[test]
fn sound_before_the_start_keeps_its_format_until_that_of_the_stream_is_known() {
    let mut stage = Stage::new(Capabilities::MEDIA_STREAM, LegOptions::default());
    let pcm: Vec<u8> = (0..3_200).map(|n| n as u8).collect();
    stage.leg.play(&pcm, WIDE, at(0));
    stage.leg.play(&[7; 800], AudioFormat::Mulaw, at(0));
    assert!((stage.leg.left_to_play_ms(at(0)) - 200.0).abs() < 0.01);
    stage.receive("start wide", 10);
    let sent = sound_of(&mut stage);
    assert!(sent.starts_with(&pcm), "it was made narrow on its way");
    let length_ms = WIDE.duration_ms(sent.len() as u64);
    assert!((length_ms - 200.0).abs() < 10.0, "{length_ms}");
    let left_ms = stage.leg.left_to_play_ms(at(10));
    assert!((left_ms - length_ms).abs() < 0.01, "{left_ms}");
}

#[test]
fn no_more_is_kept_before_the_start_than_may_wait() {
    let options = LegOptions {
        max_unsent: Duration::from_millis(100),
        ..LegOptions::default()
    };
    let mut stage = Stage::new(Capabilities::MEDIA_STREAM, options);
    stage.play(400, 0);
    stage.leg.play(&vec![0; 32_000], WIDE, at(0));
    assert!((stage.leg.left_to_play_ms(at(0)) - 100.0).abs() < 0.01);
    stage.leg.clear(at(0));
    stage.receive("start", 10);
    assert!(stage.sent().is_empty());
}

#[test]
fn a_stream_that_starts_again_in_another_format_gets_that() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    stage
        .leg
        .play(&vec![0; 48_000], AudioFormat::default(), at(0));
    stage.sent();
    stage.receive("start wide", 500);
    stage
        .leg
        .play(&vec![0; 48_000], AudioFormat::default(), at(500));
    let length_ms = WIDE.duration_ms(sound_of(&mut stage).len() as u64);
    assert!((length_ms - 1_000.0).abs() < 10.0, "{length_ms}");
}

#[test]
fn what_was_not_sent_is_played_on_the_next_stream_in_its_format() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    stage.play(800, 0);
    stage.sent();
    stage.receive("full", 0);
    stage.play(1_600, 0);
    stage.receive("room", 10);
    stage
        .leg
        .line_ended("reset", false, at(20), &mut stage.effects);
    stage.play(800, 20);
    let left_ms = stage.leg.left_to_play_ms(at(20));
    assert!(
        (left_ms - 100.0).abs() < 0.01,
        "what was sent is over: {left_ms}"
    );
    let mut other = Stage::new(Capabilities::MEDIA_STREAM, LegOptions::default());
    other.receive("start wide", 0);
    let (carrier, started) = std::mem::replace(&mut other.leg, Leg::over(at(0))).into_line();
    let started = started.expect("it has started");
    stage
        .leg
        .resume(carrier, started, at(30), &mut stage.effects);
    let length_ms = WIDE.duration_ms(sound_of(&mut stage).len() as u64);
    assert!((length_ms - 100.0).abs() < 10.0, "{length_ms}");
    let left_ms = stage.leg.left_to_play_ms(at(30));
    assert!((left_ms - length_ms).abs() < 0.01, "{left_ms}");
}

#[test]
fn a_call_whose_session_is_lost_ends_when_all_was_heard() {
    let mut stage = Stage::started(Capabilities::MEDIA_STREAM);
    stage.play(8 * 15_000, 0);
    stage.leg.command(CallerCommand::Attended(false), at(0));
    stage.leg.command(CallerCommand::Attended(true), at(1_000));
    stage.wait(11_000);
    assert!(!stage.leg.is_over());
    stage
        .leg
        .command(CallerCommand::Attended(false), at(11_000));
    assert!(
        stage
            .leg
            .poll_timeout(at(11_000))
            .is_some_and(|due| due <= at(21_000))
    );
    for ms in [12_000, 13_000, 14_000, 15_000, 20_999] {
        stage.wait(ms);
        assert!(!stage.leg.is_over(), "{ms}");
    }
    stage.wait(21_000);
    assert_eq!(stage.leg.end().map(|end| end.by), Some(EndedBy::Limit));
}

#[test]
fn a_call_whose_session_is_lost_plays_to_its_end_first() {
    let mut stage = Stage::started(Capabilities {
        marks: Marks::None,
        ..Capabilities::MEDIA_STREAM
    });
    stage.play(8 * 15_000, 0);
    stage.leg.command(CallerCommand::Attended(false), at(0));
    stage.wait(10_000);
    assert!(!stage.leg.is_over());
    stage.wait(15_001);
    assert!(!stage.leg.is_over(), "the far side may still play");
    stage.wait(15_000 + ending::UNTOLD);
    assert_eq!(stage.leg.end().map(|end| end.by), Some(EndedBy::Limit));
}
