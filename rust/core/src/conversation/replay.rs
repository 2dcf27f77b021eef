//! Rewriting the conversation: turns the difference between two histories into client messages.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::client_event::ClientEvent;
use super::history::History;
use super::item::{ContentPart, Item, ItemId, ItemKind, Role, text};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    Create,
    Delete,
}

#[derive(Debug)]
struct Request {
    event_id: String,
    item_id: ItemId,
    kind: RequestKind,
}

/// Creations and deletions that the server has not confirmed yet, in the order in which they were
/// sent.
#[derive(Debug, Default)]
pub(super) struct HistoryRequests {
    open: Vec<Request>,
    counter: u64,
}

impl HistoryRequests {
    fn add(&mut self, item_id: &ItemId, kind: RequestKind) -> String {
        self.counter += 1;
        let verb = if kind == RequestKind::Create {
            "create"
        } else {
            "delete"
        };
        let event_id = format!("stapes_{verb}_{}", self.counter);
        let item_id = Arc::clone(item_id);
        self.open.push(Request {
            event_id: event_id.clone(),
            item_id,
            kind,
        });
        event_id
    }

    /// Removes the oldest request of that kind for that item: the server has confirmed it.
    pub(super) fn confirmed(&mut self, item_id: &str, kind: RequestKind) {
        let found = self
            .open
            .iter()
            .position(|r| *r.item_id == *item_id && r.kind == kind);
        if let Some(at) = found {
            self.open.remove(at);
        }
    }

    pub(super) fn refused(&mut self, event_id: &str) {
        self.open.retain(|request| request.event_id != event_id);
    }

    pub(super) fn reset(&mut self) {
        self.open.clear();
    }

    /// The number of open requests, for [`Self::roll_back`].
    pub(super) fn checkpoint(&self) -> usize {
        self.open.len()
    }

    /// Forgets the requests that were added after the checkpoint and not sent.
    pub(super) fn roll_back(&mut self, checkpoint: usize) {
        self.open.truncate(checkpoint);
    }

    /// Whether the item will exist when its open requests are confirmed; `None` if it has none.
    fn projected(&self, item_id: &str) -> Option<bool> {
        let last = self
            .open
            .iter()
            .rev()
            .find(|request| *request.item_id == *item_id)?;
        Some(last.kind == RequestKind::Create)
    }
}

/// An item of a history that a user wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenItem {
    item: Item,
    /// The content for the server, as the user wrote it.
    content: Value,
    status: Option<String>,
}

impl WrittenItem {
    /// Reads an item in the shape of [`Item::to_value`], which a user may have edited.
    pub fn read(value: &Value) -> Result<Self, String> {
        let item = Item::from_user(value)?;
        let content = match &item.kind {
            ItemKind::Message { content, .. } => content
                .iter()
                .zip(
                    value
                        .get("content")
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten(),
                )
                .map(|(part, written)| match part {
                    // Users may write `image`; the server knows `image_url`.
                    ContentPart::InputImage { .. } => part.to_value(),
                    _ => written.clone(),
                })
                .collect(),
            _ => Value::Null,
        };
        let status = text(value, "status").map(str::to_owned);
        Ok(Self {
            item,
            content,
            status,
        })
    }

    /// Whether it equals `known`. A user may leave out the fields that only the session knows: the
    /// id of a call, and how much of an answer was heard.
    fn is_still(&self, known: &Item) -> bool {
        let mut item = self.item.clone();
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

/// The messages to send, and the items that were left out.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) messages: Vec<ClientEvent>,
    /// Ids of function calls, which the provider cannot take.
    pub(super) ignored: Vec<String>,
}

/// Plans the messages that turn `old` into `new`, or says why that is impossible. The caller rolls
/// `requests` back if it does not send the plan.
pub(super) fn plan(
    requests: &mut HistoryRequests,
    old: &History,
    new: &[WrittenItem],
) -> Result<Plan, String> {
    let old_items: HashMap<&str, &Arc<Item>> = old.iter().map(|item| (&*item.id, item)).collect();
    let mut seen = HashSet::new();
    if let Some(twice) = new.iter().find(|new| !seen.insert(&*new.item.id)) {
        return Err(format!(
            "history item {} stands in the new history twice",
            twice.item.id
        ));
    }
    // The server must be told of new and of changed items.
    let told = |new: &&WrittenItem| {
        old_items
            .get(&*new.item.id)
            .is_none_or(|known| !new.is_still(known))
    };
    let pending: HashSet<&str> = new.iter().filter(told).map(|new| &*new.item.id).collect();
    for item in new.iter().filter(told).map(|new| &new.item) {
        refuse(item, old_items.get(&*item.id).map(|known| &***known))?;
    }

    let mut plan = Plan::default();
    let gone = old
        .iter()
        .filter(|item| !seen.contains(&*item.id))
        .map(|item| &item.id);
    let changed = new
        .iter()
        .map(|new| &new.item.id)
        .filter(|id| pending.contains(&***id) && old_items.contains_key(&***id));
    for id in gone.chain(changed) {
        let event_id = requests.add(id, RequestKind::Delete);
        plan.messages.push(ClientEvent::item_delete(id, &event_id));
    }

    // A created item names its predecessor if an item that stays follows it. After the last item
    // that stays, an append is enough.
    let survives: Vec<bool> = new
        .iter()
        .map(|new| &new.item.id)
        .map(|id| !pending.contains(&**id) && requests.projected(id) != Some(false))
        .collect();
    let last_survivor = survives.iter().rposition(|survives| *survives);
    let mut previous = "root";
    for (index, written) in new.iter().enumerate() {
        let item = &written.item;
        if !pending.contains(&*item.id) {
            if survives[index] {
                previous = &item.id;
            }
            continue;
        }
        let ItemKind::Message { role, .. } = &item.kind else {
            plan.ignored.push(item.id.to_string());
            continue;
        };
        let mut wire = json!({
            "type": "message",
            "role": role.as_str(),
            "content": written.content,
            "id": &*item.id,
        });
        if let (Some(status), true) = (&written.status, *role != Role::System) {
            wire["status"] = status.as_str().into();
        }
        let event_id = requests.add(&item.id, RequestKind::Create);
        let behind = last_survivor
            .is_some_and(|last| index < last)
            .then_some(previous);
        plan.messages
            .push(ClientEvent::item_create(&wire, &event_id, behind));
        previous = &item.id;
    }
    Ok(plan)
}

fn refuse(item: &Item, known: Option<&Item>) -> Result<(), String> {
    if item.is_spoken_answer() {
        return Err(format!(
            "assistant item {} has output_audio, which the provider cannot take back: turn its \
             transcript into output_text, or leave the item as it is or out",
            item.id
        ));
    }
    if item.is_mcp() || known.is_some_and(Item::is_mcp) {
        return Err(format!(
            "MCP item {} cannot be added or changed: leave MCP items as they are, or out",
            item.id
        ));
    }
    Ok(())
}
