//! Buffers that are used again.
//!
//! A buffer that one thread allocates and another one frees is what allocators are slow at. A pool hands
//! it back and forth, and the last one first: the processor's cache holds that one still.

use std::collections::VecDeque;
use std::fmt;

/// Storage that a pool can empty and hand out again.
pub trait Buffer: Default {
    /// Its size while it is empty.
    fn capacity(&self) -> usize;
    fn clear(&mut self);
}

macro_rules! buffer {
    ($type:ty $(, $parameter:ident)?) => {
        impl$(<$parameter>)? Buffer for $type {
            fn capacity(&self) -> usize {
                self.capacity()
            }

            fn clear(&mut self) {
                self.clear();
            }
        }
    };
}

buffer!(Vec<T>, T);
buffer!(VecDeque<T>, T);
buffer!(String);
buffer!(bytes::BytesMut);

/// Empty buffers, bounded in their number and in the capacity of each.
///
/// It is not synchronised: it stands behind a mutex, or in a `thread_local!`.
pub struct BufferPool<B> {
    buffers: Vec<B>,
    max_buffers: usize,
    max_capacity: usize,
}

impl<B> fmt::Debug for BufferPool<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool")
            .field("buffers", &self.buffers.len())
            .finish_non_exhaustive()
    }
}

impl<B: Buffer> BufferPool<B> {
    /// An empty pool, which allocates nothing before the first buffer is released.
    pub const fn new(max_buffers: usize, max_capacity: usize) -> Self {
        Self {
            buffers: Vec::new(),
            max_buffers,
            max_capacity,
        }
    }

    /// An empty buffer: the one that was released last, or one without capacity.
    pub fn acquire(&mut self) -> B {
        self.buffers.pop().unwrap_or_default()
    }

    /// Takes a buffer back. One that is longer than the pool wants is freed; where the pool is full, the
    /// shorter one of this buffer and the last is freed.
    pub fn release(&mut self, mut buffer: B) {
        if !(1..=self.max_capacity).contains(&buffer.capacity()) {
            return;
        }
        buffer.clear();
        if self.buffers.len() < self.max_buffers {
            self.buffers.push(buffer);
        } else if let Some(last) = self.buffers.last_mut()
            && last.capacity() < buffer.capacity()
        {
            *last = buffer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_and_with_its_capacity() {
        let mut pool = BufferPool::new(2, 1_000);
        let mut buffer: Vec<u8> = pool.acquire();
        assert_eq!(buffer.capacity(), 0);
        buffer.reserve_exact(500);
        buffer.push(1);
        pool.release(buffer);
        let buffer = pool.acquire();
        assert!(buffer.is_empty());
        assert_eq!(buffer.capacity(), 500);
        assert_eq!(pool.acquire().capacity(), 0);
    }

    #[test]
    fn the_buffer_that_was_released_last_comes_first() {
        let mut pool = BufferPool::new(2, 1_000);
        pool.release(String::with_capacity(10));
        pool.release(String::with_capacity(20));
        assert_eq!(pool.acquire().capacity(), 20);
        assert_eq!(pool.acquire().capacity(), 10);
    }

    #[test]
    fn neither_many_buffers_nor_long_ones_are_kept() {
        let mut pool = BufferPool::new(2, 100);
        pool.release(Vec::<u8>::with_capacity(101));
        pool.release(Vec::new());
        assert!(pool.buffers.is_empty());
        for _ in 0..3 {
            pool.release(Vec::with_capacity(100));
        }
        assert_eq!(pool.buffers.len(), 2);
    }

    #[test]
    fn a_full_pool_keeps_the_longer_buffer() {
        let mut pool = BufferPool::new(1, 100);
        for capacity in [10, 50, 20] {
            pool.release(String::with_capacity(capacity));
        }
        assert_eq!(pool.acquire().capacity(), 50);
        assert_eq!(pool.acquire().capacity(), 0);
    }
}
