//! Decides when an output guardrail must check an answer that is still being generated.

use std::collections::HashMap;
use std::sync::Arc;

use super::Rejected;

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

#[derive(Debug, Default)]
struct Watched {
    text: String,
    /// Characters (not bytes, not UTF-16 units) of `text`.
    length: u64,
    /// The number of whole debounce lengths at the last check.
    checked: u64,
}

/// Gathers the text of each item of each response.
#[derive(Debug)]
pub(super) struct GuardWatch {
    /// Characters between checks. Negative: only when the turn ends. Zero: once, at the first
    /// delta.
    debounce: i64,
    responses: HashMap<Arc<str>, HashMap<Arc<str>, Watched>>,
}

impl GuardWatch {
    pub(super) fn new(debounce: i64) -> Self {
        Self {
            debounce,
            responses: HashMap::new(),
        }
    }

    /// Adds a delta. Returns the whole text so far if it must be checked now.
    pub(super) fn delta(
        &mut self,
        response_id: &Arc<str>,
        item_id: &Arc<str>,
        delta: &str,
    ) -> Option<String> {
        let items = self.responses.entry(Arc::clone(response_id)).or_default();
        let watched = items.entry(Arc::clone(item_id)).or_default();
        watched.text.push_str(delta);
        watched.length += delta.chars().count() as u64;
        let reached = match self.debounce {
            ..0 => return None,
            // A step of zero is reached by any text, once.
            0 => u64::from(watched.length > 0),
            step => watched.length / step as u64,
        };
        if reached <= watched.checked {
            return None;
        }
        watched.checked = reached;
        Some(watched.text.clone())
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
            .map(|delta| watch.delta(&"r".into(), &"i".into(), delta))
            .collect()
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
