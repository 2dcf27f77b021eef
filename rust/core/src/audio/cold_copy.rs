//! Copies of what is read much later, or never: they are written past the caches, which keep what is
//! needed now, and are not waited for.

/// Less is copied as usual.
#[cfg(target_arch = "x86_64")]
const LEAST: usize = 256;

/// Bytes of a line of the cache.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Appends bytes to a buffer.
#[cfg(target_arch = "x86_64")]
pub fn append(buffer: &mut Vec<u8>, bytes: &[u8]) {
    use std::arch::x86_64::{_mm_loadu_si128, _mm_sfence, _mm_stream_si128};

    if bytes.len() < LEAST {
        buffer.extend_from_slice(bytes);
        return;
    }
    buffer.reserve(bytes.len());
    // Whole lines alone: what is around them is shared with others.
    let to_line = buffer.spare_capacity_mut().as_ptr().align_offset(LINE);
    let (head, rest) = bytes.split_at(to_line.min(bytes.len()));
    buffer.extend_from_slice(head);
    let lines = rest.chunks_exact(LINE);
    let tail = lines.remainder();
    let start = buffer.len();
    // SAFETY: SSE2 is part of every x86-64. The room for all of `bytes` was reserved, and `head` ends
    // at a line, so that each store is aligned and within the room. The fence puts the stores before
    // all that follows, such as the unlocking of a mutex.
    unsafe {
        let mut line_start = buffer.as_mut_ptr().add(start);
        for line in lines {
            for at in (0..LINE).step_by(16) {
                let part = _mm_loadu_si128(line.as_ptr().add(at).cast());
                _mm_stream_si128(line_start.add(at).cast(), part);
            }
            line_start = line_start.add(LINE);
        }
        _mm_sfence();
        buffer.set_len(start + rest.len() - tail.len());
    }
    buffer.extend_from_slice(tail);
}

/// Appends bytes to a buffer.
#[cfg(not(target_arch = "x86_64"))]
pub fn append(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_appended_is_what_was_given(
            before in prop::collection::vec(any::<u8>(), 0..200),
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..4),
            skipped in 0..64_usize,
        ) {
            let mut expected = before.clone();
            let mut buffer = before;
            for chunk in chunks {
                let part = &chunk[skipped.min(chunk.len())..];
                append(&mut buffer, part);
                expected.extend_from_slice(part);
            }
            prop_assert_eq!(buffer, expected);
        }
    }
}
