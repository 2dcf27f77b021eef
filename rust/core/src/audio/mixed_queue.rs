//! One stream of sound that waits: samples, and packets of Opus that nobody decodes, in their order.

use std::collections::VecDeque;

use super::passthrough::Passed;

/// A part of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queued<T> {
    Samples(Vec<T>),
    Packet(Passed),
}

/// A queue of samples and packets. Samples may be bytes, where that is what the owner counts in.
#[derive(Debug)]
pub struct MixedQueue<T> {
    samples: VecDeque<T>,
    /// With how many samples had been queued before each.
    packets: VecDeque<(u64, Passed)>,
    /// Samples that were queued, and that were taken, since the beginning.
    queued: u64,
    taken: u64,
    /// The duration of the packets.
    ticks: u64,
}

impl<T> Default for MixedQueue<T> {
    fn default() -> Self {
        Self {
            samples: VecDeque::new(),
            packets: VecDeque::new(),
            queued: 0,
            taken: 0,
            ticks: 0,
        }
    }
}

impl<T: Copy> MixedQueue<T> {
    pub fn push(&mut self, samples: &[T]) {
        self.samples.extend(samples);
        self.queued += samples.len() as u64;
    }

    pub fn push_packet(&mut self, packet: Passed) {
        self.ticks += u64::from(packet.ticks);
        self.packets.push_back((self.queued, packet));
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.packets.is_empty()
    }

    /// How many samples wait, between packets or not.
    pub fn samples(&self) -> usize {
        self.samples.len()
    }

    /// The duration of the packets that wait, in ticks of 1/48,000 s.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    pub fn has_packets(&self) -> bool {
        !self.packets.is_empty()
    }

    /// How many samples come before the next packet.
    pub fn ahead(&self) -> usize {
        match self.packets.front() {
            Some((at, _)) => (at - self.taken) as usize,
            None => self.samples.len(),
        }
    }

    /// How many samples come after the last packet.
    pub fn behind(&self) -> usize {
        match self.packets.back() {
            Some((at, _)) => (self.queued - at) as usize,
            None => self.samples.len(),
        }
    }

    /// The next piece, where it is a packet.
    pub fn packet(&self) -> Option<&Passed> {
        let (at, packet) = self.packets.front()?;
        (*at == self.taken).then_some(packet)
    }

    pub fn take_packet(&mut self) -> Option<Passed> {
        self.packet()?;
        let (_, packet) = self.packets.pop_front()?;
        self.ticks -= u64::from(packet.ticks);
        Some(packet)
    }

    /// Takes samples, at most those that come before the next packet.
    pub fn take(&mut self, most: usize) -> Vec<T> {
        let mut taken = Vec::new();
        self.take_into(&mut taken, most);
        taken
    }

    /// The same, behind what is in `taken`.
    pub fn take_into(&mut self, taken: &mut Vec<T>, most: usize) {
        let length = most.min(self.ahead());
        taken.reserve(length);
        // Copied as two blocks: to drain the queue sample by sample takes twenty times as long.
        let (front, back) = self.samples.as_slices();
        let split = length.min(front.len());
        taken.extend_from_slice(&front[..split]);
        taken.extend_from_slice(&back[..length - split]);
        self.discard(length);
    }

    /// Drops samples, at most those that come before the next packet. Returns how many.
    pub fn discard(&mut self, most: usize) -> usize {
        let length = most.min(self.ahead());
        self.taken += length as u64;
        self.samples.drain(..length);
        length
    }

    /// Fills the samples behind the last packet up to a multiple of `frame`. Returns how many that took.
    pub fn fill(&mut self, frame: usize, with: T) -> usize {
        let behind = self.behind();
        let missing = behind.next_multiple_of(frame.max(1)) - behind;
        self.samples.resize(self.samples.len() + missing, with);
        self.queued += missing as u64;
        missing
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives memory back where more than `most` samples of it are unused.
    pub fn shrink(&mut self, most: usize) {
        if self.samples.is_empty() && self.samples.capacity() > most {
            self.samples = VecDeque::new();
        }
    }

    pub fn capacity(&self) -> usize {
        self.samples.capacity()
    }

    /// All of it, in order.
    pub fn take_all(&mut self) -> Vec<Queued<T>> {
        let mut pieces = Vec::new();
        while !self.is_empty() {
            if let Some(packet) = self.take_packet() {
                pieces.push(Queued::Packet(packet));
            } else {
                pieces.push(Queued::Samples(self.take(usize::MAX)));
            }
        }
        self.clear();
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ticks: u32) -> Passed {
        Passed {
            payload: None,
            ticks,
        }
    }

    #[test]
    fn samples_and_packets_leave_in_the_order_in_which_they_came() {
        let mut queue = MixedQueue::default();
        queue.push(&[1, 2, 3]);
        queue.push_packet(packet(960));
        queue.push_packet(packet(480));
        queue.push(&[4]);
        assert_eq!((queue.ahead(), queue.behind(), queue.samples()), (3, 1, 4));
        assert_eq!((queue.ticks(), queue.packet()), (1_440, None));
        assert_eq!(queue.take(2), [1, 2]);
        assert_eq!(queue.take(2), [3]);
        assert_eq!(queue.take_packet(), Some(packet(960)));
        assert_eq!(queue.discard(9), 0);
        assert_eq!(
            queue.take_all(),
            [Queued::Packet(packet(480)), Queued::Samples(vec![4])]
        );
        assert!(queue.is_empty() && queue.ticks() == 0);
    }

    #[test]
    fn samples_that_lie_around_the_end_of_the_storage_are_taken_in_order() {
        let mut queue = MixedQueue::default();
        let (mut pushed, mut taken) = (0_u32, Vec::new());
        for length in (1..60).chain(1..60) {
            let piece: Vec<u32> = (pushed..pushed + length).collect();
            queue.push(&piece);
            pushed += length;
            queue.take_into(&mut taken, 31);
        }
        taken.extend(queue.take(usize::MAX));
        assert!(taken.into_iter().eq(0..pushed));
        queue.push(&[1, 2, 3]);
        assert_eq!((queue.discard(2), queue.take(9)), (2, vec![3]));
    }

    #[test]
    fn the_last_samples_are_filled_up_to_whole_frames() {
        let mut queue = MixedQueue::default();
        queue.push(&[1, 2, 3]);
        assert_eq!(queue.fill(2, 0), 1);
        queue.push_packet(packet(960));
        assert_eq!(queue.fill(2, 0), 0);
        queue.push(&[4]);
        assert_eq!(queue.fill(2, 0), 1);
        assert_eq!(queue.take(9), [1, 2, 3, 0]);
        queue.take_packet();
        assert_eq!(queue.take(9), [4, 0]);
    }
}
