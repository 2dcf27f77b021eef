//! Long texts that many sessions have alike, such as a configuration: each is in memory once.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// How many different texts are known. Others are in memory once for each session.
const MOST: usize = 16;

/// Those that were asked for last. A text that no session has any more stays until others take its place.
static KNOWN: Mutex<Vec<Weak<str>>> = Mutex::new(Vec::new());

/// A text that is in memory once, however many sessions have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedText(Arc<str>);

impl From<&str> for SharedText {
    fn from(text: &str) -> Self {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = known.iter().filter_map(Weak::upgrade);
        if let Some(same) = all.find(|it| **it == *text) {
            return Self(same);
        }
        let new: Arc<str> = text.into();
        if known.len() == MOST {
            known.remove(0);
        }
        known.push(Arc::downgrade(&new));
        Self(new)
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_in_memory_once_and_few_are_known() {
        let first = SharedText::from("the same");
        assert!(Arc::ptr_eq(&first.0, &SharedText::from("the same").0));
        let others: Vec<_> = (0..2 * MOST)
            .map(|number| SharedText::from(&*format!("text {number}")))
            .collect();
        let again = SharedText::from("the same");
        assert!(!Arc::ptr_eq(&first.0, &again.0) && first == again);
        assert!(KNOWN.lock().unwrap_or_else(PoisonError::into_inner).len() <= MOST);
        drop(others);
    }
}
