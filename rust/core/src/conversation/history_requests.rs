//! What the server was asked to create, to delete, or was told of the history, and has not confirmed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::item::{Item, ItemId, ItemKind};

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
    /// The function call to create. The server confirms a call and its output apart: the history
    /// has both in one item.
    call: Option<Item>,
}

/// Creations and deletions that the server has not confirmed yet, in the order in which they were
/// sent.
#[derive(Debug, Default)]
pub(super) struct HistoryRequests {
    open: Vec<Request>,
    counter: u64,
    /// The items in which the server keeps the outputs of calls, by call id.
    outputs: HashMap<String, ItemId>,
    /// Items that the history has, which the server was told and has not confirmed: that it does is no
    /// news.
    replayed: HashSet<ItemId>,
}

impl HistoryRequests {
    pub(super) fn next_id(&mut self, verb: &str) -> String {
        self.counter += 1;
        format!("stapes_{verb}_{}", self.counter)
    }

    pub(super) fn add(&mut self, item_id: &ItemId, kind: RequestKind) -> String {
        let event_id = self.next_id(if kind == RequestKind::Create {
            "create"
        } else {
            "delete"
        });
        let item_id = Arc::clone(item_id);
        self.open.push(Request {
            event_id: event_id.clone(),
            item_id,
            kind,
            call: None,
        });
        event_id
    }

    /// Adds the creation of the server's item `item_id`: it is `item`, or the output of that call.
    pub(super) fn add_creation(&mut self, item_id: &ItemId, item: &Item) -> String {
        let event_id = self.add(item_id, RequestKind::Create);
        let is_call = *item_id == item.id && matches!(item.kind, ItemKind::FunctionCall { .. });
        if is_call && let Some(request) = self.open.last_mut() {
            request.call = Some(item.clone());
        }
        event_id
    }

    /// Removes the oldest request of that kind for that item: the server has confirmed it. Returns
    /// the function call that it created.
    pub(super) fn confirmed(&mut self, item_id: &str, kind: RequestKind) -> Option<Item> {
        let at = self
            .open
            .iter()
            .position(|r| *r.item_id == *item_id && r.kind == kind)?;
        self.open.remove(at).call
    }

    /// Notes in which item the server keeps the output of a call.
    pub(super) fn output_stored(&mut self, call_id: &str, item_id: &str) {
        self.outputs.insert(call_id.to_owned(), item_id.into());
    }

    pub(super) fn item_deleted(&mut self, item_id: &str) {
        self.outputs.retain(|_, output| **output != *item_id);
    }

    /// The item that holds the output of this function call, if the server has told of one.
    pub(super) fn output_of(&self, call: &Item) -> Option<ItemId> {
        let ItemKind::FunctionCall { call_id, .. } = &call.kind else {
            return None;
        };
        let call_id = call_id.as_deref().unwrap_or(&call.id);
        self.outputs.get(call_id).cloned()
    }

    pub(super) fn refused(&mut self, event_id: &str) {
        self.open.retain(|request| request.event_id != event_id);
    }

    /// The connection was lost, and another one follows. Returns the items whose deletion was not
    /// confirmed; creations are asked for again.
    pub(super) fn suspend(&mut self) -> Vec<ItemId> {
        self.outputs.clear();
        self.forget_replayed();
        let (deleted, open): (Vec<_>, Vec<_>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|request| request.kind == RequestKind::Delete);
        self.open = open;
        deleted.into_iter().map(|request| request.item_id).collect()
    }

    /// The server was told an item that the history has.
    pub(super) fn replayed(&mut self, item_id: ItemId) {
        self.replayed.insert(item_id);
    }

    /// What another wire was told is not confirmed over this one.
    pub(super) fn forget_replayed(&mut self) {
        self.replayed = HashSet::new();
    }

    /// Whether an item that the server confirms was told to it. `done`: for the last time.
    pub(super) fn confirms_replayed(&mut self, item_id: &str, done: bool) -> bool {
        if done {
            self.replayed.remove(item_id)
        } else {
            self.replayed.contains(item_id)
        }
    }

    /// Whether an item is being told that the server has not confirmed.
    pub(super) fn is_replayed(&self, item_id: &str) -> bool {
        self.replayed.contains(item_id)
    }

    /// Whether a creation or deletion is not confirmed yet.
    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Another connection was told the outputs of these calls.
    pub(super) fn outputs_replayed(&mut self, outputs: &[(String, ItemId)]) {
        for (call_id, item_id) in outputs {
            self.output_stored(call_id, item_id);
        }
    }

    pub(super) fn reset(&mut self) {
        self.open.clear();
        self.outputs.clear();
        self.forget_replayed();
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
    pub(super) fn projected(&self, item_id: &str) -> Option<bool> {
        let last = self
            .open
            .iter()
            .rev()
            .find(|request| *request.item_id == *item_id)?;
        Some(last.kind == RequestKind::Create)
    }
}
