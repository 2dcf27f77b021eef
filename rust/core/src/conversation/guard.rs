//! Decides when an output guardrail must check an answer that is still being generated.

use std::collections::HashMap;
use std::sync::Arc;

use super::Rejected;
use super::item::ItemId;

/// The source of a guarded text. It decides how a tripped guardrail stops the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardSource {
    Audio,
    Text,
}

impl GuardSource {
    /// The source of that name, or why there is none.
    pub fn read(name: &str) -> Result<Self, Rejected> {
        Self::parse(name).ok_or_else(|| {
            Rejected::Invalid(format!("source is {name:?}: give \"audio\" or \"text\""))
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Text => "text",
        }
    }

    /// The source of that name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "audio" => Some(Self::Audio),
            "text" => Some(Self::Text),
            _ => None,
        }
    }
}

/// The text of an item that must be checked now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DueText {
    pub item_id: ItemId,
    pub text: String,
    pub source: GuardSource,
}

#[derive(Debug)]
struct Watched {
    item_id: ItemId,
    text: String,
    source: GuardSource,
    /// Characters (not bytes, not UTF-16 units) of `text`.
    length: u64,
    /// The number of whole debounce lengths at the last check.
    checked: u64,
    /// The characters that have been checked.
    checked_length: u64,
}

impl Watched {
    fn new(item_id: &ItemId, source: GuardSource) -> Self {
        Self {
            item_id: Arc::clone(item_id),
            text: String::new(),
            source,
            length: 0,
            checked: 0,
            checked_length: 0,
        }
    }

    fn due(&mut self) -> DueText {
        self.checked_length = self.length;
        DueText {
            item_id: Arc::clone(&self.item_id),
            text: self.text.clone(),
            source: self.source,
        }
    }
}

/// Gathers the text of each item of each response.
///
/// An item is checked at each step of `debounce` characters. Its whole text is checked when another item of
/// its response begins; that of the last item when the turn ends, by the session layer.
#[derive(Debug)]
pub(super) struct GuardWatch {
    /// Characters between checks. Negative: only when the turn ends. Zero: once, at the first
    /// delta.
    debounce: i64,
    responses: HashMap<Arc<str>, Vec<Watched>>,
}

impl GuardWatch {
    pub(super) fn new(debounce: i64) -> Self {
        Self {
            debounce,
            responses: HashMap::new(),
        }
    }

    /// Adds a delta. Returns what must be checked now: the text of the item so far, and before it that of
    /// earlier items, which end where another one begins.
    pub(super) fn delta(
        &mut self,
        response_id: &Arc<str>,
        item_id: &ItemId,
        source: GuardSource,
        delta: &str,
    ) -> Vec<DueText> {
        let items = self.responses.entry(Arc::clone(response_id)).or_default();
        let mut due = Vec::new();
        let known = items.iter().position(|it| it.item_id == *item_id);
        let at = known.unwrap_or_else(|| {
            if self.debounce > 0 {
                let unchecked = |it: &&mut Watched| it.checked_length < it.length;
                due.extend(items.iter_mut().filter(unchecked).map(Watched::due));
            }
            items.push(Watched::new(item_id, source));
            items.len() - 1
        });
        let watched = &mut items[at];
        watched.text.push_str(delta);
        watched.length += delta.chars().count() as u64;
        let reached = match self.debounce {
            ..0 => return due,
            // A step of zero is reached by any text, once.
            0 => u64::from(watched.length > 0),
            step => watched.length / step as u64,
        };
        if reached > watched.checked {
            watched.checked = reached;
            due.push(watched.due());
        }
        due
    }

    /// Whether the whole of a text, which is an item's, has been checked.
    pub(super) fn has_checked(&self, response_id: &str, item_id: &str, text: &str) -> bool {
        let items = self.responses.get(response_id);
        let watched = items.and_then(|items| items.iter().find(|it| *it.item_id == *item_id));
        watched.is_some_and(|it| it.checked_length >= text.chars().count() as u64)
    }

    pub(super) fn done(&mut self, response_id: &str) {
        self.responses.remove(response_id);
    }

    pub(super) fn reset(&mut self) {
        self.responses.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(debounce: i64, deltas: &[&str]) -> Vec<Option<String>> {
        let mut watch = GuardWatch::new(debounce);
        deltas
            .iter()
            .map(|delta| {
                let due = watch.delta(&"r".into(), &"i".into(), GuardSource::Audio, delta);
                due.into_iter().next().map(|due| due.text)
            })
            .collect()
    }

    fn due(item_id: &str, text: &str) -> DueText {
        DueText {
            item_id: item_id.into(),
            text: text.to_owned(),
            source: GuardSource::Audio,
        }
    }

    #[test]
    fn an_item_is_checked_whole_when_another_of_its_response_begins() {
        let mut watch = GuardWatch::new(4);
        let response: Arc<str> = "r".into();
        let mut delta =
            |item: &str, text: &str| watch.delta(&response, &item.into(), GuardSource::Audio, text);
        assert_eq!(delta("a", "123"), []);
        assert_eq!(delta("b", "1"), [due("a", "123")]);
        assert_eq!(delta("b", "234"), [due("b", "1234")]);
        assert_eq!(delta("c", "1"), [], "both are checked");
        assert_eq!(delta("a", "4"), [due("a", "1234")]);
        assert!(watch.has_checked("r", "a", "1234"));
        assert!(!watch.has_checked("r", "c", "1"));
        assert!(!watch.has_checked("other", "a", "1234"));
    }

    #[test]
    fn with_a_negative_step_nothing_is_checked_before_the_turn_ends() {
        let mut watch = GuardWatch::new(-1);
        for item in ["a", "b"] {
            let found = watch.delta(&"r".into(), &item.into(), GuardSource::Audio, "text");
            assert_eq!(found, []);
        }
        assert!(!watch.has_checked("r", "a", "text"));
    }

    #[test]
    fn a_delta_that_crosses_several_steps_is_checked_once() {
        let found = checks(10, &["12345", "67890", "abc", &"x".repeat(33), "y"]);
        let checked: Vec<bool> = found.iter().map(Option::is_some).collect();
        assert_eq!(checked, [false, true, false, true, false]);
    }

    #[test]
    fn zero_checks_once_and_negative_never() {
        assert_eq!(checks(0, &["a", "b"]), [Some("a".to_owned()), None]);
        assert_eq!(checks(-1, &["a", "b"]), [None, None]);
    }

    #[test]
    fn the_length_counts_characters() {
        assert_eq!(checks(4, &["😀😀", "😀"]), [None, None]);
    }
}
