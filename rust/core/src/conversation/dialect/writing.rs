//! Writes client events as a provider wants them, and reads a session that the user wrote so.
//!
//! Sources: the beta and GA references of `OpenAI`'s Realtime API; recorded conversations with Azure Voice Live
//! and xAI; Alibaba Cloud's reference of Qwen-Omni-Realtime (October 2026).

use serde_json::{Map, Value, json};

use super::{Dialect, SessionLayout};
use crate::conversation::client_event::ClientEvent;

type Object = Map<String, Value>;

/// Where the GA protocol has a setting in `audio`, and its name at the top of a flat session.
const FLAT: [(&str, &str, &str); 7] = [
    ("input", "format", "input_audio_format"),
    ("input", "transcription", "input_audio_transcription"),
    ("input", "noise_reduction", "input_audio_noise_reduction"),
    ("input", "turn_detection", "turn_detection"),
    ("output", "format", "output_audio_format"),
    ("output", "voice", "voice"),
    ("output", "speed", "speed"),
];
/// The same where the voice and the turn detection alone stand at the top.
const VOICE_AT_TOP: [(&str, &str, &str); 2] = [
    ("input", "turn_detection", "turn_detection"),
    ("output", "voice", "voice"),
];
/// What the beta had no word for: a session was of one type, and its URL named the model.
const UNKNOWN: [&str; 2] = ["type", "model"];
const INPUT_RATE: &str = "input_audio_sampling_rate";
/// The beta's names of formats other than PCM.
const FORMATS: [(&str, &str); 2] = [("audio/pcmu", "g711_ulaw"), ("audio/pcma", "g711_alaw")];

impl Dialect {
    /// Rewrites a client event from the shape of the GA protocol. `told`: what the model is told at the end
    /// of its instructions.
    pub(in crate::conversation) fn rewrite(&self, event: &mut Object, told: Option<&str>) {
        let kind = event
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let part = match kind {
            "session.update" => "session",
            "conversation.item.create" => "item",
            "response.create" => "response",
            _ => return,
        };
        let Some(Value::Object(object)) = event.get_mut(part) else {
            return;
        };
        match part {
            "session" => {
                if let Some(told) = told {
                    add_instructions(object, told);
                }
                self.rewrite_session(object);
            }
            "item" => self.rewrite_item(object),
            _ => self.rewrite_response(object),
        }
    }

    fn moves(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self.session {
            SessionLayout::Ga => &[],
            SessionLayout::VoiceAtTop => &VOICE_AT_TOP,
            SessionLayout::Flat => &FLAT,
        }
    }

    fn rewrite_session(&self, session: &mut Object) {
        self.rewrite_tools(session);
        if self.session == SessionLayout::Ga {
            return;
        }
        for key in UNKNOWN {
            session.shift_remove(key);
        }
        if self.session == SessionLayout::Flat {
            if self.states_input_rate
                && let Some(rate) = pcm_rate(session)
            {
                session.entry(INPUT_RATE).or_insert(rate.into());
            }
            self.rename_settings(session);
        }
        self.move_to_top(session);
    }

    /// The settings of one response have the same names, but the user's sound is none of them.
    fn rewrite_response(&self, response: &mut Object) {
        self.rewrite_tools(response);
        for item in list(response, "input") {
            if let Value::Object(item) = item {
                self.rewrite_item(item);
            }
        }
        if self.session == SessionLayout::Ga {
            return;
        }
        self.rename_settings(response);
        self.move_to_top(response);
    }

    fn rewrite_item(&self, item: &mut Object) {
        if self.beta_parts {
            for part in list(item, "content") {
                if part["type"] == "output_text" {
                    part["type"] = "text".into();
                }
            }
        }
    }

    fn rename_settings(&self, settings: &mut Object) {
        if let Some(modalities) = settings.shift_remove("output_modalities") {
            // The beta has sound with its words, or words alone.
            let has_sound = modalities
                .as_array()
                .is_some_and(|all| all.iter().any(|it| it == "audio"));
            let modalities = if has_sound {
                json!(["text", "audio"])
            } else {
                modalities
            };
            settings.entry("modalities").or_insert(modalities);
        }
        if let Some(most) = settings.shift_remove("max_output_tokens") {
            settings.entry(&*self.max_tokens).or_insert(most);
        }
    }

    /// Moves settings out of `audio`. What the user has put at the top holds.
    fn move_to_top(&self, settings: &mut Object) {
        let Some(Value::Object(audio)) = settings.get_mut("audio") else {
            return;
        };
        let mut moved = Vec::new();
        for (direction, key, name) in self.moves() {
            let Some(Value::Object(part)) = audio.get_mut(*direction) else {
                continue;
            };
            if let Some(value) = part.shift_remove(*key) {
                moved.push((*name, value));
            }
        }
        let is_empty = |part: &Value| part.as_object().is_some_and(Map::is_empty);
        audio.retain(|_, part| !is_empty(part));
        if audio.is_empty() {
            settings.shift_remove("audio");
        }
        for (name, value) in moved {
            let value = if name.ends_with("_audio_format") {
                self.format_name(value)
            } else {
                value
            };
            settings.entry(name).or_insert(value);
        }
    }

    /// A format by its name alone.
    fn format_name(&self, format: Value) -> Value {
        let Some(kind) = format.get("type").and_then(Value::as_str) else {
            return format;
        };
        let known = FORMATS.iter().find(|(current, _)| *current == kind);
        known.map_or(&*self.pcm, |(_, beta)| beta).into()
    }

    fn rewrite_tools(&self, holder: &mut Object) {
        if !self.nested_tools {
            return;
        }
        for tool in list(holder, "tools") {
            nest(tool);
        }
        if let Some(choice) = holder.get_mut("tool_choice") {
            nest(choice);
        }
    }

    /// Brings a `session.update` that the user wrote in this dialect to the shape of the GA protocol, so that
    /// another connection can be told of it.
    pub(in crate::conversation) fn read_update(&self, update: &mut Value) {
        let Some(session) = update.get_mut("session").and_then(Value::as_object_mut) else {
            return;
        };
        for tool in list(session, "tools") {
            unnest(tool);
        }
        if self.session == SessionLayout::Flat {
            for (ours, theirs) in [
                ("output_modalities", "modalities"),
                ("max_output_tokens", &*self.max_tokens),
            ] {
                if let Some(value) = session.shift_remove(theirs) {
                    session.entry(ours).or_insert(value);
                }
            }
        }
        let rate = session.shift_remove(INPUT_RATE);
        for (direction, key, name) in self.moves() {
            let Some(mut value) = session.shift_remove(*name) else {
                continue;
            };
            if name.ends_with("_audio_format") {
                value = read_format(value, rate.as_ref().filter(|_| *direction == "input"));
            }
            let audio = session.entry("audio").or_insert_with(|| json!({}));
            let part = audio.as_object_mut().map(|audio| {
                let part = audio.entry(*direction);
                part.or_insert_with(|| json!({}))
            });
            if let Some(Value::Object(part)) = part {
                part.entry(*key).or_insert(value);
            }
        }
    }
}

/// A format of the beta as the GA protocol has it. PCM without a rate has the beta's, 24 kHz.
fn read_format(format: Value, rate: Option<&Value>) -> Value {
    let Some(name) = format.as_str() else {
        return format;
    };
    let known = FORMATS.iter().find(|(_, beta)| *beta == name);
    let Some((kind, _)) = known else {
        let rate = rate.cloned().unwrap_or_else(|| 24_000.into());
        return json!({"type": "audio/pcm", "rate": rate});
    };
    json!({"type": kind})
}

fn list<'o>(holder: &'o mut Object, key: &str) -> impl Iterator<Item = &'o mut Value> {
    let found = holder.get_mut(key).and_then(Value::as_array_mut);
    found.into_iter().flatten()
}

/// The rate of the user's sound, if that is PCM.
fn pcm_rate(session: &Object) -> Option<u64> {
    let format = session.get("audio")?.pointer("/input/format")?;
    if format["type"] != "audio/pcm" {
        return None;
    }
    Some(format["rate"].as_u64().unwrap_or(24_000))
}

/// Puts what a function has into a `function` of its own.
fn nest(tool: &mut Value) {
    let Some(fields) = tool.as_object_mut() else {
        return;
    };
    if fields.get("type").is_some_and(|kind| kind == "function") && !fields.contains_key("function")
    {
        let mut function = std::mem::take(fields);
        let kind = function.shift_remove("type").unwrap_or_default();
        fields.insert("type".to_owned(), kind);
        fields.insert("function".to_owned(), function.into());
    }
}

fn unnest(tool: &mut Value) {
    if let Some(fields) = tool.as_object_mut()
        && let Some(Value::Object(function)) = fields.shift_remove("function")
    {
        fields.extend(function);
    }
}

/// Adds to the instructions of a session what its model is told besides.
fn add_instructions(session: &mut Object, told: &str) {
    let own = session.get("instructions").and_then(Value::as_str);
    let all = match own {
        Some(own) if !own.is_empty() => format!("{own}\n\n{told}"),
        _ => told.to_owned(),
    };
    session.insert("instructions".to_owned(), all.into());
}

/// The items that these events create, as text for the instructions of a model whose provider takes no
/// messages from a client; nothing where there are none.
pub(in crate::conversation) fn told(creations: &[ClientEvent]) -> Option<String> {
    let lines: Vec<String> = creations.iter().filter_map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The text of a message, if it has any.
pub(in crate::conversation) fn words(message: &Value) -> Option<String> {
    let parts = message.get("content")?.as_array()?;
    let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
    let words = texts.collect::<Vec<&str>>().join(" ");
    (!words.is_empty()).then_some(words)
}

fn line(creation: &ClientEvent) -> Option<String> {
    let event: Value = serde_json::from_str(&creation.text).ok()?;
    let item = event.get("item")?;
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    Some(match text("type")? {
        "function_call" => format!(
            "You called {} with {}",
            text("name").unwrap_or_default(),
            text("arguments").unwrap_or_default()
        ),
        "function_call_output" => format!("It gave: {}", text("output").unwrap_or_default()),
        "message" => {
            let words = words(item)?;
            match text("role") {
                Some("assistant") => format!("You said: {words}"),
                Some("user") => format!("The user said: {words}"),
                _ => words,
            }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat() -> Dialect {
        Dialect {
            session: SessionLayout::Flat,
            ..Dialect::default()
        }
    }

    fn written(dialect: &Dialect, event: Value) -> Value {
        let Value::Object(mut event) = event else {
            unreachable!("an event is an object")
        };
        dialect.rewrite(&mut event, None);
        event.into()
    }

    fn update() -> Value {
        json!({"type": "session.update", "session": {
            "type": "realtime", "model": "m", "instructions": "Hi.", "output_modalities": ["audio"],
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 16_000}, "transcription": null,
                    "turn_detection": {"type": "server_vad"},
                },
                "output": {"format": {"type": "audio/pcmu"}, "voice": "v", "speed": 1},
            },
            "max_output_tokens": 5, "tool_choice": "auto",
            "tools": [{"type": "function", "name": "f", "parameters": {}}, {"type": "web_search"}],
        }})
    }

    #[test]
    fn a_flat_session_has_all_at_its_top() {
        assert_eq!(
            written(&flat(), update())["session"],
            json!({
                "instructions": "Hi.", "tool_choice": "auto", "modalities": ["text", "audio"],
                "max_response_output_tokens": 5, "input_audio_format": "pcm16",
                "input_audio_transcription": null, "turn_detection": {"type": "server_vad"},
                "output_audio_format": "g711_ulaw", "voice": "v", "speed": 1,
                "tools": [{"type": "function", "name": "f", "parameters": {}}, {"type": "web_search"}],
            })
        );
    }

    #[test]
    fn names_and_the_shape_of_tools_are_the_profiles() {
        let dialect = Dialect {
            nested_tools: true,
            pcm: "pcm".to_owned(),
            max_tokens: "max_tokens".to_owned(),
            states_input_rate: true,
            ..flat()
        };
        let session = &written(&dialect, update())["session"];
        assert_eq!(session["input_audio_format"], "pcm");
        assert_eq!(session["input_audio_sampling_rate"], 16_000);
        assert_eq!(session["max_tokens"], 5);
        assert_eq!(
            session["tools"],
            json!([
                {"type": "function", "function": {"name": "f", "parameters": {}}},
                {"type": "web_search"},
            ])
        );
    }

    #[test]
    fn voice_and_turn_detection_alone_may_stand_at_the_top() {
        let dialect = Dialect {
            session: SessionLayout::VoiceAtTop,
            ..Dialect::default()
        };
        let session = &written(&dialect, update())["session"];
        assert_eq!(session["voice"], "v");
        assert_eq!(session["turn_detection"], json!({"type": "server_vad"}));
        assert_eq!(session["output_modalities"], json!(["audio"]));
        assert_eq!(
            session["audio"],
            json!({
                "input": {"format": {"type": "audio/pcm", "rate": 16_000}, "transcription": null},
                "output": {"format": {"type": "audio/pcmu"}, "speed": 1},
            })
        );
        assert!(session.get("type").is_none() && session.get("model").is_none());
    }

    #[test]
    fn what_the_user_put_at_the_top_holds_and_what_has_no_name_there_stays() {
        let session = written(
            &flat(),
            json!({"type": "session.update", "session": {
                "voice": "mine",
                "audio": {"output": {"voice": "v", "model": "tts"}},
            }}),
        );
        assert_eq!(
            session["session"],
            json!({"voice": "mine", "audio": {"output": {"model": "tts"}}})
        );
    }

    #[test]
    fn parts_and_responses_are_written_in_the_words_of_the_beta() {
        let dialect = Dialect {
            beta_parts: true,
            ..flat()
        };
        let parts =
            json!([{"type": "output_text", "text": "a"}, {"type": "input_text", "text": "b"}]);
        let item = json!({"type": "message", "role": "assistant", "content": parts});
        let created = json!({"type": "conversation.item.create", "item": item});
        let parts = json!([{"type": "text", "text": "a"}, {"type": "input_text", "text": "b"}]);
        assert_eq!(written(&dialect, created)["item"]["content"], parts);
        let asked = json!({"type": "response.create", "response": {
            "output_modalities": ["text"], "audio": {"output": {"voice": "v"}}, "input": [item],
        }});
        assert_eq!(
            written(&dialect, asked)["response"],
            json!({
                "input": [{"type": "message", "role": "assistant", "content": parts}],
                "modalities": ["text"], "voice": "v",
            })
        );
        let other = json!({"type": "response.cancel", "response": {"output_modalities": []}});
        assert_eq!(written(&dialect, other.clone()), other);
    }

    #[test]
    fn a_session_that_the_user_wrote_so_is_read_as_it_would_have_been_made() {
        let dialect = Dialect {
            nested_tools: true,
            states_input_rate: true,
            ..flat()
        };
        let mut read = written(&dialect, update());
        dialect.read_update(&mut read);
        let mut made = update();
        let session = made["session"].as_object_mut().expect("it has one");
        session.retain(|key, _| !UNKNOWN.contains(&&**key));
        session.insert("output_modalities".to_owned(), json!(["text", "audio"]));
        assert_eq!(read, made);
    }

    #[test]
    fn a_conversation_is_told_in_the_instructions() {
        let creation = |item: Value| ClientEvent::item_create(&item, "e", None);
        let message = |role: &str, kind: &str, text: &str| {
            let part = json!({"type": kind, "text": text});
            creation(json!({"type": "message", "role": role, "content": [part]}))
        };
        let told = told(&[
            message("user", "input_text", "Is it open?"),
            creation(json!({"type": "function_call", "name": "f", "arguments": "{}"})),
            creation(json!({"type": "function_call_output", "output": "yes"})),
            message("assistant", "output_text", "It is."),
            message("system", "input_text", "Go on."),
            message("user", "input_text", ""),
        ]);
        let told = told.expect("there is something to tell");
        assert_eq!(
            told,
            "The user said: Is it open?\nYou called f with {}\nIt gave: yes\nYou said: It is.\nGo on."
        );
        let Value::Object(mut event) = update() else {
            unreachable!("an event is an object")
        };
        Dialect::default().rewrite(&mut event, Some(&told));
        assert_eq!(event["session"]["instructions"], format!("Hi.\n\n{told}"));
        assert_eq!(super::told(&[]), None);
    }
}
