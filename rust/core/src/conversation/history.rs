//! The history: a persistent sequence whose versions share their common items.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use imbl::Vector;

use super::item::{ContentPart, HeardExtent, Item, ItemId, ItemKind, ItemPosition, Progress, Role};

/// How many deleted items are remembered.
const MAX_DELETED: usize = 64;

/// One version of the history. Cloning it pins it in O(1).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History(Vector<Arc<Item>>);

impl History {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, index: usize) -> Option<&Arc<Item>> {
        self.0.get(index)
    }

    /// The first `count` items.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        Self(self.0.take(count))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Item>> {
        self.0.iter()
    }
}

/// The current version of the history, and the position of each of its items.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    version: History,
    /// The index of an item at its last look-up. Insertions and removals before the item shift it,
    /// so a look-up searches outward from this index.
    hints: HashMap<ItemId, usize>,
    /// Items that were deleted, oldest first.
    deleted: VecDeque<ItemId>,
    keep_audio: bool,
}

impl Ledger {
    pub(super) fn new(keep_audio: bool) -> Self {
        Self {
            keep_audio,
            ..Self::default()
        }
    }

    pub(super) fn version(&self) -> &History {
        &self.version
    }

    pub(super) fn clear(&mut self) {
        self.version = History::default();
        self.hints.clear();
        self.deleted.clear();
    }

    fn position(&mut self, id: &str) -> Option<usize> {
        let items = &self.version.0;
        let hint = (*self.hints.get(id)?).min(items.len());
        let stands_at = |at: usize| items.get(at).is_some_and(|item| &*item.id == id);
        let mut found = None;
        for distance in 0..=items.len() {
            if stands_at(hint + distance) {
                found = Some(hint + distance);
                break;
            }
            if let Some(at) = hint.checked_sub(distance)
                && stands_at(at)
            {
                found = Some(at);
                break;
            }
        }
        if let Some(at) = found
            && at != hint
        {
            self.hints.insert(id.into(), at);
        }
        found
    }

    /// Inserts a new item at its position, or replaces a known one in place. Returns the stored
    /// item and whether it is new.
    pub(super) fn put(&mut self, item: Item) -> (Arc<Item>, bool) {
        self.insert(item, false)
    }

    /// Puts an item of a stored history at the end: it stands where the list has it, whatever it says of
    /// its position.
    pub(super) fn append(&mut self, item: Item) -> Arc<Item> {
        self.insert(item, true).0
    }

    fn insert(&mut self, item: Item, at_end: bool) -> (Arc<Item>, bool) {
        let item = if self.keep_audio {
            item
        } else {
            item.without_audio()
        };
        if let Some(at) = self.position(&item.id) {
            let known = &self.version.0[at];
            let item = Arc::new(item.keeping_transcripts_of(known));
            self.version.0.set(at, Arc::clone(&item));
            return (item, false);
        }
        let at = match &item.position {
            ItemPosition::First if !at_end => 0,
            ItemPosition::After(previous) if !at_end => self
                .position(previous)
                .map_or(self.version.len(), |before| before + 1),
            _ => self.version.len(),
        };
        let item = Arc::new(item);
        self.hints.insert(Arc::clone(&item.id), at);
        if at == self.version.len() {
            self.version.0.push_back(Arc::clone(&item));
        } else {
            self.version.0.insert(at, Arc::clone(&item));
        }
        (item, true)
    }

    pub(super) fn get(&mut self, id: &str) -> Option<Arc<Item>> {
        let at = self.position(id)?;
        self.version.get(at).cloned()
    }

    pub(super) fn remove(&mut self, id: &str) {
        if let Some(at) = self.position(id) {
            self.version.0.remove(at);
            self.hints.remove(id);
        }
        self.deleted.push_back(id.into());
        if self.deleted.len() > MAX_DELETED {
            self.deleted.pop_front();
        }
    }

    /// Whether an item was deleted. Events of the response that makes it may still arrive.
    pub(super) fn is_deleted(&self, id: &str) -> bool {
        self.deleted.iter().any(|deleted| **deleted == *id)
    }

    /// An item was created, perhaps under the id of one that was deleted.
    pub(super) fn created(&mut self, id: &str) {
        self.deleted.retain(|deleted| **deleted != *id);
    }

    /// Marks all items in progress as incomplete, but for calls whose ids are to be kept. Returns whether
    /// there were any.
    pub(super) fn end_items(&mut self, keep: impl Fn(&str) -> bool) -> bool {
        let mut changed = false;
        for at in 0..self.version.len() {
            if !self.version.0[at].is_in_progress() {
                continue;
            }
            if let ItemKind::FunctionCall { call_id, .. } = &self.version.0[at].kind
                && keep(call_id.as_deref().unwrap_or(&self.version.0[at].id))
            {
                continue;
            }
            let mut item = Item::clone(&self.version.0[at]);
            let (ItemKind::Message {
                status: Some(status),
                ..
            }
            | ItemKind::FunctionCall { status, .. }
            | ItemKind::McpCall { status, .. }) = &mut item.kind
            else {
                continue;
            };
            *status = Progress::Incomplete;
            self.version.0.set(at, Arc::new(item));
            changed = true;
        }
        changed
    }

    fn edit_message(
        &mut self,
        id: &str,
        edit: impl FnOnce(Role, &mut Option<Progress>, &mut Vec<ContentPart>),
    ) {
        let Some(at) = self.position(id) else { return };
        let mut item = Item::clone(&self.version.0[at]);
        if let ItemKind::Message {
            role,
            status,
            content,
        } = &mut item.kind
        {
            edit(*role, status, content);
            self.version.0.set(at, Arc::new(item));
        }
    }

    /// Replaces the content of a message that ends here.
    pub(super) fn set_content(&mut self, id: &str, parts: Vec<ContentPart>, ends: Progress) {
        self.edit_message(id, |_, status, content| {
            if *status == Some(Progress::InProgress) {
                *status = Some(ends);
            }
            *content = parts;
        });
    }

    /// Stores a transcription as the transcript of the user's audio.
    pub(super) fn transcribed(&mut self, id: &str, transcript: &str) {
        self.edit_message(id, |role, status, content| {
            if role != Role::User {
                return;
            }
            *status = Some(Progress::Completed);
            for part in content {
                if let ContentPart::InputAudio {
                    transcript: known, ..
                } = part
                {
                    *known = Some(transcript.to_owned());
                }
            }
        });
    }

    /// The transcript of an answer's part, if there is one.
    pub(super) fn transcript(&mut self, id: &str, content_index: usize) -> Option<&str> {
        let at = self.position(id)?;
        match &self.version.0[at].kind {
            ItemKind::Message { content, .. } => match content.get(content_index)? {
                ContentPart::OutputAudio { transcript, .. } => transcript.as_deref(),
                _ => None,
            },
            _ => None,
        }
    }

    /// Records how much of an answer's part was heard. Returns whether that changed the history. A
    /// part that the server has not stated yet is added, with the `spoken` transcript so far.
    pub(super) fn heard(
        &mut self,
        id: &str,
        content_index: usize,
        heard: HeardExtent,
        spoken: &str,
    ) -> bool {
        let mut changed = false;
        self.edit_message(id, |role, _, content| {
            if role != Role::Assistant {
                return;
            }
            if content.len() == content_index {
                content.push(ContentPart::OutputAudio {
                    audio: None,
                    transcript: Some(spoken.to_owned()),
                    heard: None,
                });
            }
            if let Some(ContentPart::OutputAudio { heard: known, .. }) =
                content.get_mut(content_index)
            {
                *known = Some(heard);
                changed = true;
            }
        });
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn item(id: &str, position: ItemPosition) -> Item {
        let wire =
            json!({"id": id, "role": "user", "content": [{"type": "input_text", "text": id}]});
        Item::message(&wire, position, Progress::Completed).unwrap()
    }

    fn ids(ledger: &Ledger) -> Vec<String> {
        ledger
            .version()
            .iter()
            .map(|item| item.id.to_string())
            .collect()
    }

    #[test]
    fn null_previous_goes_first_and_an_unknown_previous_goes_last() {
        let mut ledger = Ledger::new(false);
        ledger.put(item("b", ItemPosition::First));
        ledger.put(item("a", ItemPosition::First));
        ledger.put(item("d", ItemPosition::After("nobody".into())));
        ledger.put(item("c", ItemPosition::After("b".into())));
        assert_eq!(ids(&ledger), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_pinned_version_does_not_change() {
        let mut ledger = Ledger::new(false);
        ledger.put(item("a", ItemPosition::Unstated));
        let pinned = ledger.version().clone();
        ledger.put(item("b", ItemPosition::Unstated));
        ledger.remove("a");
        assert_eq!(pinned.len(), 1);
        assert_eq!(ids(&ledger), ["b"]);
    }

    proptest! {
        /// The ledger agrees with a plain list, whatever comes, and never holds an id twice.
        #[test]
        fn agrees_with_a_plain_list(steps in prop::collection::vec((0u8..12, 0u8..14, any::<bool>()), 0..200)) {
            let mut ledger = Ledger::new(false);
            let mut plain: Vec<String> = Vec::new();
            for (id, previous, remove) in steps {
                let id = format!("i{id}");
                if remove {
                    ledger.remove(&id);
                    plain.retain(|known| *known != id);
                    continue;
                }
                let position = match previous {
                    12 => ItemPosition::First,
                    13 => ItemPosition::Unstated,
                    n => ItemPosition::After(format!("i{n}").into()),
                };
                if !plain.contains(&id) {
                    let at = match &position {
                        ItemPosition::First => 0,
                        ItemPosition::Unstated => plain.len(),
                        ItemPosition::After(p) => plain.iter().position(|k| **k == **p).map_or(plain.len(), |n| n + 1),
                    };
                    plain.insert(at, id.clone());
                }
                ledger.put(item(&id, position));
            }
            prop_assert_eq!(ids(&ledger), plain);
        }
    }
}
