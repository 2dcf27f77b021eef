//! A history as the messages that tell it to a new connection.
//!
//! Each item is created with its id, after the one before it. The provider takes no audio of the
//! assistant's from a client, so an answer goes as the text that was heard of it; a function call goes
//! with its output; what a hosted MCP server gave goes as a system message.

use std::sync::Arc;

use serde_json::{Value, json};

use super::SurvivalOptions;
use super::kept_sound::KeptSound;
use crate::audio::base64;
use crate::conversation::client_event::ClientEvent;
use crate::conversation::history::History;
use crate::conversation::item::{ContentPart, Item, ItemId, ItemKind, Role};
use crate::conversation::replay::{call_creations, hosted_call, system_message};

/// What tells a history.
#[derive(Debug, Default)]
pub(in crate::conversation) struct Replay {
    pub messages: Vec<ClientEvent>,
    /// The ids of what is created.
    pub ids: Vec<ItemId>,
    /// The items in which the outputs of calls are, by call id.
    pub outputs: Vec<(String, ItemId)>,
    /// How many items of the history are told.
    pub items: u64,
    /// How many are not: they exceed the bounds, or nothing is known of their words.
    pub left_out: u64,
}

/// An item as it is created, and the characters of text in it.
pub(super) struct ReplayedItem {
    pub created: Vec<(ItemId, Value)>,
    characters: usize,
    pub output: Option<(String, ItemId)>,
}

/// Where the bounds of a retelling cut the history: the items before this index are left out.
pub(in crate::conversation) fn first_replayed(
    history: &History,
    sound: &KeptSound,
    options: &SurvivalOptions,
    is_open: impl Fn(&str) -> bool,
) -> usize {
    let (mut items, mut characters) = (0, 0);
    for at in (0..history.len()).rev() {
        let Some(replayed) = history
            .get(at)
            .and_then(|item| replayed(item, sound, &is_open))
        else {
            continue;
        };
        items += 1;
        characters += replayed.characters;
        if items > options.max_replayed_items || characters > options.max_replayed_characters {
            return at + 1;
        }
    }
    0
}

/// Tells the history, within the bounds; `summary` in place of what is left out of it.
pub(in crate::conversation) fn replay(
    history: &History,
    sound: &KeptSound,
    options: &SurvivalOptions,
    is_open: impl Fn(&str) -> bool,
    summary: Option<&str>,
    name: &mut impl FnMut(&str) -> String,
) -> Replay {
    let mut replay = Replay::default();
    let mut previous: ItemId = "root".into();
    let mut create = |replay: &mut Replay, id: ItemId, wire: &Value, event_id: String| {
        let event = ClientEvent::item_replay(wire, &event_id, Some(&previous));
        replay.messages.push(event);
        replay.ids.push(Arc::clone(&id));
        previous = id;
    };
    let first = first_replayed(history, sound, options, &is_open);
    if let Some(summary) = summary.filter(|_| first > 0) {
        let id = name("summary");
        let wire = system_message(&id, summary);
        create(&mut replay, id.as_str().into(), &wire, id.clone());
    }
    replay.left_out = first as u64;
    for item in history.iter().skip(first) {
        let Some(replayed) = replayed(item, sound, &is_open) else {
            replay.left_out += u64::from(!is_silent(item));
            continue;
        };
        replay.items += 1;
        replay.outputs.extend(replayed.output);
        for (id, wire) in replayed.created {
            let event_id = name("restore");
            create(&mut replay, id, &wire, event_id);
        }
    }
    replay
}

/// What was heard, or is to be heard to its end, of an answer.
pub(in crate::conversation) fn heard_text(content: &[ContentPart]) -> String {
    let heard = |part: &ContentPart| match part {
        ContentPart::OutputText { text } => Some(text.clone()),
        ContentPart::OutputAudio {
            heard: Some(heard), ..
        } => Some(heard.transcript.clone()),
        ContentPart::OutputAudio { transcript, .. } => transcript.clone(),
        _ => None,
    };
    let mut texts = content.iter().filter_map(heard).collect::<Vec<_>>();
    texts.retain(|text| !text.trim().is_empty());
    texts.join(" ")
}

/// An answer of which nothing was heard: the model need not know of it.
fn is_silent(item: &Item) -> bool {
    match &item.kind {
        ItemKind::Message {
            role: Role::Assistant,
            content,
            ..
        } => heard_text(content).is_empty(),
        ItemKind::McpApprovalRequest { .. } => true,
        _ => false,
    }
}

/// What is created for an item; `None` where there is nothing to say of it.
pub(super) fn replayed(
    item: &Item,
    sound: &KeptSound,
    is_open: &impl Fn(&str) -> bool,
) -> Option<ReplayedItem> {
    let id = &item.id;
    let one = |wire: Value, characters| {
        Some(ReplayedItem {
            created: vec![(Arc::clone(id), wire)],
            characters,
            output: None,
        })
    };
    match &item.kind {
        ItemKind::Message {
            role: Role::Assistant,
            content,
            ..
        } => {
            let text = heard_text(content);
            if text.is_empty() {
                return None;
            }
            let characters = text.len();
            let part = json!({"type": "output_text", "text": text});
            one(message(id, Role::Assistant, &[part]), characters)
        }
        ItemKind::Message { role, content, .. } => {
            let parts = content
                .iter()
                .filter_map(|part| input_part(part, sound.is_apart(), || sound.of_item(id)));
            let (mut replayed, mut characters) = (Vec::new(), 0);
            for (part, length) in parts {
                replayed.push(part);
                characters += length;
            }
            if replayed.is_empty() {
                return None;
            }
            one(message(id, *role, &replayed), characters)
        }
        ItemKind::FunctionCall {
            call_id,
            name,
            arguments,
            output,
            ..
        } => {
            let call_id = call_id.as_deref().unwrap_or(id);
            if output.is_none() && !is_open(call_id) {
                // Nobody will answer it.
                return None;
            }
            let created = call_creations(id, call_id, name, arguments, output.as_deref());
            let answer = created.get(1).map(|(output_id, _)| Arc::clone(output_id));
            Some(ReplayedItem {
                created,
                characters: name.len() + arguments.len() + output.as_deref().map_or(0, str::len),
                output: answer.map(|output_id| (call_id.to_owned(), output_id)),
            })
        }
        kind @ ItemKind::McpCall { .. } => {
            let text = hosted_call(kind)?;
            let characters = text.len();
            one(system_message(id, &text), characters)
        }
        ItemKind::McpApprovalRequest { .. } => None,
    }
}

fn message(id: &str, role: Role, content: &[Value]) -> Value {
    json!({"type": "message", "id": id, "role": role.as_str(), "content": content})
}

/// A part of the user's or of the system's, and the characters of text in it. `apart`: sound is told by its
/// words, for what goes over a data channel has to be short.
fn input_part(
    part: &ContentPart,
    apart: bool,
    kept: impl FnOnce() -> Option<Vec<u8>>,
) -> Option<(Value, usize)> {
    match part {
        ContentPart::InputText { text } => {
            Some((json!({"type": "input_text", "text": text}), text.len()))
        }
        ContentPart::InputImage { .. } => Some((part.to_value(), 0)),
        ContentPart::InputAudio {
            audio: Some(audio), ..
        } if !apart => Some((json!({"type": "input_audio", "audio": audio}), 0)),
        ContentPart::InputAudio { transcript, .. } => {
            let words = transcript.as_deref().unwrap_or_default().trim();
            if words.is_empty()
                && let Some(sound) = kept()
            {
                let mut audio = String::new();
                base64::encode_append_text(&sound, &mut audio);
                return Some((json!({"type": "input_audio", "audio": audio}), 0));
            }
            let text = json!({"type": "input_text", "text": words});
            (!words.is_empty()).then_some((text, words.len()))
        }
        ContentPart::Other { raw } => {
            let kind = raw.get("type").and_then(Value::as_str)?;
            kind.starts_with("input_").then(|| (raw.clone(), 0))
        }
        ContentPart::OutputText { .. } | ContentPart::OutputAudio { .. } => None,
    }
}
