//! A bounded queue of messages: what waits for one reader, and which of it is dropped when the reader lags.

use std::collections::VecDeque;

use super::message::{DropPolicy, Dropped, Message};

/// How far ahead of a delta its next piece is looked for: a slow reader must not cost much.
const MERGE_DISTANCE: usize = 16;

/// What a queue does when it is full of messages that must not be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastBound {
    /// It holds them, tells the writer, and tells the reader once by [`Message::too_slow`].
    Report,
    /// It drops the oldest all the same.
    DropOldest,
    /// It gives up all that it holds, for [`Message::too_slow`], and takes nothing more.
    GiveUp,
}

/// Bounds of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSettings {
    pub max_messages: usize,
    pub max_bytes: usize,
    pub past_bound: PastBound,
    /// Whether [`Message::lagging`] tells the reader what was dropped.
    pub tells: bool,
}

/// Messages with their sequence numbers.
pub type Messages<M> = VecDeque<(u64, M)>;

/// What waits for one reader.
///
/// Where the reader lags, messages go by their [`DropPolicy`], oldest first. The order of those that are
/// left stays. What was dropped is counted, and told before the next message that is read.
#[derive(Debug)]
pub struct Queue<M> {
    messages: Messages<M>,
    bytes: usize,
    dropped: Dropped,
    settings: QueueSettings,
    is_past_bound: bool,
}

impl<M: Message> Queue<M> {
    pub fn new(settings: QueueSettings) -> Self {
        Self {
            messages: Messages::new(),
            bytes: 0,
            dropped: Dropped::default(),
            settings,
            is_past_bound: false,
        }
    }

    /// How many messages there are to be read.
    pub fn len(&self) -> usize {
        self.messages.len() + usize::from(self.has_lagged())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The messages that wait, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &M> {
        self.messages.iter().map(|(_, message)| message)
    }

    /// Whether the queue allocates storage with its next message.
    pub fn is_without_storage(&self) -> bool {
        self.messages.capacity() == 0
    }

    /// Gives an empty queue storage that has been used before.
    pub fn adopt(&mut self, storage: Messages<M>) {
        debug_assert!(self.messages.is_empty() && storage.is_empty());
        self.messages = storage;
    }

    /// Adds a message; false where more waits than may, and none of it may be dropped.
    pub fn push(&mut self, sequence: u64, message: M) -> bool {
        self.push_evicting(sequence, message, drop)
    }

    /// Adds a message. `evict` gets the messages that are lost although their policy is to keep them: to
    /// drop those may run users' code, which must not happen under a lock.
    pub fn push_evicting(&mut self, sequence: u64, message: M, mut evict: impl FnMut(M)) -> bool {
        if self.is_past_bound && self.settings.past_bound == PastBound::GiveUp {
            evict(message);
            return false;
        }
        if message.policy() == DropPolicy::Interruption {
            self.purge(&message);
        }
        self.bytes += message.size();
        self.messages.push_back((sequence, message));
        while self.exceeds_bounds() && self.drop_one() {}
        if self.settings.past_bound == PastBound::DropOldest {
            while self.exceeds_bounds()
                && let Some((_, oldest)) = self.remove(0)
            {
                evict(oldest);
            }
        }
        // Bytes are bounded by what may be dropped; the rest is bounded by its number.
        let waiting = self.messages.len();
        let has_room = waiting <= self.settings.max_messages;
        if !has_room && !self.is_past_bound {
            self.is_past_bound = true;
            if self.settings.past_bound == PastBound::GiveUp {
                self.messages
                    .drain(..)
                    .for_each(|(_, message)| evict(message));
                self.bytes = 0;
                self.dropped = Dropped::default();
            }
            self.messages.push_back((sequence, M::too_slow(waiting)));
        }
        has_room
    }

    /// Counts messages as dropped that were lost on their way to this queue.
    pub fn add_dropped(&mut self, dropped: Dropped) {
        self.dropped.audio += dropped.audio;
        self.dropped.raw += dropped.raw;
        self.dropped.deltas += dropped.deltas;
    }

    /// Drops the version that the next one makes superfluous, for a reader that wants the last one alone.
    pub fn drop_superseded(&mut self) {
        let observed = self
            .messages
            .iter()
            .rposition(|(_, m)| m.observes_version());
        let since = observed.map_or(0, |at| at + 1);
        let version = self.messages.iter().skip(since).position(is_version);
        if let Some(at) = version {
            self.remove(since + at);
        }
    }

    /// The oldest message.
    pub fn pop(&mut self) -> Option<(u64, M)> {
        let lagging = self.take_lagging();
        lagging.or_else(|| self.remove(0))
    }

    /// All messages, with the storage of the queue: a queue that is empty costs little.
    pub fn take(&mut self) -> Messages<M> {
        let lagging = self.take_lagging();
        let mut messages = std::mem::take(&mut self.messages);
        self.bytes = 0;
        self.is_past_bound = false;
        if let Some(lagging) = lagging {
            messages.push_front(lagging);
        }
        messages
    }

    /// The oldest messages, at most about `limit`; the others stay.
    pub fn take_front(&mut self, limit: usize) -> Messages<M> {
        if self.messages.len() <= limit {
            return self.take();
        }
        let lagging = self.take_lagging();
        let mut messages: Messages<M> = self.messages.drain(..limit).collect();
        self.bytes -= messages
            .iter()
            .map(|(_, message)| message.size())
            .sum::<usize>();
        self.is_past_bound = false;
        if let Some(lagging) = lagging {
            messages.push_front(lagging);
        }
        messages
    }

    fn has_lagged(&self) -> bool {
        self.settings.tells && !self.dropped.is_empty()
    }

    fn take_lagging(&mut self) -> Option<(u64, M)> {
        self.has_lagged().then(|| {
            let sequence = self.messages.front().map_or(0, |(sequence, _)| *sequence);
            (sequence, M::lagging(std::mem::take(&mut self.dropped)))
        })
    }

    fn exceeds_bounds(&self) -> bool {
        self.messages.len() > self.settings.max_messages || self.bytes > self.settings.max_bytes
    }

    fn remove(&mut self, at: usize) -> Option<(u64, M)> {
        let removed = self.messages.remove(at)?;
        self.bytes -= removed.1.size();
        Some(removed)
    }

    /// No audio of an interrupted response is played any more.
    fn purge(&mut self, interruption: &M) {
        let mut purged = 0;
        self.messages.retain(|(_, message)| {
            let goes = message.policy() == DropPolicy::Audio && interruption.purges(message);
            purged += if goes { message.size() } else { 0 };
            !goes
        });
        self.bytes -= purged;
    }

    /// Makes room; false where nothing may be dropped.
    fn drop_one(&mut self) -> bool {
        let Some((at, next_piece)) = self.droppable() else {
            return false;
        };
        let Some((_, message)) = self.remove(at) else {
            return false;
        };
        match message.policy() {
            DropPolicy::Audio => self.dropped.audio += 1,
            DropPolicy::Raw => self.dropped.raw += 1,
            DropPolicy::Delta => {
                // What stood behind the removed message has moved up by one.
                let later = next_piece.and_then(|later| self.messages.get_mut(later - 1));
                match later {
                    Some((_, later)) => {
                        let before = later.size();
                        later.prepend(message);
                        self.bytes += later.size() - before;
                    }
                    None => self.dropped.deltas += 1,
                }
            }
            _ => {}
        }
        true
    }

    /// The message that goes next, and where its text goes if it is a delta that need not be lost.
    fn droppable(&self) -> Option<(usize, Option<usize>)> {
        let mut lone_delta = None;
        for (at, (_, message)) in self.messages.iter().enumerate() {
            match message.policy() {
                DropPolicy::Audio | DropPolicy::Raw => return Some((at, None)),
                DropPolicy::Delta => match self.next_piece(at) {
                    Some(later) => return Some((at, Some(later))),
                    None => lone_delta = lone_delta.or(Some((at, None))),
                },
                DropPolicy::Version if self.is_superseded(at) => return Some((at, None)),
                _ => {}
            }
        }
        lone_delta
    }

    fn next_piece(&self, at: usize) -> Option<usize> {
        let (_, delta) = &self.messages[at];
        let end = self.messages.len().min(at + 1 + MERGE_DISTANCE);
        (at + 1..end).find(|later| self.messages[*later].1.continues(delta))
    }

    /// Whether a later version comes before anything that would observe this one.
    fn is_superseded(&self, at: usize) -> bool {
        let later = self.messages.iter().skip(at + 1);
        later
            .take_while(|(_, message)| !message.observes_version())
            .any(is_version)
    }
}

fn is_version<M: Message>((_, message): &(u64, M)) -> bool {
    message.policy() == DropPolicy::Version
}

#[cfg(test)]
mod tests;
