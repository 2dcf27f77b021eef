//! What waits to be said of a session, within its bounds.

use std::collections::VecDeque;
use std::sync::Arc;

use stapes_core::conversation::Event;
use stapes_core::session::Streamed;
use stapes_core::transport::websocket::ConnectError;

use crate::dispatch::DispatchCursor;

/// What a session says to its Python half.
#[derive(Debug)]
pub enum Word {
    Event(Event),
    /// `connect` has succeeded.
    Opened {
        connection_id: u64,
    },
    /// `connect` has failed.
    NotOpened {
        connection_id: u64,
        error: Box<ConnectError>,
    },
    /// It was closed while it was connecting.
    Abandoned {
        connection_id: u64,
    },
    /// There is room again for what waits to be sent.
    Drained,
    /// A connection that Python carries has something to send.
    OutgoingReady,
    /// A long sound has been sent, or is no longer sent.
    Streamed {
        token: u64,
        streamed: Streamed,
    },
    /// These were dropped, oldest first, because the loop did not come to read them.
    Lagging(Dropped),
    /// The bound on what must not be dropped was reached.
    TooSlow {
        waiting: usize,
    },
}

/// How many events of each kind were dropped.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    pub audio: u64,
    pub raw: u64,
    pub transcripts: u64,
}

/// Bounds on what may wait for the loop.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Events of a session.
    pub events: usize,
    /// Bytes of audio and raw events of a session.
    pub bytes: usize,
}

/// Words with their places in a session's order.
pub type Words = VecDeque<(u64, Word)>;

/// What waits to be said of one session.
#[derive(Debug)]
pub struct SessionQueue {
    words: Words,
    bytes: usize,
    dropped: Dropped,
    limits: QueueLimits,
    cursor: Arc<DispatchCursor>,
    /// It is in the list of those that have something to say.
    pub listed: bool,
    too_slow: bool,
}

/// How far words look for later ones that they may go into: whoever is slow must not cost much.
const NEAR: usize = 16;

fn weight(word: &Word) -> usize {
    match word {
        Word::Event(Event::Audio { data, .. }) => data.len(),
        Word::Event(Event::Raw { text } | Event::OutgoingMessage { text }) => text.len(),
        Word::Event(Event::TranscriptDelta { delta, .. }) => delta.len(),
        _ => 0,
    }
}

/// Whether no code of the user's looks at the history when it comes.
fn is_silent((_, word): &(u64, Word)) -> bool {
    matches!(
        word,
        Word::Event(
            Event::HistoryUpdated { .. } | Event::Audio { .. } | Event::TranscriptDelta { .. }
        )
    )
}

fn is_history((_, word): &(u64, Word)) -> bool {
    matches!(word, Word::Event(Event::HistoryUpdated { .. }))
}

impl SessionQueue {
    pub fn new(limits: QueueLimits, cursor: Arc<DispatchCursor>) -> Self {
        Self {
            words: VecDeque::new(),
            bytes: 0,
            dropped: Dropped::default(),
            limits,
            cursor,
            listed: false,
            too_slow: false,
        }
    }

    /// Takes room for words, if it has none.
    pub fn furnish(&mut self, spares: &mut Vec<Words>) {
        if self.words.capacity() == 0
            && let Some(spare) = spares.pop()
        {
            self.words = spare;
        }
    }

    /// False where more waits than may, and none of it may be dropped.
    pub fn push(&mut self, sequence: u64, word: Word) -> bool {
        match &word {
            Word::Event(Event::AudioInterrupted { response_id, .. }) => {
                self.purge_audio(response_id);
            }
            // Nobody looks at versions in between: the last one says it all. What may run users' code
            // shows that code the version of its own sequence number, so nothing is taken away across it.
            Word::Event(Event::HistoryUpdated { .. }) if !self.cursor.wants_history() => {
                let since = self
                    .words
                    .iter()
                    .rposition(|word| !is_silent(word))
                    .map_or(0, |at| at + 1);
                if let Some(at) = self.words.iter().skip(since).position(is_history) {
                    self.words.remove(since + at);
                }
            }
            _ => {}
        }
        self.bytes += weight(&word);
        self.words.push_back((sequence, word));
        while self.bytes > self.limits.bytes || self.words.len() > self.limits.events {
            if !self.drop_oldest() {
                break;
            }
        }
        let has_room = self.words.len() <= self.limits.events;
        if !has_room && !self.too_slow {
            self.too_slow = true;
            self.words.push_back((
                sequence,
                Word::TooSlow {
                    waiting: self.words.len(),
                },
            ));
        }
        has_room
    }

    /// Takes all of it, to be dispatched.
    pub fn take(&mut self) -> Words {
        self.listed = false;
        self.too_slow = false;
        self.bytes = 0;
        // With its room: what waits for its turn costs nothing while nothing does.
        let mut words = std::mem::take(&mut self.words);
        let dropped = std::mem::take(&mut self.dropped);
        if dropped != Dropped::default() {
            let sequence = words.front().map_or(0, |(sequence, _)| *sequence);
            words.push_front((sequence, Word::Lagging(dropped)));
        }
        words
    }

    /// No sound of an interrupted answer is to be heard any more.
    fn purge_audio(&mut self, of: &str) {
        let mut purged = 0;
        self.words.retain(|(_, word)| match word {
            Word::Event(Event::Audio {
                response_id, data, ..
            }) if **response_id == *of => {
                purged += data.len();
                false
            }
            _ => true,
        });
        self.bytes -= purged;
    }

    /// Makes room: sound and raw events go, words go into the next words of their part, and of
    /// versions of the history that come one after the other the last stays. Words that nothing takes
    /// up go last.
    fn drop_oldest(&mut self) -> bool {
        let alone =
            |(_, word): &(u64, Word)| matches!(word, Word::Event(Event::TranscriptDelta { .. }));
        let Some(at) = (0..self.words.len())
            .find(|at| self.is_droppable(*at))
            .or_else(|| self.words.iter().position(alone))
        else {
            return false;
        };
        let later = self.taken_up_by(at);
        if let Some((_, word)) = self.words.remove(at) {
            self.bytes -= weight(&word);
            match word {
                Word::Event(Event::Audio { .. }) => self.dropped.audio += 1,
                Word::Event(Event::Raw { .. }) => self.dropped.raw += 1,
                Word::Event(earlier @ Event::TranscriptDelta { .. }) => {
                    let later = later.and_then(|later| self.words.get_mut(later - 1));
                    let taken_up = match later {
                        Some((_, Word::Event(later))) => later.take_up(&earlier),
                        _ => None,
                    };
                    match taken_up {
                        Some(bytes) => self.bytes += bytes,
                        None => self.dropped.transcripts += 1,
                    }
                }
                _ => {}
            }
        }
        true
    }

    fn is_droppable(&self, at: usize) -> bool {
        match &self.words[at].1 {
            Word::Event(Event::Audio { .. } | Event::Raw { .. }) => true,
            Word::Event(Event::TranscriptDelta { .. }) => self.taken_up_by(at).is_some(),
            Word::Event(Event::HistoryUpdated { .. }) => {
                let after = self.words.iter().skip(at + 1);
                after.take_while(|word| is_silent(word)).any(is_history)
            }
            _ => false,
        }
    }

    /// Where the words at `at` may go: the next words of their part, if those are near.
    fn taken_up_by(&self, at: usize) -> Option<usize> {
        let Word::Event(earlier) = &self.words[at].1 else {
            return None;
        };
        let near = (at + 1)..self.words.len().min(at + 1 + NEAR);
        near.into_iter().find(
            |later| matches!(&self.words[*later].1, Word::Event(later) if later.continues(earlier)),
        )
    }
}
