//! One interruption: the same for speech, command and guardrail, on both kinds of transport,
//! whenever it comes.

use std::time::Duration;

use serde_json::{Map, Value, json};
use stapes_core::conversation::{
    Capabilities, ContentPart, Conversation, Event, GuardSource, Interest, Item, ItemKind, Media,
    Options, Output, ServerEvent, TrackAudio, Truncation,
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Cause {
    Speech,
    Command,
    Guardrail,
}

const CAUSES: [Cause; 3] = [Cause::Speech, Cause::Command, Cause::Guardrail];
const TRANSPORTS: [Capabilities; 2] = [
    Capabilities {
        media: Media::InFrames,
        truncation: Truncation::Client,
    },
    Capabilities::MEDIA_TRACK,
];

/// The words of an item's first part that were heard.
fn heard(item: &Item) -> Option<&str> {
    match &item.kind {
        ItemKind::Message { content, .. } => match content.first()? {
            ContentPart::OutputAudio { heard, .. } => Some(&heard.as_ref()?.transcript),
            _ => None,
        },
        _ => None,
    }
}

/// A conversation, and what came of it in short words.
struct Call {
    conversation: Conversation,
    on_track: bool,
    now: Duration,
    log: Vec<String>,
}

impl Call {
    fn new(capabilities: Capabilities) -> Self {
        let mut conversation = Conversation::new(Options::default());
        conversation.set_interest(Interest::ALL);
        let connection_id = conversation.connecting(capabilities).expect("it is stated");
        conversation
            .opened(connection_id, 0, "{}".to_owned(), json!("auto"))
            .expect("it is stated");
        let mut call = Self {
            conversation,
            on_track: capabilities == Capabilities::MEDIA_TRACK,
            now: Duration::from_secs(1),
            log: Vec::new(),
        };
        call.drain();
        call.log.clear();
        call
    }

    fn drain(&mut self) {
        while let Some(next) = self.conversation.poll_output() {
            match next.output {
                Output::Message(message) => {
                    let message: Value = serde_json::from_str(&message.text).expect("it is stated");
                    self.log
                        .push(match message["type"].as_str().unwrap_or("unknown") {
                            "conversation.item.truncate" => format!(
                                "> truncate {} {}",
                                message["item_id"].as_str().expect("it is stated"),
                                message["audio_end_ms"]
                            ),
                            "response.cancel" => format!(
                                "> cancel {}",
                                message["response_id"].as_str().unwrap_or("?")
                            ),
                            kind => format!("> {kind}"),
                        });
                }
                Output::Event(Event::AudioInterrupted { response_id, .. }) => {
                    let history = self.conversation.history();
                    let parts = history
                        .iter()
                        .map(|item| format!("{}={:?}", item.id, heard(item)));
                    let parts: Vec<_> = parts.collect();
                    self.log
                        .push(format!("interrupted {response_id} {}", parts.join(" ")));
                }
                Output::Event(Event::HistoryUpdated { .. }) => self.log.push("history".to_owned()),
                Output::Event(Event::Audio { response_id, .. }) => {
                    self.log.push(format!("audio {response_id}"));
                }
                _ => {}
            }
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is a literal")]
    fn server(&mut self, event: Value) {
        let text = event.to_string();
        let event = ServerEvent::parse(&text, Interest::ALL);
        let connection_id = self.conversation.connection_id();
        self.conversation
            .handle_server(connection_id, event, self.now);
        self.drain();
    }

    fn begins(&mut self, response: &str) {
        self.server(json!({"type": "response.created", "response": {"id": response}}));
    }

    /// An item of a response is generated: words, and a second of audio.
    fn speaks(&mut self, response: &str, item: &str) {
        let of = json!({"response_id": response, "item_id": item, "content_index": 0});
        let with = |kind: &str, key: &str, value: Value| {
            let mut event = of.clone();
            event["type"] = kind.into();
            event[key] = value;
            event
        };
        let message = json!({"id": item, "type": "message", "role": "assistant", "content": []});
        self.server(
            json!({"type": "response.output_item.added", "response_id": response, "item": message}),
        );
        let part = json!({"type": "audio"});
        self.server(with("response.content_part.added", "part", part));
        let words = "one two three four";
        self.server(with(
            "response.output_audio_transcript.delta",
            "delta",
            words.into(),
        ));
        if self.on_track {
            return;
        }
        let second = "AAAA".repeat(16_000);
        self.server(with("response.output_audio.delta", "delta", second.into()));
    }

    /// The response has been generated to its end.
    fn ends(&mut self, response: &str, item: &str) {
        self.has_spoken(response, item);
        let part = json!({"type": "output_audio", "transcript": "one two three four"});
        let message =
            json!({"id": item, "type": "message", "role": "assistant", "content": [part]});
        self.server(
            json!({"type": "response.output_item.done", "response_id": response, "item": message}),
        );
        self.server(
            json!({"type": "response.done", "response": {"id": response, "output": [message]}}),
        );
    }

    /// The listener hears half a second of a response.
    fn plays(&mut self, response: &str) {
        if self.on_track {
            self.server(json!({"type": "output_audio_buffer.started", "response_id": response}));
            self.track_audio();
        }
        self.now += Duration::from_millis(500);
    }

    /// All sound of an item has been generated.
    fn has_spoken(&mut self, response: &str, item: &str) {
        self.server(
            json!({"type": "response.output_audio.done", "response_id": response,
                           "item_id": item, "content_index": 0}),
        );
    }

    fn track_audio(&mut self) {
        let audio = TrackAudio::Pcm {
            data: vec![0; 24_000],
            samples: 12_000,
            rate: 24_000,
        };
        let (connection_id, segment) = (
            self.conversation.connection_id(),
            self.conversation.segment(),
        );
        self.conversation
            .track_audio(connection_id, segment, audio, self.now);
        self.drain();
    }

    fn interrupt(&mut self, cause: Cause, response: Option<(&str, u64)>) {
        self.log.clear();
        match cause {
            Cause::Speech => self.server(json!({"type": "input_audio_buffer.speech_started"})),
            Cause::Command => self.conversation.interrupt(self.now),
            Cause::Guardrail => {
                let (id, index) = response.expect("it is stated");
                self.conversation
                    .guardrail_tripped(
                        self.conversation.connection_id(),
                        index,
                        Some(id),
                        GuardSource::Audio,
                        1,
                        &Map::new(),
                        self.now,
                    )
                    .expect("it is stated");
            }
        }
        self.drain();
        // What a guardrail tells the model afterwards is not part of the interruption.
        self.log
            .retain(|line| !matches!(&**line, "> unknown" | "> response.create"));
    }

    fn late_audio(&mut self, response: &str, item: &str) -> bool {
        self.log.clear();
        if self.on_track {
            self.track_audio();
        } else {
            self.server(
                json!({"type": "response.output_audio.delta", "response_id": response,
                               "item_id": item, "content_index": 0, "delta": "AAAA"}),
            );
        }
        self.log.iter().any(|line| line.starts_with("audio"))
    }
}

fn each(check: impl Fn(Cause, &mut Call)) {
    for cause in CAUSES {
        for capabilities in TRANSPORTS {
            check(cause, &mut Call::new(capabilities));
        }
    }
}

/// The log of an interruption, for both kinds of transport.
fn expect(call: &Call, cause: Cause, in_frames: &[&str], on_track: &[&str]) {
    let expected = if call.on_track { on_track } else { in_frames };
    let log: Vec<_> = call
        .log
        .iter()
        .filter(|line| !line.starts_with("> conversation.item.create"))
        .collect();
    assert_eq!(log, expected, "{cause:?}, on a track: {}", call.on_track);
}

#[test]
fn before_the_response_exists() {
    for cause in [Cause::Speech, Cause::Command] {
        for capabilities in TRANSPORTS {
            let mut call = Call::new(capabilities);
            call.conversation
                .request_response(None, call.now)
                .expect("it is stated");
            call.interrupt(cause, None);
            expect(&call, cause, &[], &["> output_audio_buffer.clear"]);
            call.begins("r");
            assert_eq!(call.log.last().expect("it is stated"), "> cancel r");
            call.speaks("r", "i");
            assert!(!call.late_audio("r", "i"));
        }
    }
}

#[test]
fn while_the_response_has_no_sound() {
    each(|cause, call| {
        call.begins("r");
        call.interrupt(cause, Some(("r", 1)));
        let cancel = "> cancel r";
        expect(
            call,
            cause,
            &[cancel],
            &[cancel, "> output_audio_buffer.clear"],
        );
        call.speaks("r", "i");
        assert!(!call.late_audio("r", "i"));
    });
}

#[test]
fn while_the_response_is_made() {
    each(|cause, call| {
        call.begins("r");
        call.speaks("r", "i");
        call.plays("r");
        call.interrupt(cause, Some(("r", 1)));
        expect(
            call,
            cause,
            &[
                "> cancel r",
                "> truncate i 500",
                "history",
                "interrupted r i=Some(\"one two\")",
            ],
            &[
                "> cancel r",
                "> output_audio_buffer.clear",
                "history",
                "interrupted r i=Some(\"one two\")",
            ],
        );
        assert!(!call.late_audio("r", "i"));
    });
}

#[test]
fn after_the_response_was_made() {
    each(|cause, call| {
        call.begins("r");
        call.speaks("r", "i");
        call.ends("r", "i");
        call.plays("r");
        call.interrupt(cause, Some(("r", 1)));
        expect(
            call,
            cause,
            &[
                "> truncate i 500",
                "history",
                "interrupted r i=Some(\"one two\")",
            ],
            &[
                "> output_audio_buffer.clear",
                "history",
                "interrupted r i=Some(\"one two\")",
            ],
        );
        assert!(!call.late_audio("r", "i"));
    });
}

#[test]
fn while_an_older_response_still_plays() {
    each(|cause, call| {
        call.begins("old");
        call.speaks("old", "o");
        call.ends("old", "o");
        call.plays("old");
        call.begins("new");
        call.speaks("new", "n");
        call.interrupt(cause, Some(("new", 2)));
        let told = [
            "interrupted old o=Some(\"one two\") n=Some(\"\")",
            "interrupted new o=Some(\"one two\") n=Some(\"\")",
        ];
        expect(
            call,
            cause,
            &[
                "> cancel new",
                "> truncate o 500",
                "> truncate n 0",
                "history",
                told[0],
                told[1],
            ],
            // No sound of the new one has come: there is nothing to stop playing.
            &[
                "> cancel new",
                "> output_audio_buffer.clear",
                "history",
                told[0],
            ],
        );
        assert!(!call.late_audio("new", "n") && !call.late_audio("old", "o"));
    });
}

#[test]
fn after_everything_was_heard() {
    each(|cause, call| {
        call.begins("r");
        call.speaks("r", "i");
        call.ends("r", "i");
        call.plays("r");
        let (connection_id, segment) = (
            call.conversation.connection_id(),
            call.conversation.segment(),
        );
        call.conversation.segment_ended(connection_id, segment);
        call.now += Duration::from_secs(60);
        call.interrupt(cause, Some(("r", 1)));
        expect(call, cause, &[], &["> output_audio_buffer.clear"]);
    });
}

/// An older response plays, and a newer one waits to be played.
fn two_responses() -> Call {
    let mut call = Call::new(TRANSPORTS[0]);
    call.begins("old");
    call.speaks("old", "o");
    call.ends("old", "o");
    call.begins("new");
    call.speaks("new", "n");
    call.plays("old");
    call.log.clear();
    call
}

#[test]
fn one_response_is_stopped_and_the_other_one_plays_on() {
    let mut call = two_responses();
    let now = call.now;
    call.conversation
        .stop_response("old", true, Some(false), now)
        .expect("it stands");
    call.drain();
    assert_eq!(
        call.log,
        [
            "> truncate o 500",
            "history",
            "interrupted old o=Some(\"one two\") n=None",
        ]
    );
    assert!(call.late_audio("new", "n"), "it was not stopped");
    call.now += Duration::from_millis(250);
    call.interrupt(Cause::Command, None);
    assert!(
        call.log.contains(&"> truncate n 250".to_owned()),
        "{:?}",
        call.log
    );
}

#[test]
fn a_response_is_cancelled_without_its_playback() {
    let mut call = two_responses();
    let now = call.now;
    for _ in 0..2 {
        call.conversation
            .stop_response("new", false, Some(true), now)
            .expect("it stands");
    }
    call.conversation
        .stop_response("old", false, Some(true), now)
        .expect("it stands");
    call.drain();
    assert_eq!(call.log, ["> cancel new"], "the other one has ended");
    assert!(call.late_audio("new", "n"));
}

#[test]
fn a_response_that_the_server_cancels_is_not_cancelled_twice() {
    for server_interrupts in [true, false] {
        let mut call = two_responses();
        let detection = json!({"type": "server_vad", "interrupt_response": server_interrupts});
        call.server(
            json!({"type": "session.updated", "session": {"audio": {"input": {
            "turn_detection": detection}}}}),
        );
        call.log.clear();
        let now = call.now;
        call.conversation
            .stop_response("new", true, None, now)
            .expect("it stands");
        call.drain();
        let cancels = call.log.contains(&"> cancel new".to_owned());
        assert_eq!(cancels, !server_interrupts);
        assert!(!call.late_audio("new", "n"));
    }
}

#[test]
fn the_first_part_that_was_cut_is_named() {
    let mut call = Call::new(TRANSPORTS[0]);
    call.begins("r");
    call.speaks("r", "first");
    call.ends("r", "first");
    call.begins("s");
    call.speaks("s", "second");
    call.speaks("s", "third");
    call.now += Duration::from_millis(1_500);
    let now = call.now;
    call.conversation.interrupt(now);
    let mut named = Vec::new();
    while let Some(next) = call.conversation.poll_output() {
        if let Output::Event(Event::AudioInterrupted {
            response_id,
            item_id,
            content_index,
            ..
        }) = next.output
        {
            named.push((response_id.to_string(), item_id.to_string(), content_index));
        }
    }
    assert_eq!(named, [("s".to_owned(), "second".to_owned(), 0)]);
}

#[test]
fn in_the_second_message_of_a_response() {
    each(|cause, call| {
        call.begins("r");
        call.speaks("r", "a");
        if !call.on_track {
            call.has_spoken("r", "a");
        }
        call.speaks("r", "b");
        // In frames a message is a second long; on a track 1.2 s, by its words.
        let heard = if call.on_track { 3 } else { 2 };
        call.plays("r");
        for _ in 0..heard {
            if call.on_track {
                call.track_audio();
            }
            call.now += Duration::from_millis(500);
        }
        call.interrupt(cause, Some(("r", 1)));
        let told = "interrupted r a=None b=Some(\"one two\")";
        expect(
            call,
            cause,
            &["> cancel r", "> truncate b 500", "history", told],
            &["> cancel r", "> output_audio_buffer.clear", "history", told],
        );
        assert!(!call.late_audio("r", "b"));
    });
}
