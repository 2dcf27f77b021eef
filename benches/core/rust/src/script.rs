//! The conversation: 20 spoken turns, as a server sends them and a microphone hears them.

use std::f64::consts::TAU;
use std::time::Duration;

use base64_simd::STANDARD;
use serde_json::{Value, json};

pub const TURNS: usize = 20;
/// Every third turn calls a function first, every fifth answer is interrupted by speech.
const CALLS_EVERY: usize = 3;
const INTERRUPTED_EVERY: usize = 5;

const DELTAS: usize = 50;
/// 100 ms of PCM at 24 kHz.
const DELTA_BYTES: usize = 4_800;
/// Longer than all deltas of an answer.
const PLAYED: Duration = Duration::from_secs(6);
/// The deltas of an interrupted answer that come before the user speaks, and after.
const HEARD_DELTAS: usize = 30;
const LATE_DELTAS: usize = 5;
/// Chunks of 20 ms while the user speaks.
const SPOKEN_CHUNKS: usize = 50;

pub const TOOL_OUTPUT: &str = r#"{"city":"Paris","weather":"sunny","degrees":21}"#;

pub const SESSION_UPDATE: &str = r#"{"type":"session.update","session":{"type":"realtime","instructions":"Be brief.","output_modalities":["audio"],"audio":{"input":{"format":{"type":"audio/pcm","rate":24000},"turn_detection":{"type":"server_vad","interrupt_response":true}},"output":{"format":{"type":"audio/pcm","rate":24000},"voice":"marin"}},"tools":[],"tool_choice":"auto"}}"#;

/// What happens next.
#[derive(Debug)]
pub enum Step {
    /// The server sends this text.
    Server(String),
    /// The microphone gives a chunk at the rate of the wire.
    Microphone24,
    /// The same at another rate: it is resampled.
    Microphone16,
    /// The tools answer the calls that have come.
    AnswerTools,
    /// Time passes: the answer is played to its end.
    Pause(Duration),
}

/// 20 ms of a microphone, at both rates.
#[derive(Debug)]
pub struct Pcm {
    pub at_24_khz: Vec<i16>,
    pub at_16_khz: Vec<i16>,
}

pub fn microphone() -> Pcm {
    Pcm {
        at_24_khz: tone(24_000, 480),
        at_16_khz: tone(16_000, 320),
    }
}

fn tone(rate: u32, samples: u32) -> Vec<i16> {
    (0..samples)
        .map(|n| (8_000.0 * (TAU * 440.0 * f64::from(n) / f64::from(rate)).sin()) as i16)
        .collect()
}

pub fn conversation() -> Vec<Step> {
    let mut script = Script::new();
    let session = json!({
        "id": "sess_1", "object": "realtime.session", "type": "realtime", "model": "gpt-realtime-2.1",
        "instructions": "Be brief.", "output_modalities": ["audio"], "tools": [],
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "turn_detection": {"type": "server_vad", "threshold": 0.5, "interrupt_response": true},
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin", "speed": 1.0},
        },
    });
    script.server("session.created", json!({"session": session}));
    script.server("session.updated", json!({"session": session}));
    for turn in 0..TURNS {
        script.turn(turn);
    }
    script.steps
}

struct Script {
    steps: Vec<Step>,
    events: usize,
    items: usize,
    responses: usize,
    /// The user speaks already: that was what interrupted the answer before.
    is_speaking: bool,
    /// The base64 of a chunk of the answer.
    sound: String,
    turn: usize,
}

impl Script {
    fn new() -> Self {
        let sound: Vec<u8> = tone(24_000, (DELTA_BYTES / 2) as u32)
            .into_iter()
            .flat_map(i16::to_le_bytes)
            .collect();
        Self {
            steps: Vec::new(),
            events: 0,
            items: 0,
            responses: 0,
            is_speaking: false,
            sound: STANDARD.encode_to_string(sound),
            turn: 0,
        }
    }

    fn server(&mut self, kind: &str, fields: Value) {
        self.events += 1;
        let mut event = json!({"type": kind, "event_id": format!("event_{:08}", self.events)});
        if let (Value::Object(event), Value::Object(fields)) = (&mut event, fields) {
            event.extend(fields);
        }
        self.steps.push(Step::Server(event.to_string()));
    }

    fn microphone(&mut self, chunks: usize) {
        for _ in 0..chunks {
            self.steps.push(if self.turn.is_multiple_of(2) {
                Step::Microphone24
            } else {
                Step::Microphone16
            });
        }
    }

    fn item_id(&self) -> String {
        format!("item_{:08}", self.items)
    }

    fn turn(&mut self, turn: usize) {
        self.turn = turn;
        if !self.is_speaking {
            self.speech_started();
        }
        self.is_speaking = false;
        self.user_speaks();
        if turn % CALLS_EVERY == CALLS_EVERY - 1 {
            self.function_call();
        }
        let interrupted = turn % INTERRUPTED_EVERY == INTERRUPTED_EVERY - 1;
        self.answer(interrupted);
    }

    fn speech_started(&mut self) {
        let item_id = format!("item_{:08}", self.items + 1);
        self.server(
            "input_audio_buffer.speech_started",
            json!({"audio_start_ms": 1_000 * self.turn, "item_id": item_id}),
        );
    }

    fn user_speaks(&mut self) {
        self.microphone(SPOKEN_CHUNKS);
        let previous = self.item_id();
        self.items += 1;
        let id = self.item_id();
        self.server(
            "input_audio_buffer.speech_stopped",
            json!({"audio_end_ms": 1_000 * self.turn + 900, "item_id": id}),
        );
        self.server(
            "input_audio_buffer.committed",
            json!({"previous_item_id": previous, "item_id": id}),
        );
        let item = json!({
            "id": id, "object": "realtime.item", "type": "message", "role": "user", "status": "completed",
            "content": [{"type": "input_audio", "transcript": null}],
        });
        self.conversation_item(&previous, &item);
        for words in ["What is", " the weather", " in Paris?"] {
            self.server(
                "conversation.item.input_audio_transcription.delta",
                json!({"item_id": id, "content_index": 0, "delta": words}),
            );
        }
        self.server(
            "conversation.item.input_audio_transcription.completed",
            json!({
                "item_id": id, "content_index": 0, "transcript": "What is the weather in Paris?",
                "usage": {"type": "tokens", "input_tokens": 20, "output_tokens": 8, "total_tokens": 28},
            }),
        );
    }

    fn conversation_item(&mut self, previous: &str, item: &Value) {
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.server(kind, json!({"previous_item_id": previous, "item": item}));
        }
    }

    fn response_created(&mut self) -> String {
        self.responses += 1;
        let id = format!("resp_{:08}", self.responses);
        let response = json!({
            "id": id, "object": "realtime.response", "status": "in_progress", "status_details": null,
            "output": [], "conversation_id": "conv_1", "output_modalities": ["audio"], "usage": null,
            "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"}},
        });
        self.server("response.created", json!({"response": response}));
        id
    }

    fn response_done(&mut self, id: &str, status: &str, output: &Value) {
        let response = json!({
            "id": id, "object": "realtime.response", "status": status, "status_details": null,
            "output": [output], "conversation_id": "conv_1", "output_modalities": ["audio"],
            "usage": {
                "total_tokens": 480, "input_tokens": 300, "output_tokens": 180,
                "input_token_details": {"text_tokens": 200, "audio_tokens": 100, "cached_tokens": 64},
                "output_token_details": {"text_tokens": 40, "audio_tokens": 140},
            },
        });
        self.server("response.done", json!({"response": response}));
    }

    fn function_call(&mut self) {
        let response = self.response_created();
        let previous = self.item_id();
        self.items += 1;
        let id = self.item_id();
        let arguments = r#"{"city":"Paris"}"#;
        let item = |status: &str, arguments: &str| {
            json!({
                "id": id, "object": "realtime.item", "type": "function_call", "status": status,
                "call_id": format!("call_{id}"), "name": "weather", "arguments": arguments,
            })
        };
        let of_response = |fields: Value| {
            let mut all = json!({"response_id": response, "output_index": 0});
            if let (Value::Object(all), Value::Object(fields)) = (&mut all, fields) {
                all.extend(fields);
            }
            all
        };
        let started = item("in_progress", "");
        self.server(
            "response.output_item.added",
            of_response(json!({"item": started})),
        );
        self.server(
            "conversation.item.added",
            json!({"previous_item_id": previous, "item": started}),
        );
        for delta in ["{\"ci", "ty\":", "\"Par", "is\"}"] {
            self.server(
                "response.function_call_arguments.delta",
                of_response(json!({"item_id": id, "delta": delta})),
            );
        }
        self.server(
            "response.function_call_arguments.done",
            of_response(json!({"item_id": id, "name": "weather", "arguments": arguments})),
        );
        let done = item("completed", arguments);
        self.server(
            "conversation.item.done",
            json!({"previous_item_id": previous, "item": done}),
        );
        self.server(
            "response.output_item.done",
            of_response(json!({"item": done})),
        );
        self.response_done(&response, "completed", &done);
        self.steps.push(Step::AnswerTools);
        self.items += 1;
        let output = json!({
            "id": self.item_id(), "object": "realtime.item", "type": "function_call_output",
            "call_id": format!("call_{id}"), "output": TOOL_OUTPUT,
        });
        self.conversation_item(&id, &output);
    }

    fn answer(&mut self, interrupted: bool) {
        let response = self.response_created();
        let previous = self.item_id();
        self.items += 1;
        let id = self.item_id();
        let message = |status: &str, content: Value| {
            json!({
                "id": id, "object": "realtime.item", "type": "message", "role": "assistant",
                "status": status, "content": content,
            })
        };
        let of_item = |fields: Value| {
            let mut all = json!({"response_id": response, "item_id": id, "output_index": 0, "content_index": 0});
            if let (Value::Object(all), Value::Object(fields)) = (&mut all, fields) {
                all.extend(fields);
            }
            all
        };
        let started = message("in_progress", json!([]));
        let of_response =
            |item: &Value| json!({"response_id": response, "output_index": 0, "item": item});
        self.server("response.output_item.added", of_response(&started));
        self.server(
            "conversation.item.added",
            json!({"previous_item_id": previous, "item": started}),
        );
        self.server(
            "response.content_part.added",
            of_item(json!({"part": {"type": "audio", "transcript": ""}})),
        );
        let mut transcript = String::new();
        let deltas = if interrupted { HEARD_DELTAS } else { DELTAS };
        for number in 0..deltas {
            self.delta(&of_item, &mut transcript, number);
            self.microphone(1);
        }
        if interrupted {
            self.is_speaking = true;
            self.speech_started();
            for number in 0..LATE_DELTAS {
                self.delta(&of_item, &mut transcript, deltas + number);
            }
            self.server(
                "conversation.item.truncated",
                json!({"item_id": id, "content_index": 0, "audio_end_ms": 600}),
            );
        }
        self.server("response.output_audio.done", of_item(json!({})));
        self.server(
            "response.output_audio_transcript.done",
            of_item(json!({"transcript": transcript})),
        );
        self.server(
            "response.content_part.done",
            of_item(json!({"part": {"type": "audio", "transcript": transcript}})),
        );
        let (item_status, status) = if interrupted {
            ("incomplete", "cancelled")
        } else {
            ("completed", "completed")
        };
        let done = message(
            item_status,
            json!([{"type": "output_audio", "transcript": transcript}]),
        );
        self.server(
            "conversation.item.done",
            json!({"previous_item_id": previous, "item": done}),
        );
        self.server("response.output_item.done", of_response(&done));
        self.response_done(&response, status, &done);
        if interrupted {
            // The session has asked for the item that was truncated.
            let cut = message(item_status, json!([{"type": "output_audio"}]));
            self.server("conversation.item.retrieved", json!({"item": cut}));
        } else {
            self.steps.push(Step::Pause(PLAYED));
        }
    }

    fn delta(&mut self, of_item: &impl Fn(Value) -> Value, transcript: &mut String, number: usize) {
        let sound = self.sound.clone();
        self.server(
            "response.output_audio.delta",
            of_item(json!({"delta": sound})),
        );
        let words = format!(" word{number}");
        transcript.push_str(&words);
        self.server(
            "response.output_audio_transcript.delta",
            of_item(json!({"delta": words})),
        );
    }
}
