//! Sound in the pieces in which it came: what is given away is kept without a copy.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::audio::buffers;

/// Bytes of a piece that is filled by copies: half a second of G.711, 85 ms of PCM at 24 kHz.
const PIECE: usize = 4096;

/// Less is copied to the others: a piece has its own cost.
const LEAST: usize = 512;

#[derive(Debug, Default)]
pub(super) struct SoundPieces {
    pieces: VecDeque<Vec<u8>>,
    /// How many bytes of the first piece are gone.
    gone: usize,
    len: usize,
    /// The piece of copies that was emptied last, for the next one.
    spare: Option<Vec<u8>>,
}

impl SoundPieces {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn push(&mut self, sound: Cow<'_, [u8]>) {
        self.len += sound.len();
        match sound {
            // Not where most of its room is empty.
            Cow::Owned(piece) if piece.len() >= LEAST.max(piece.capacity() / 2) => {
                self.pieces.push_back(piece);
            }
            sound => self.copy_in(&sound),
        }
    }

    fn copy_in(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some(last) = self.pieces.back_mut() else {
                self.begin_piece();
                continue;
            };
            let room = last.capacity() - last.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            last.extend_from_slice(now);
            bytes = later;
            if !bytes.is_empty() {
                self.begin_piece();
            }
        }
    }

    fn begin_piece(&mut self) {
        let spare = self.spare.take();
        self.pieces
            .push_back(spare.unwrap_or_else(|| Vec::with_capacity(PIECE)));
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
        while let Some(first) = self.pieces.front_mut()
            && self.gone >= first.len()
        {
            self.gone -= first.len();
            if first.capacity() == PIECE {
                first.clear();
                self.spare = self.pieces.pop_front();
            } else if let Some(empty) = self.pieces.pop_front() {
                buffers::release(empty);
            }
        }
    }

    /// Takes the first bytes out, whole pieces without a copy.
    pub fn take_front(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.len);
        let mut taken = Self {
            pieces: VecDeque::new(),
            gone: self.gone,
            len: bytes,
            spare: None,
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

impl Drop for SoundPieces {
    fn drop(&mut self) {
        for piece in self.pieces.drain(..) {
            buffers::release(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_empty_takes_no_memory() {
        let mut sound = SoundPieces::default();
        sound.push(Cow::Borrowed(&[1; 9000]));
        sound.drop_front(9000);
        assert_eq!((sound.pieces.capacity(), sound.spare.is_none()), (0, true));
    }

    #[derive(Debug, Clone)]
    enum Act {
        Give(usize),
        Copy(usize),
        Drop(usize),
        Take(usize),
    }

    fn any_act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0..9000_usize).prop_map(Act::Give),
            (0..9000_usize).prop_map(Act::Copy),
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
                    Act::Give(length) => {
                        let piece = made(length);
                        plain.extend_from_slice(&piece);
                        sound.push(Cow::Owned(piece));
                    }
                    Act::Copy(length) => {
                        let piece = made(length);
                        plain.extend_from_slice(&piece);
                        sound.push(Cow::Borrowed(&piece));
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
