//! The items of a conversation that the server has resumed: it states them anew, under other ids, and not
//! all of them. To the user each stays the item that it was.
//!
//! The server states them between `conversation.created` and `session.updated`, in the order of the
//! conversation, as text. An item is known by its role and words, or by its call.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::conversation::Conversation;
use crate::conversation::item::{ContentPart, Item, ItemId, ItemKind, text};
use crate::conversation::outbox::NAMING;

#[derive(Debug, Default)]
pub(in crate::conversation) struct ResumedItems {
    /// The server has stated all of them.
    is_complete: bool,
    /// How many items of the history come before the next one.
    before: usize,
    /// The item of each id that the server has given anew.
    names: HashMap<String, ItemId>,
}

impl Conversation {
    /// Takes note of an event of a conversation that the server has resumed, and names in it the items that
    /// the history has. Returns whether it states such an item: that is no news.
    pub(in crate::conversation) fn is_resumed(&mut self, kind: &str, event: &mut Value) -> bool {
        let Some(resumed) = &mut self.resumed else {
            return false;
        };
        resumed.is_complete |= kind == "session.updated";
        let states_item = matches!(
            kind,
            "conversation.item.added" | "conversation.item.created" | "conversation.item.done"
        );
        let wire = event
            .get("item")
            .filter(|_| states_item && !resumed.is_complete);
        let known = wire.and_then(|wire| resumed.find(self.history.version().iter(), wire));
        if let Some(Known::Renamed { id, item_id }) = &known {
            self.outbox.rename(Arc::clone(item_id), id);
        }
        if !resumed.names.is_empty() {
            resumed.name_ours(event);
        }
        known.is_some()
    }
}

/// An item of the history that the server states.
enum Known {
    /// Its id is known.
    Before,
    /// The server gave it this id.
    Renamed { id: String, item_id: ItemId },
}

impl ResumedItems {
    /// Finds the item of the history that the server states.
    fn find<'h>(
        &mut self,
        history: impl Iterator<Item = &'h Arc<Item>>,
        wire: &Value,
    ) -> Option<Known> {
        let id = text(wire, "id")?;
        if self.names.contains_key(id) {
            return Some(Known::Before);
        }
        let mut rest = history.enumerate().skip(self.before);
        let (at, item) = rest.find(|(_, item)| is_same(item, wire))?;
        if matches!(item.kind, ItemKind::FunctionCall { .. }) {
            // Its output may follow, and is a part of it here.
            self.before = at;
        } else {
            self.before = at + 1;
        }
        let is_output = text(wire, "type") == Some("function_call_output");
        if *item.id == *id || is_output {
            return Some(Known::Before);
        }
        let (id, item_id) = (id.to_owned(), Arc::clone(&item.id));
        self.names.insert(id.clone(), Arc::clone(&item_id));
        Some(Known::Renamed { id, item_id })
    }

    fn name_ours(&self, event: &mut Value) {
        if let Some(id) = event.get_mut("item").and_then(|item| item.get_mut("id")) {
            self.translate(id);
        }
        for key in NAMING {
            if let Some(id) = event.get_mut(key) {
                self.translate(id);
            }
        }
    }

    fn translate(&self, id: &mut Value) {
        if let Some(ours) = id.as_str().and_then(|id| self.names.get(id)) {
            *id = (&**ours).into();
        }
    }
}

/// Whether the server states this item of the history. Of an answer that was interrupted either side may have
/// more words.
fn is_same(item: &Item, wire: &Value) -> bool {
    if text(wire, "id").is_some_and(|id| *item.id == *id) {
        return true;
    }
    match (&item.kind, text(wire, "type").unwrap_or_default()) {
        (ItemKind::Message { role, content, .. }, "message") => {
            let parts = wire.get("content").and_then(Value::as_array);
            let theirs = parts.into_iter().flatten().filter_map(|part| {
                let said = text(part, "text");
                said.or_else(|| text(part, "transcript"))
            });
            let (ours, theirs) = (joined(content.iter().filter_map(words)), joined(theirs));
            text(wire, "role") == Some(role.as_str())
                && ours.is_empty() == theirs.is_empty()
                && (ours.starts_with(&theirs) || theirs.starts_with(&ours))
        }
        (ItemKind::FunctionCall { call_id, .. }, "function_call" | "function_call_output") => {
            call_id.is_some() && call_id.as_deref() == text(wire, "call_id")
        }
        _ => false,
    }
}

fn joined<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let words = texts.flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

/// All words of a part, heard or not.
fn words(part: &ContentPart) -> Option<&str> {
    match part {
        ContentPart::InputText { text } | ContentPart::OutputText { text } => Some(text),
        ContentPart::InputAudio { transcript, .. }
        | ContentPart::OutputAudio { transcript, .. } => transcript.as_deref(),
        _ => None,
    }
}
