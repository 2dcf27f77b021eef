//! Sound in small pieces: what is kept takes as much memory as it has bytes, whatever comes and goes.

use std::collections::VecDeque;

use crate::audio::cold_copy;

/// Bytes of a piece, below a power of two by what an allocator adds.
const PIECE: usize = 2 * 1024 - 16;

/// Emptied pieces that are kept for what comes next: as many as a packet of sound fills.
const MAX_EMPTIED: usize = 4;

#[derive(Debug, Default)]
pub(super) struct SoundPieces {
    pieces: VecDeque<Vec<u8>>,
    /// To give memory back for each packet, and to ask for as much, costs more than to fill it: it is cold.
    emptied: Vec<Vec<u8>>,
    /// How many bytes of the first piece are gone.
    gone: usize,
    len: usize,
}

impl SoundPieces {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn push(&mut self, mut sound: &[u8]) {
        self.len += sound.len();
        while !sound.is_empty() {
            match self.pieces.back_mut() {
                Some(last) if last.len() < last.capacity() => {
                    let room = last.capacity() - last.len();
                    let (now, later) = sound.split_at(room.min(sound.len()));
                    cold_copy::append(last, now);
                    sound = later;
                }
                _ => {
                    let empty = self.emptied.pop();
                    let empty = empty.unwrap_or_else(|| Vec::with_capacity(PIECE));
                    self.pieces.push_back(empty);
                }
            }
        }
    }

    pub fn drop_front(&mut self, bytes: usize) {
        let bytes = bytes.min(self.len);
        if bytes == self.len {
            // What is empty takes no memory.
            *self = Self::default();
            return;
        }
        self.len -= bytes;
        self.gone += bytes;
        while let Some(first) = self.pieces.front()
            && self.gone >= first.len()
        {
            self.gone -= first.len();
            if let Some(mut piece) = self.pieces.pop_front()
                && piece.capacity() == PIECE
                && self.emptied.len() < MAX_EMPTIED
            {
                piece.clear();
                self.emptied.push(piece);
            }
        }
    }

    /// Takes the first bytes out, whole pieces without a copy.
    pub fn take_front(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.len);
        let mut taken = Self {
            pieces: VecDeque::new(),
            emptied: Vec::new(),
            gone: self.gone,
            len: bytes,
        };
        let mut left = self.gone + bytes;
        while let Some(first) = self.pieces.front()
            && left >= first.len()
        {
            left -= first.len();
            taken.pieces.extend(self.pieces.pop_front());
        }
        if let Some(first) = self.pieces.front().filter(|_| left > 0) {
            taken.pieces.push_back(first[..left].to_vec());
        }
        self.gone = left;
        self.len -= bytes;
        if self.len == 0 {
            *self = Self::default();
        }
        taken
    }

    /// A copy of the bytes between two of them.
    pub fn copy(&self, from: usize, to: usize) -> Vec<u8> {
        let to = to.min(self.len);
        let from = from.min(to);
        let mut copied = Vec::with_capacity(to - from);
        let (mut skip, mut left) = (self.gone + from, to - from);
        for piece in &self.pieces {
            if skip >= piece.len() {
                skip -= piece.len();
                continue;
            }
            let part = &piece[skip..];
            let part = &part[..part.len().min(left)];
            copied.extend_from_slice(part);
            left -= part.len();
            skip = 0;
        }
        copied
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_empty_takes_no_memory() {
        let mut sound = SoundPieces::default();
        sound.push(&[1; 9000]);
        sound.drop_front(9000);
        assert_eq!(sound.pieces.capacity() + sound.emptied.capacity(), 0);
    }

    #[test]
    fn what_is_kept_takes_its_bytes_and_little_more() {
        let mut sound = SoundPieces::default();
        for _ in 0..100 {
            sound.drop_front((sound.len() + 4800).saturating_sub(48_000));
            sound.push(&[1; 4800]);
        }
        let all = sound.pieces.iter().chain(&sound.emptied);
        let taken: usize = all.map(Vec::capacity).sum();
        assert_eq!(sound.len(), 48_000);
        assert!(taken < 48_000 + 2 * PIECE, "{taken} bytes");
    }

    #[derive(Debug, Clone)]
    enum Act {
        Push(usize),
        Drop(usize),
        Take(usize),
    }

    fn any_act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0..9000_usize).prop_map(Act::Push),
            (0..9000_usize).prop_map(Act::Drop),
            (0..9000_usize).prop_map(Act::Take),
        ]
    }

    proptest! {
        #[test]
        fn pieces_are_one_stream(acts in prop::collection::vec(any_act(), 0..40)) {
            let (mut sound, mut plain) = (SoundPieces::default(), Vec::new());
            let mut next = 0_u8;
            let mut made = |length: usize| -> Vec<u8> {
                (0..length).map(|_| { next = next.wrapping_add(1); next }).collect()
            };
            for act in acts {
                match act {
                    Act::Push(length) => {
                        let piece = made(length);
                        plain.extend_from_slice(&piece);
                        sound.push(&piece);
                    }
                    Act::Drop(length) => {
                        plain.drain(..length.min(plain.len()));
                        sound.drop_front(length);
                    }
                    Act::Take(length) => {
                        let expected: Vec<u8> = plain.drain(..length.min(plain.len())).collect();
                        let taken = sound.take_front(length);
                        prop_assert_eq!(taken.copy(0, taken.len()), expected);
                    }
                }
                prop_assert_eq!(sound.len(), plain.len());
                prop_assert_eq!(&sound.copy(0, sound.len()), &plain);
                let third = plain.len() / 3;
                prop_assert_eq!(sound.copy(third, 2 * third), plain[third..2 * third].to_vec());
            }
        }
    }
}
