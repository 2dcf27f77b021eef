//! The queue of one reader whose events are objects of another language: it knows of each what the drop
//! policy must know, and nothing more.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::message::{DropPolicy, Dropped, Message};
use super::queue::{PastBound, Queue, QueueSettings};

/// What the drop policy must know of an event. Its ids and texts are objects as the event is one: `H` refers
/// to an object, and is equal to another where the objects are.
#[derive(Debug)]
pub enum Facts<H> {
    Keep,
    Version,
    Audio { response_id: H, size: usize },
    Interruption { response_id: H },
    Raw { size: usize },
    Delta(Box<Delta<H>>),
}

/// A piece of text: what says which text it belongs to, and earlier pieces that go before its own.
#[derive(Debug)]
pub struct Delta<H> {
    part: [H; 4],
    text: H,
    size: usize,
    earlier: Vec<H>,
}

impl<H> Facts<H> {
    pub fn delta(part: [H; 4], text: H, size: usize) -> Self {
        Self::Delta(Box::new(Delta {
            part,
            text,
            size,
            earlier: Vec::new(),
        }))
    }

    /// The pieces of text in their order, where others were merged into this one.
    pub fn texts(&self) -> Vec<&H> {
        match self {
            Self::Delta(delta) if !delta.earlier.is_empty() => {
                delta.earlier.iter().chain([&delta.text]).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What a queue holds.
#[derive(Debug)]
pub enum Entry<H> {
    Event { event: H, facts: Facts<H> },
    Lagging(Dropped),
    TooSlow,
}

impl<H> Entry<H> {
    fn facts(&self) -> &Facts<H> {
        match self {
            Self::Event { facts, .. } => facts,
            Self::Lagging(_) | Self::TooSlow => &Facts::Keep,
        }
    }
}

impl<H: PartialEq> Message for Entry<H> {
    fn policy(&self) -> DropPolicy {
        match self.facts() {
            Facts::Keep => DropPolicy::Keep,
            Facts::Version => DropPolicy::Version,
            Facts::Audio { .. } => DropPolicy::Audio,
            Facts::Interruption { .. } => DropPolicy::Interruption,
            Facts::Raw { .. } => DropPolicy::Raw,
            Facts::Delta(_) => DropPolicy::Delta,
        }
    }

    fn size(&self) -> usize {
        match self.facts() {
            Facts::Audio { size, .. } | Facts::Raw { size } => *size,
            Facts::Delta(delta) => delta.size,
            _ => 0,
        }
    }

    /// A reader gets each version as an event: nothing looks at the last one behind its back.
    fn observes_version(&self) -> bool {
        false
    }

    fn purges(&self, audio: &Self) -> bool {
        matches!((self.facts(), audio.facts()), (
            Facts::Interruption { response_id },
            Facts::Audio { response_id: of, .. },
        ) if response_id == of)
    }

    fn continues(&self, earlier: &Self) -> bool {
        matches!((self.facts(), earlier.facts()), (Facts::Delta(later), Facts::Delta(earlier))
            if later.part == earlier.part)
    }

    fn prepend(&mut self, earlier: Self) {
        if let (
            Self::Event {
                facts: Facts::Delta(later),
                ..
            },
            Self::Event {
                facts: Facts::Delta(mut earlier),
                ..
            },
        ) = (self, earlier)
        {
            later.size += earlier.size;
            earlier.earlier.push(earlier.text);
            earlier.earlier.append(&mut later.earlier);
            later.earlier = earlier.earlier;
        }
    }

    fn lagging(dropped: Dropped) -> Self {
        Self::Lagging(dropped)
    }

    fn too_slow(_: usize) -> Self {
        Self::TooSlow
    }
}

#[derive(Debug)]
struct State<H> {
    queue: Queue<Entry<H>>,
    overflown: usize,
}

/// The events that one reader has not read yet.
///
/// To drop an event may run users' code, which may come back to the queue: none is dropped under its lock
/// but what the policy drops, of which nobody but the queue decides.
#[derive(Debug)]
pub struct ReaderQueue<H>(Mutex<State<H>>);

impl<H: PartialEq> ReaderQueue<H> {
    pub fn new(max_messages: usize, max_bytes: usize, past_bound: PastBound, tells: bool) -> Self {
        let settings = QueueSettings {
            max_messages,
            max_bytes,
            past_bound,
            tells,
        };
        Self(Mutex::new(State {
            queue: Queue::new(settings),
            overflown: 0,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State<H>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many events there are to be read.
    pub fn len(&self) -> usize {
        self.state().queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events were waiting when there were too many; 0 before.
    pub fn overflown(&self) -> usize {
        self.state().overflown
    }

    /// What was lost before it came here counts as lost here.
    pub fn add_dropped(&self, dropped: Dropped) {
        self.state().queue.add_dropped(dropped);
    }

    /// Adds an event. Returns [`Self::overflown`].
    pub fn put(&self, event: H, facts: Facts<H>) -> usize {
        let mut evicted = Vec::new();
        let mut state = self.state();
        let entry = Entry::Event { event, facts };
        let has_room = state
            .queue
            .push_evicting(0, entry, |entry| evicted.push(entry));
        if !has_room && state.overflown == 0 {
            state.overflown = evicted.len();
        }
        let overflown = state.overflown;
        drop(state);
        drop(evicted);
        overflown
    }

    /// The oldest event. [`Entry::TooSlow`] stands for those that were given up.
    pub fn pop(&self) -> Option<Entry<H>> {
        self.state().queue.pop().map(|(_, entry)| entry)
    }

    /// What `map` makes of the events that wait, oldest first.
    pub fn waiting<T>(&self, mut map: impl FnMut(&H, &Facts<H>) -> T) -> Vec<T> {
        let state = self.state();
        let entries = state.queue.iter().filter_map(|entry| match entry {
            Entry::Event { event, facts } => Some(map(event, facts)),
            Entry::Lagging(_) | Entry::TooSlow => None,
        });
        entries.collect()
    }

    /// Shows the events that wait to a collector of garbage, which must not wait: a queue that is in use is
    /// no garbage.
    pub fn traverse<E>(&self, mut visit: impl FnMut(&H) -> Result<(), E>) -> Result<(), E> {
        let state = match self.0.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        state.queue.iter().try_for_each(|entry| match entry {
            Entry::Event { event, .. } => visit(event),
            Entry::Lagging(_) | Entry::TooSlow => Ok(()),
        })
    }

    pub fn clear(&self) {
        let messages = self.state().queue.take();
        drop(messages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(max_messages: usize, past_bound: PastBound) -> ReaderQueue<&'static str> {
        ReaderQueue::new(max_messages, 1_000, past_bound, true)
    }

    fn delta(item: &'static str, text: &'static str) -> Facts<&'static str> {
        Facts::delta(["assistant", item, "0", "response"], text, text.len())
    }

    fn audio(response_id: &'static str) -> Facts<&'static str> {
        let size = 10;
        Facts::Audio { response_id, size }
    }

    fn events(queue: &ReaderQueue<&'static str>) -> Vec<&'static str> {
        queue.waiting(|event, _| *event)
    }

    #[test]
    fn merged_pieces_keep_their_order_and_count_once() {
        let queue = queue(2, PastBound::GiveUp);
        for (event, text) in [("1", "one "), ("2", "two "), ("3", "three")] {
            assert_eq!(queue.put(event, delta("a", text)), 0);
        }
        queue.put("4", delta("a", "four"));
        let texts =
            queue.waiting(|_, facts| -> Vec<_> { facts.texts().into_iter().copied().collect() });
        assert_eq!(texts, [vec!["one ", "two ", "three"], vec![]]);
        assert_eq!(events(&queue), ["3", "4"]);
        assert_eq!(queue.len(), 2, "nothing was lost");
    }

    #[test]
    fn pieces_of_other_texts_are_not_merged() {
        let queue = queue(2, PastBound::GiveUp);
        queue.put("1", delta("a", "one"));
        queue.put("2", delta("b", "two"));
        queue.put("3", Facts::Keep);
        let lagging = queue.pop();
        assert!(matches!(
            lagging,
            Some(Entry::Lagging(Dropped { deltas: 1, .. }))
        ));
        assert_eq!(events(&queue), ["2", "3"]);
    }

    #[test]
    fn an_interruption_purges_the_audio_of_its_response() {
        let queue = queue(10, PastBound::GiveUp);
        queue.put("audio a", audio("a"));
        queue.put("audio b", audio("b"));
        let response_id = "a";
        queue.put("interrupted", Facts::Interruption { response_id });
        assert_eq!(events(&queue), ["audio b", "interrupted"]);
    }

    #[test]
    fn a_reader_that_is_too_slow_loses_all_and_is_told_once() {
        let queue = queue(2, PastBound::GiveUp);
        let mut overflown = 0;
        for event in ["1", "2", "3", "4"] {
            overflown = queue.put(event, Facts::Keep);
        }
        assert_eq!((overflown, queue.overflown()), (3, 3));
        assert!(matches!(queue.pop(), Some(Entry::TooSlow)));
        assert!(queue.pop().is_none() && queue.is_empty());
    }

    #[test]
    fn what_was_lost_before_is_told_here() {
        let queue = queue(2, PastBound::DropOldest);
        queue.add_dropped(Dropped {
            audio: 4,
            ..Dropped::default()
        });
        let lagging = queue.pop();
        assert!(matches!(
            lagging,
            Some(Entry::Lagging(Dropped { audio: 4, .. }))
        ));
    }

    #[test]
    fn a_collector_sees_what_waits_and_passes_by_what_is_in_use() {
        let queue = queue(3, PastBound::GiveUp);
        queue.put("1", Facts::Keep);
        let visit = |seen: &mut Vec<&'static str>| {
            queue.traverse(|event| {
                seen.push(event);
                Ok::<_, ()>(())
            })
        };
        let mut seen = Vec::new();
        assert_eq!(visit(&mut seen), Ok(()));
        assert_eq!(seen, ["1"]);
        let in_use = queue.state();
        assert_eq!(visit(&mut seen), Ok(()));
        drop(in_use);
        queue.clear();
        assert_eq!(seen.len(), 1);
        assert!(queue.is_empty());
    }
}
