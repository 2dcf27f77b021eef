//! Text buffers for the messages that carry the user's sound: kilobytes that are filled, written and
//! free again before the next one is made, and so long that allocators take their time.

use std::cell::Cell;

/// A longer buffer is not kept.
const LONGEST: usize = 64 * 1024;

thread_local! {
    /// The buffer that was written last on this thread: it is still in the processor's cache.
    static WRITTEN: Cell<String> = const { Cell::new(String::new()) };
}

/// An empty text, with a used buffer where there is one.
pub fn take() -> String {
    WRITTEN.take()
}

/// Takes the buffer of a text that has been written.
pub fn give_back(mut text: String) {
    let kept = WRITTEN.take();
    let is_better = (kept.capacity()..=LONGEST).contains(&text.capacity());
    text.clear();
    WRITTEN.set(if is_better { text } else { kept });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_empty_and_with_its_room() {
        give_back("said".repeat(1_000));
        let text = take();
        assert!(text.is_empty() && text.capacity() >= 4_000);
        assert_eq!(take().capacity(), 0);
    }

    #[test]
    fn neither_a_long_text_nor_a_shorter_one_than_before_is_kept() {
        give_back("x".repeat(LONGEST + 1));
        assert_eq!(take().capacity(), 0);
        give_back("x".repeat(100));
        give_back("x".to_owned());
        assert!(take().capacity() >= 100);
    }
}
