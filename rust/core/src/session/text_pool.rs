//! Text buffers for the messages that carry the user's sound: kilobytes that are filled, written and
//! free again before the next one is made, and so long that allocators take their time.

use std::cell::RefCell;

use crate::buffer_pool::BufferPool;

/// A longer buffer is not kept.
const LONGEST: usize = 64 * 1024;

thread_local! {
    /// The buffer that was written last on this thread: it is still in the processor's cache.
    static WRITTEN: RefCell<BufferPool<String>> = const { RefCell::new(BufferPool::new(1, LONGEST)) };
}

/// An empty text, with a used buffer where there is one.
pub fn acquire() -> String {
    WRITTEN.with_borrow_mut(BufferPool::acquire)
}

/// Takes the buffer of a text that has been written.
pub fn release(text: String) {
    WRITTEN.with_borrow_mut(|pool| pool.release(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_empty_and_with_its_room() {
        release("said".repeat(1_000));
        let text = acquire();
        assert!(text.is_empty() && text.capacity() >= 4_000);
        assert_eq!(acquire().capacity(), 0);
    }

    #[test]
    fn neither_a_long_text_nor_a_shorter_one_than_before_is_kept() {
        release("x".repeat(LONGEST + 1));
        assert_eq!(acquire().capacity(), 0);
        release("x".repeat(100));
        release("x".to_owned());
        assert!(acquire().capacity() >= 100);
    }
}
