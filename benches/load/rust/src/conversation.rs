//! What the server answers to a client's events.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use crate::clock::monotonic_ns;
use crate::counts::{Counts, add};
use crate::frame::{AudioDelta, Event, item_audio};
use crate::options::{Mode, Options};
use crate::script::{Outgoing, Part, Script, item_id};

const WORD: &str = "hello ";

static SESSION: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "type": "realtime", "object": "realtime.session", "id": "sess_load",
        "model": "gpt-realtime-2.1", "output_modalities": ["audio"], "instructions": "", "tools": [],
        "tool_choice": "auto",
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": null},
            "output": {
                "format": {"type": "audio/pcm", "rate": 24000}, "voice": "ash", "speed": 1.0,
            },
        },
    })
});

static CREATED: LazyLock<Event> =
    LazyLock::new(|| Event::new("session.created", &json!({"session": *SESSION})));
static UPDATED: LazyLock<Event> =
    LazyLock::new(|| Event::new("session.updated", &json!({"session": *SESSION})));

static USAGE: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "total_tokens": 300, "input_tokens": 100, "output_tokens": 200,
        "input_token_details": {"text_tokens": 20, "audio_tokens": 80, "cached_tokens": 0},
        "output_token_details": {"text_tokens": 50, "audio_tokens": 150},
    })
});

/// How a script is streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// A step each 100 ms.
    RealTime,
    /// As fast as the socket takes it.
    Full,
}

/// One client's conversation.
#[derive(Debug)]
pub struct Conversation {
    options: Options,
    counts: Arc<Counts>,
    items: usize,
    /// Items with sound, and how many chunks it has.
    spoken: HashMap<String, usize>,
    history_due: usize,
    responses_due: usize,
    calls_due: usize,
    streaming: Option<Script>,
    pub pace: Pace,
}

impl Conversation {
    pub fn new(options: Options, counts: Arc<Counts>) -> Self {
        Self {
            options,
            counts,
            items: 0,
            spoken: HashMap::new(),
            history_due: options.history,
            responses_due: 0,
            calls_due: if options.mode == Mode::Tools {
                options.chunks
            } else {
                0
            },
            streaming: None,
            pace: Pace::Full,
        }
    }

    /// What is said before anything else.
    pub fn greet(&self, out: &mut Vec<Outgoing>) {
        out.push(CREATED.at(monotonic_ns()).into());
    }

    pub fn is_streaming(&self) -> bool {
        self.streaming.is_some()
    }

    /// Writes the next step of what is being streamed.
    pub fn step(&mut self, out: &mut Vec<Outgoing>) {
        while let Some(script) = &mut self.streaming {
            if script.step(&self.counts, out) {
                return;
            }
            self.streaming = None;
            if self.responses_due > 0 {
                self.begin_response();
            }
        }
    }

    /// Answers an event.
    pub fn hear(&mut self, event: &Value, out: &mut Vec<Outgoing>) {
        match event["type"].as_str() {
            Some("session.update") => self.updated(out),
            Some("conversation.item.create") => self.created(&event["item"], out),
            Some("conversation.item.retrieve") => self.retrieved(&event["item_id"], out),
            Some("input_audio_buffer.commit") => {
                let item_id = self.new_item();
                self.spoken.insert(item_id.clone(), 10);
                say(
                    "input_audio_buffer.committed",
                    &json!({"item_id": item_id}),
                    out,
                );
                self.respond(out);
            }
            Some("response.create") => self.respond(out),
            _ => {}
        }
    }

    fn updated(&mut self, out: &mut Vec<Outgoing>) {
        match std::mem::take(&mut self.history_due) {
            0 => out.push(UPDATED.at(monotonic_ns()).into()),
            left => {
                let first = self.items + 2;
                self.items += 1 + left;
                self.pace = Pace::Full;
                self.streaming = Some(Script::new([
                    Part::Earlier { first, left },
                    Part::Events(vec![UPDATED.clone()]),
                ]));
            }
        }
    }

    fn created(&mut self, item: &Value, out: &mut Vec<Outgoing>) {
        let mut item = item.clone();
        let id = self.new_item();
        if item.get("id").is_none() {
            item["id"] = json!(id);
        }
        item["object"] = json!("realtime.item");
        item["status"] = json!("completed");
        let fields = json!({ "item": item });
        say("conversation.item.added", &fields, out);
        say("conversation.item.done", &fields, out);
    }

    /// With its sound, as the provider does.
    fn retrieved(&mut self, item_id: &Value, out: &mut Vec<Outgoing>) {
        let found = item_id.as_str().and_then(|id| self.spoken.get(id));
        let Some(&chunks) = found else {
            let error = json!({
                "type": "invalid_request_error", "code": "item_retrieve_invalid_item_id",
                "message": "there is no sound of such an item", "param": null, "event_id": null,
            });
            say("error", &json!({ "error": error }), out);
            return;
        };
        add(&self.counts.retrieved, 1);
        let content = json!([{
            "type": "output_audio", "transcript": WORD.repeat(chunks), "audio": item_audio(chunks),
        }]);
        let item = message(item_id, "completed", &content);
        say("conversation.item.retrieved", &json!({ "item": item }), out);
    }

    fn respond(&mut self, out: &mut Vec<Outgoing>) {
        if self.streaming.is_some() {
            let error = json!({
                "type": "invalid_request_error",
                "code": "conversation_already_has_active_response",
                "message": "a response is being streamed", "param": null, "event_id": null,
            });
            say("error", &json!({ "error": error }), out);
            return;
        }
        self.responses_due += self.options.responses;
        self.pace = match self.options.mode {
            Mode::Paced => Pace::RealTime,
            _ => Pace::Full,
        };
        self.begin_response();
    }

    fn begin_response(&mut self) {
        self.responses_due -= 1;
        add(&self.counts.responses, 1);
        let script = if self.calls_due > 0 {
            self.calls_due -= 1;
            self.call()
        } else {
            self.speech()
        };
        self.streaming = Some(script);
    }

    fn new_item(&mut self) -> String {
        self.items += 1;
        item_id(self.items)
    }

    fn last_item(&self) -> Value {
        match self.items {
            0 | 1 => Value::Null,
            items => json!(item_id(items - 1)),
        }
    }

    fn speech(&mut self) -> Script {
        let id = json!(self.new_item());
        let previous = self.last_item();
        let response = response_id(&id);
        let chunks = match self.options.mode {
            Mode::Tools => 0,
            _ => self.options.chunks,
        };
        let transcript = WORD.repeat(chunks);
        let at = |more: Value| {
            let mut fields = json!({
                "response_id": response, "item_id": id, "output_index": 0, "content_index": 0,
            });
            if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
                fields.extend(more);
            }
            fields
        };
        let empty = message(&id, "in_progress", &json!([]));
        let said = json!([{"type": "output_audio", "transcript": transcript}]);
        let full = message(&id, "completed", &said);
        let event = |kind: &str, fields: Value| Event::new(kind, &fields);
        let part = |transcript: &str| json!({"type": "audio", "transcript": transcript});
        let begin = vec![
            begin_response(&response),
            event(
                "response.output_item.added",
                json!({"response_id": response, "output_index": 0, "item": empty}),
            ),
            event(
                "conversation.item.added",
                json!({"previous_item_id": previous, "item": empty}),
            ),
            event("response.content_part.added", at(json!({"part": part("")}))),
        ];
        let text = event(
            "response.output_audio_transcript.delta",
            at(json!({"delta": WORD})),
        );
        let body = match self.options.mode {
            Mode::Transcript => Part::Repeated {
                event: text,
                left: chunks,
            },
            Mode::Items => Part::Repeated {
                event: event("conversation.item.retrieved", json!({"item": full})),
                left: chunks,
            },
            Mode::Paced | Mode::Blast | Mode::Tools => Part::Speech {
                audio: AudioDelta::new(&at(json!({"delta": ""}))),
                text,
                left: chunks,
            },
        };
        let end = vec![
            event("response.output_audio.done", at(json!({}))),
            event(
                "response.output_audio_transcript.done",
                at(json!({"transcript": transcript})),
            ),
            event(
                "response.content_part.done",
                at(json!({"part": part(&transcript)})),
            ),
            event(
                "conversation.item.done",
                json!({"previous_item_id": null, "item": full}),
            ),
            event(
                "response.output_item.done",
                json!({"response_id": response, "output_index": 0, "item": full}),
            ),
            end_response(&response, &full),
        ];
        self.spoken
            .insert(id.as_str().unwrap_or_default().to_owned(), chunks);
        Script::new([Part::Events(begin), body, Part::Events(end)])
    }

    fn call(&mut self) -> Script {
        let id = self.new_item();
        let previous = self.last_item();
        let call_id = format!("call_{id}");
        let id = json!(id);
        let response = response_id(&id);
        let item = |status: &str| {
            json!({
                "id": id, "object": "realtime.item", "type": "function_call", "status": status,
                "name": "look", "call_id": call_id, "arguments": "{}",
            })
        };
        let (empty, full) = (item("in_progress"), item("completed"));
        let output =
            |item: &Value| json!({"response_id": response, "output_index": 0, "item": item});
        let event = |kind: &str, fields: Value| Event::new(kind, &fields);
        Script::new([Part::Events(vec![
            begin_response(&response),
            event("response.output_item.added", output(&empty)),
            event(
                "conversation.item.added",
                json!({"previous_item_id": previous, "item": empty}),
            ),
            event(
                "response.function_call_arguments.done",
                json!({
                    "response_id": response, "item_id": id, "output_index": 0,
                    "call_id": call_id, "name": "look", "arguments": "{}",
                }),
            ),
            event(
                "conversation.item.done",
                json!({"previous_item_id": previous, "item": full}),
            ),
            event("response.output_item.done", output(&full)),
            end_response(&response, &full),
        ])])
    }
}

fn say(kind: &str, fields: &Value, out: &mut Vec<Outgoing>) {
    out.push(Event::new(kind, fields).at(monotonic_ns()).into());
}

fn response_id(item_id: &Value) -> String {
    format!("resp_{}", item_id.as_str().unwrap_or_default())
}

fn message(id: &Value, status: &str, content: &Value) -> Value {
    json!({
        "id": id, "object": "realtime.item", "type": "message", "role": "assistant",
        "status": status, "content": content,
    })
}

fn response(id: &str, status: &str, output: &Value, usage: &Value) -> Value {
    json!({"response": {
        "object": "realtime.response", "id": id, "conversation_id": "conv_load",
        "output_modalities": ["audio"], "max_output_tokens": "inf", "status_details": null,
        "metadata": null, "status": status, "output": output, "usage": usage,
    }})
}

fn begin_response(id: &str) -> Event {
    let fields = response(id, "in_progress", &json!([]), &Value::Null);
    Event::new("response.created", &fields)
}

fn end_response(id: &str, item: &Value) -> Event {
    let fields = response(id, "completed", &json!([item]), &USAGE);
    Event::new("response.done", &fields)
}
