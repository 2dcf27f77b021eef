//! Rewriting the conversation: the difference between two histories as client messages.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::json;

use super::history::History;
use super::item::{ContentPart, Item, ItemId, ItemKind, Role};

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

/// Creations and deletions that the server has not confirmed yet, in the order sent.
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

    /// The server did it: retires the oldest request of that kind for that item.
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

    /// How many are open now, for [`Self::roll_back`].
    pub(super) fn checkpoint(&self) -> usize {
        self.open.len()
    }

    /// Forgets those that were added since the checkpoint: they were not sent.
    pub(super) fn roll_back(&mut self, checkpoint: usize) {
        self.open.truncate(checkpoint);
    }

    /// Whether an item will be there once all that is open is done; `None` where nothing is open.
    fn projected(&self, item_id: &str) -> Option<bool> {
        let last = self
            .open
            .iter()
            .rev()
            .find(|request| *request.item_id == *item_id)?;
        Some(last.kind == RequestKind::Create)
    }
}

/// What must be sent, and what was left out.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) messages: Vec<String>,
    /// Ids of function calls, which the provider cannot take.
    pub(super) ignored: Vec<String>,
}

/// Works out how to turn `old` into `new`, or why that cannot be done. The caller rolls
/// `requests` back where the plan is not sent.
pub(super) fn plan(
    requests: &mut HistoryRequests,
    old: &History,
    new: &[Item],
) -> Result<Plan, String> {
    let old_items: HashMap<&str, &Arc<Item>> = old.iter().map(|item| (&*item.id, item)).collect();
    let mut seen = HashSet::new();
    if let Some(twice) = new.iter().find(|item| !seen.insert(&*item.id)) {
        return Err(format!(
            "history item {} stands in the new history twice",
            twice.id
        ));
    }
    // What the server must be told of: new items, and those that are not what they were.
    let told = |item: &&Item| {
        old_items
            .get(&*item.id)
            .is_none_or(|known| ***known != **item)
    };
    let pending: HashSet<&str> = new.iter().filter(told).map(|item| &*item.id).collect();
    for item in new.iter().filter(told) {
        refuse(item, old_items.get(&*item.id).map(|known| &***known))?;
    }

    let mut plan = Plan::default();
    let gone = old
        .iter()
        .filter(|item| !seen.contains(&*item.id))
        .map(|item| &item.id);
    let changed = new
        .iter()
        .filter(|i| pending.contains(&*i.id) && old_items.contains_key(&*i.id))
        .map(|i| &i.id);
    for id in gone.chain(changed) {
        let event_id = requests.add(id, RequestKind::Delete);
        let message =
            json!({"type": "conversation.item.delete", "item_id": &**id, "event_id": event_id});
        plan.messages.push(message.to_string());
    }

    // Each created item names the one before it, as far as something that stays comes after it;
    // behind the last of those a plain append is enough.
    let survives: Vec<bool> = new
        .iter()
        .map(|item| !pending.contains(&*item.id) && requests.projected(&item.id) != Some(false))
        .collect();
    let last_survivor = survives.iter().rposition(|survives| *survives);
    let mut previous = "root";
    for (index, item) in new.iter().enumerate() {
        if !pending.contains(&*item.id) {
            if survives[index] {
                previous = &item.id;
            }
            continue;
        }
        let ItemKind::Message {
            role,
            status,
            content,
        } = &item.kind
        else {
            plan.ignored.push(item.id.to_string());
            continue;
        };
        let mut wire = json!({
            "type": "message",
            "role": role.as_str(),
            "content": content.iter().map(ContentPart::to_value).collect::<Vec<_>>(),
            "id": &*item.id,
        });
        if let (Some(status), true) = (status, *role != Role::System) {
            wire["status"] = status.as_str().into();
        }
        let event_id = requests.add(&item.id, RequestKind::Create);
        let mut message =
            json!({"type": "conversation.item.create", "item": wire, "event_id": event_id});
        if last_survivor.is_some_and(|last| index < last) {
            message["previous_item_id"] = previous.into();
        }
        plan.messages.push(message.to_string());
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
