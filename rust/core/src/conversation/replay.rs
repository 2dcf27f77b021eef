//! Rewriting the conversation: turns the difference between two histories into client messages.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::client_event::ClientEvent;
use super::history::History;
use super::history_requests::{HistoryRequests, RequestKind};
use super::item::{ContentPart, HeardExtent, Item, ItemId, ItemKind, Role, text};

/// An item of a history that a user wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenItem {
    item: Item,
    /// The parts of a message, as the user wrote them.
    parts: Vec<Value>,
    status: Option<String>,
}

impl WrittenItem {
    /// Reads a JSON list of items.
    pub fn read_list(items: &str) -> Result<Vec<Self>, String> {
        let values: Vec<Value> = serde_json::from_str(items)
            .map_err(|error| format!("history is not a JSON list: {error}"))?;
        values.iter().map(Self::read).collect()
    }

    /// Reads an item in the shape of [`Item::to_value`], which a user may have edited.
    pub fn read(value: &Value) -> Result<Self, String> {
        let item = Item::from_user(value)?;
        let parts = value.get("content").and_then(Value::as_array);
        let parts = parts.cloned().unwrap_or_default();
        let status = text(value, "status").map(str::to_owned);
        Ok(Self {
            item,
            parts,
            status,
        })
    }

    /// The item as it was when it was stored, with what was heard of it.
    pub(super) fn stored(&self) -> Item {
        let mut item = self.item.clone();
        if let ItemKind::Message { content, .. } = &mut item.kind {
            for (part, written) in content.iter_mut().zip(&self.parts) {
                if let (ContentPart::OutputAudio { heard, .. }, Some(transcript)) =
                    (part, text(written, "heard"))
                {
                    let played = written.get("audio_end_ms").and_then(Value::as_u64);
                    *heard = Some(HeardExtent {
                        audio_end_ms: played.unwrap_or_default(),
                        transcript: transcript.to_owned(),
                    });
                }
            }
        }
        item
    }

    /// Why the item cannot be told to the server, though nothing is wrong with it.
    fn unsendable(&self) -> Option<&'static str> {
        match &self.item.kind {
            ItemKind::FunctionCall { output: None, .. } => Some(
                "it has no output, and a call that nobody answers would hold up the conversation",
            ),
            ItemKind::Message { .. } if !self.parts.is_empty() && self.content(true).is_empty() => {
                Some("nothing is known of its words")
            }
            _ => None,
        }
    }

    /// The content of a message for the server. The provider takes no audio of the assistant's from
    /// a client: what was heard of it goes as text. So does the audio of a `new` item of the user's
    /// that was not kept.
    fn content(&self, new: bool) -> Vec<Value> {
        let ItemKind::Message { content, .. } = &self.item.kind else {
            return Vec::new();
        };
        let spoken = |kind: &str, words: Option<&str>| {
            let words = words.filter(|words| !words.trim().is_empty())?;
            Some(json!({"type": kind, "text": words}))
        };
        let parts = content.iter().zip(&self.parts);
        parts
            .filter_map(|(part, written)| match part {
                // Users may write `image`; the server knows `image_url`.
                ContentPart::InputImage { .. } => Some(part.to_value()),
                ContentPart::OutputAudio { transcript, .. } => {
                    let heard = text(written, "heard").or(transcript.as_deref());
                    spoken("output_text", heard)
                }
                ContentPart::InputAudio {
                    audio: None,
                    transcript,
                } if new => spoken("input_text", transcript.as_deref()),
                _ => Some(written.clone()),
            })
            .collect()
    }

    /// What is created at the server for the item, with the ids: a call has an item for its output.
    fn creations(&self, new: bool) -> Vec<(ItemId, Value)> {
        let id = &self.item.id;
        match &self.item.kind {
            ItemKind::Message { role, .. } => {
                let mut wire = json!({
                    "type": "message",
                    "role": role.as_str(),
                    "content": self.content(new),
                    "id": &**id,
                });
                if let (Some(status), true) = (&self.status, *role != Role::System) {
                    wire["status"] = status.as_str().into();
                }
                vec![(Arc::clone(id), wire)]
            }
            ItemKind::FunctionCall {
                call_id,
                name,
                arguments,
                output: Some(output),
                ..
            } => {
                let call_id = call_id.as_deref().unwrap_or(id);
                call_creations(id, call_id, name, arguments, Some(output))
            }
            kind => {
                let told = hosted_call(kind).map(|text| system_message(id, &text));
                told.map(|wire| (Arc::clone(id), wire))
                    .into_iter()
                    .collect()
            }
        }
    }

    /// What tells the item to a conversation that begins with it: messages in their order, each after
    /// `previous`, which becomes the last one. Takes the ids of what is created.
    pub(super) fn tell(
        &self,
        previous: &mut ItemId,
        requests: &mut HistoryRequests,
    ) -> Vec<ClientEvent> {
        let creations = self.creations(true);
        if let (ItemKind::FunctionCall { call_id, .. }, Some((output, _))) =
            (&self.item.kind, creations.get(1))
        {
            let call_id = call_id.as_deref().unwrap_or(&self.item.id);
            requests.output_stored(call_id, output);
        }
        let tell = |(id, wire): (ItemId, Value)| {
            let event_id = requests.next_id("create");
            let event = ClientEvent::item_replay(&wire, &event_id, Some(previous));
            requests.replayed(Arc::clone(&id));
            *previous = id;
            event
        };
        creations.into_iter().map(tell).collect()
    }

    /// Whether it equals `known`. A user may leave out the fields that only the session knows: the
    /// id of a call, and how much of an answer was heard. Where an item stands says the list, not the
    /// item: what preceded it in an earlier conversation may have another id in this one.
    fn is_still(&self, known: &Item) -> bool {
        let mut item = self.item.clone();
        item.position.clone_from(&known.position);
        match (&mut item.kind, &known.kind) {
            (
                ItemKind::FunctionCall {
                    call_id: call_id @ None,
                    ..
                },
                ItemKind::FunctionCall { call_id: known, .. },
            ) => call_id.clone_from(known),
            (
                ItemKind::Message { content, .. },
                ItemKind::Message {
                    content: before, ..
                },
            ) => {
                for (part, old) in content.iter_mut().zip(before) {
                    if let (
                        ContentPart::OutputAudio { heard, .. },
                        ContentPart::OutputAudio { heard: known, .. },
                    ) = (part, old)
                    {
                        heard.clone_from(known);
                    }
                }
            }
            _ => {}
        }
        item == *known
    }
}

/// The messages to send, and which items were left out.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) messages: Vec<ClientEvent>,
    /// A sentence for each item that was left out.
    pub(super) left_out: Vec<String>,
}

/// What a conversation can begin with of a stored history, and a sentence for each item that is left out:
/// no client can create items of hosted MCP servers, but what a call gave can be said.
pub(super) fn tellable(items: Vec<WrittenItem>) -> Result<(Vec<WrittenItem>, Vec<String>), String> {
    ids_of(&items)?;
    let mut left_out = Vec::new();
    let mut told = Vec::new();
    for written in items {
        let id = &written.item.id;
        if let Some(why) = written.unsendable() {
            left_out.push(format!("history item {id} is left out: {why}"));
        } else if written.item.is_mcp() && hosted_call(&written.item.kind).is_none() {
            left_out.push(format!(
                "MCP item {id} is left out: the provider takes none from a client"
            ));
        } else {
            told.push(written);
        }
    }
    Ok((told, left_out))
}

/// The ids of a new history, each of which stands in it once.
fn ids_of(new: &[WrittenItem]) -> Result<HashSet<&str>, String> {
    let mut seen = HashSet::new();
    match new.iter().find(|new| !seen.insert(&*new.item.id)) {
        None => Ok(seen),
        Some(twice) => Err(format!(
            "history item {} stands in the new history twice",
            twice.item.id
        )),
    }
}

/// Plans the messages that turn `old` into `new`, or says why that is impossible. The caller rolls
/// `requests` back if it does not send the plan.
pub(super) fn plan(
    requests: &mut HistoryRequests,
    old: &History,
    new: &[WrittenItem],
) -> Result<Plan, String> {
    let old_items: HashMap<&str, &Arc<Item>> = old.iter().map(|item| (&*item.id, item)).collect();
    let seen = ids_of(new)?;
    let mut plan = Plan::default();
    // The server must be told of new and of changed items.
    let mut pending: HashSet<&str> = HashSet::new();
    for written in new {
        let id = &*written.item.id;
        let known = old_items.get(id).map(|known| &***known);
        if known.is_some_and(|known| written.is_still(known)) {
            continue;
        }
        refuse(&written.item, known)?;
        if let Some(why) = written.unsendable() {
            let what = if known.is_some() { "as it was" } else { "out" };
            plan.left_out
                .push(format!("history item {id} is left {what}: {why}"));
        } else {
            pending.insert(id);
        }
    }

    let gone = old
        .iter()
        .filter(|item| !seen.contains(&*item.id))
        .map(|item| &item.id);
    let changed = new
        .iter()
        .map(|new| &new.item.id)
        .filter(|id| pending.contains(&***id) && old_items.contains_key(&***id));
    for id in gone.chain(changed) {
        // With a call goes its output: without the call the provider cannot place it.
        let output = old_items
            .get(&**id)
            .and_then(|known| requests.output_of(known));
        for id in [Some(id), output.as_ref()].into_iter().flatten() {
            let event_id = requests.add(id, RequestKind::Delete);
            plan.messages.push(ClientEvent::item_delete(id, &event_id));
        }
    }

    // A created item names its predecessor if an item that stays follows it. After the last item
    // that stays, an append is enough.
    let survives: Vec<bool> = new
        .iter()
        .map(|new| &*new.item.id)
        .map(|id| {
            old_items.contains_key(id)
                && !pending.contains(id)
                && requests.projected(id) != Some(false)
        })
        .collect();
    let last_survivor = survives.iter().rposition(|survives| *survives);
    let mut previous: ItemId = "root".into();
    for (index, written) in new.iter().enumerate() {
        let item = &written.item;
        if !pending.contains(&*item.id) {
            if survives[index] {
                // The output of a call stands behind it.
                previous = requests
                    .output_of(item)
                    .unwrap_or_else(|| Arc::clone(&item.id));
            }
            continue;
        }
        let behind = last_survivor.is_some_and(|last| index < last);
        let is_new = !old_items.contains_key(&*item.id);
        for (id, wire) in written.creations(is_new) {
            let event_id = requests.add_creation(&id, item);
            let after = behind.then_some(&*previous);
            plan.messages
                .push(ClientEvent::item_create(&wire, &event_id, after));
            previous = id;
        }
    }
    Ok(plan)
}

/// What is created at the server for a call, with the ids: the call, and its output if it has one.
pub(super) fn call_creations(
    id: &ItemId,
    call_id: &str,
    name: &str,
    arguments: &str,
    output: Option<&str>,
) -> Vec<(ItemId, Value)> {
    let call = json!({
        "type": "function_call", "id": &**id, "call_id": call_id, "name": name,
        "arguments": arguments,
    });
    let mut created = vec![(Arc::clone(id), call)];
    if let Some(output) = output {
        let output_id = output_id(id);
        let wire = json!({
            "type": "function_call_output", "id": &*output_id, "call_id": call_id,
            "output": output,
        });
        created.push((output_id, wire));
    }
    created
}

/// What a hosted MCP call gave, in words: no client can create such a call.
pub(super) fn hosted_call(kind: &ItemKind) -> Option<String> {
    let ItemKind::McpCall {
        name,
        arguments,
        output,
        error,
        ..
    } = kind
    else {
        return None;
    };
    let gave = output.as_deref().or(error.as_deref())?;
    Some(format!(
        "The hosted tool {name}, called with {arguments}, gave: {gave}"
    ))
}

/// A message of the system's.
pub(super) fn system_message(id: &str, text: &str) -> Value {
    json!({
        "type": "message", "id": id, "role": "system",
        "content": [{"type": "input_text", "text": text}],
    })
}

/// The id that the output of a call gets, for what follows it to name. Providers take 32 bytes.
fn output_id(call: &str) -> ItemId {
    const PREFIX: &str = "out_";
    let mut from = call.len().saturating_sub(32 - PREFIX.len());
    while !call.is_char_boundary(from) {
        from += 1;
    }
    format!("{PREFIX}{}", &call[from..]).into()
}

fn refuse(item: &Item, known: Option<&Item>) -> Result<(), String> {
    if item.is_mcp() || known.is_some_and(Item::is_mcp) {
        return Err(format!(
            "MCP item {} cannot be added or changed: leave MCP items as they are, or out",
            item.id
        ));
    }
    Ok(())
}
