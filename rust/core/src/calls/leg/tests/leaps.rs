//! Callers whose clock leaps.

use super::*;

/// A carrier whose frames have their time in front of them.
#[derive(Debug)]
struct Timed;

impl Carrier for Timed {
    fn name(&self) -> &'static str {
        "timed"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::MEDIA_STREAM
    }

    fn read(&mut self, frame: Frame<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        match frame {
            Frame::Text(_) => take(started(AudioFormat::Mulaw)),
            Frame::Binary(bytes) => {
                let (time, sound) = bytes.split_first_chunk().expect("its time");
                take(LegMessage::Media(Media {
                    sound,
                    number: None,
                    at_ms: Some(u64::from_le_bytes(*time)),
                }));
            }
        }
    }

    fn write(&mut self, _: LegCommand<'_>, _: &mut Vec<Outgoing>) {}
}

struct Caller {
    leg: Leg,
    /// How many bytes the model was given.
    heard: usize,
}

impl Caller {
    fn new() -> Self {
        let mut leg = Leg::new(Box::new(Timed), LegOptions::default(), at(0));
        leg.receive(Frame::Text("start"), at(0), &mut Effects::default());
        Self { leg, heard: 0 }
    }

    /// 20 ms of sound that say that they begin at `at_ms`.
    fn says(&mut self, at_ms: u64, now_ms: u64) {
        let frame = [&at_ms.to_le_bytes()[..], &[7; 160]].concat();
        let mut effects = Effects::default();
        self.leg
            .receive(Frame::Binary(&frame), at(now_ms), &mut effects);
        self.heard += effects.sound.len();
    }
}

#[test]
fn the_silence_of_leaps_counts_as_sound_that_was_sent() {
    let mut caller = Caller::new();
    // Ten seconds further each time, a hundred times a second.
    for n in 0..1_000 {
        caller.says(n * 10_000, n * 10);
    }
    // What may be ahead, a little more than the time that has passed, and the last leap.
    let most_ms = 15_000 + 11_000 + 10_000;
    assert!(caller.heard <= most_ms * 8, "{} ms", caller.heard / 8);
    assert!(caller.leg.ignored() > 900);
}

#[test]
fn who_was_not_heard_for_a_while_has_his_silence_for_nothing() {
    let mut caller = Caller::new();
    for n in 0..20 {
        // Half a minute of nothing, and then a second of sound at once.
        for piece in 0..50 {
            caller.says(n * 31_000 + piece * 20, n * 31_000 + 1_000);
        }
    }
    assert_eq!(caller.leg.ignored(), 0);
}

#[test]
fn what_was_dropped_after_a_stall_delays_nobody_who_speaks_on() {
    let mut caller = Caller::new();
    // Twenty seconds come at once, five more than may be ahead.
    for n in 0..1_000 {
        caller.says(n * 20, 20_000);
    }
    let (ignored, heard) = (caller.leg.ignored(), caller.heard);
    assert_eq!(ignored, 250);
    for n in 1_000..1_200 {
        caller.says(n * 20, 20_000 + (n - 1_000) * 20);
    }
    // The first waits for the rate to allow it; all others are heard, and no silence before them.
    assert!(caller.leg.ignored() - ignored <= 2);
    let said_ms = (caller.heard - heard) / 8;
    assert!((3_900..=4_000).contains(&said_ms), "{said_ms} ms");
}
