//! Buffers of sound that are used again on the thread where they became free: a chunk is short, and an
//! allocator takes its time with many of them.

use std::cell::RefCell;

use crate::buffer_pool::BufferPool;

/// A second of sound, in chunks of 20 ms.
const MOST: usize = 50;

/// A longer buffer is not kept: 100 ms of PCM at 24 kHz.
const LONGEST: usize = 4800;

thread_local! {
    static FREE: RefCell<BufferPool<Vec<u8>>> = const { RefCell::new(BufferPool::new(MOST, LONGEST)) };
}

/// An empty buffer, one that was used where there is one.
pub fn acquire() -> Vec<u8> {
    FREE.with_borrow_mut(BufferPool::acquire)
}

/// Takes a buffer back.
pub fn release(buffer: Vec<u8>) {
    FREE.with_borrow_mut(|free| free.release(buffer));
}
