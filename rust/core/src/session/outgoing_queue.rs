//! The messages of a connection that wait to be sent.

use std::collections::VecDeque;

use super::outgoing::OutgoingLimits;
use crate::conversation::{ClientEvent, Rejected};
use crate::transport::Outgoing;

/// A message that waits to be sent.
#[derive(Debug)]
struct Queued {
    message: Outgoing,
    /// It may be dropped where the server does not read.
    is_audio: bool,
}

/// Why a message is not queued.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unqueued {
    /// It is too long to be sent, or to wait now; others may be sent.
    TooLong(Rejected),
    /// So much waits that the server does not read: how much.
    Stuck(usize),
}

/// Bounded by `max_bytes` and one message that is longer than that by itself, such as a picture: it
/// says nothing of whether the server reads.
#[derive(Debug)]
pub(super) struct OutgoingQueue {
    limits: OutgoingLimits,
    /// The longest message that the server takes, in bytes.
    max_message: usize,
    waiting: VecDeque<Queued>,
    /// Of all messages that are not flushed.
    bytes: usize,
    /// Of the one among them that is longer than the limit.
    long: usize,
    /// Messages that the driver has taken and not flushed yet.
    taken: usize,
    congested: bool,
}

fn size(message: &Outgoing) -> usize {
    match message {
        Outgoing::Text(text) => text.len(),
        Outgoing::Binary(bytes) => bytes.len(),
        Outgoing::Close { .. } => 0,
    }
}

impl OutgoingQueue {
    pub fn new(limits: OutgoingLimits) -> Self {
        Self {
            limits,
            max_message: usize::MAX,
            waiting: VecDeque::new(),
            bytes: 0,
            long: 0,
            taken: 0,
            congested: false,
        }
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn is_long(&self, bytes: usize) -> bool {
        bytes > self.limits.max_bytes
    }

    #[cfg(feature = "webrtc")]
    pub fn limit_messages(&mut self, bytes: usize) {
        self.max_message = bytes;
    }

    /// Whether a message of this length may be queued.
    pub fn room_for(&self, bytes: usize) -> Result<(), Rejected> {
        if bytes > self.max_message {
            let limit = self.max_message;
            return Err(Rejected::TooLongForServer { bytes, limit });
        }
        if self.is_long(bytes) && self.long > 0 {
            let limit = self.limits.max_bytes;
            return Err(Rejected::TooLong { bytes, limit });
        }
        Ok(())
    }

    /// Queues a message; the number of messages with audio that were dropped for it.
    pub fn push(&mut self, event: ClientEvent) -> Result<u64, Unqueued> {
        let bytes = event.len();
        self.room_for(bytes).map_err(Unqueued::TooLong)?;
        if self.is_long(bytes) {
            self.long = bytes;
        }
        self.bytes += bytes;
        self.waiting.push_back(Queued {
            message: match event.frame {
                Some(frame) => Outgoing::Binary(frame),
                None => Outgoing::Text(event.text),
            },
            is_audio: event.is_audio,
        });
        self.congested |= self.bytes > self.limits.high_water;
        let mut dropped = 0;
        while self.is_long(self.bytes - self.long) {
            let Some(at) = self.waiting.iter().position(|queued| queued.is_audio) else {
                return Err(Unqueued::Stuck(self.bytes));
            };
            if let Some(audio) = self.waiting.remove(at) {
                let bytes = size(&audio.message);
                self.bytes -= bytes;
                if self.is_long(bytes) {
                    self.long = 0;
                }
                dropped += 1;
            }
        }
        Ok(dropped)
    }

    pub fn push_close(&mut self, code: u16, reason: String) {
        self.waiting.push_back(Queued {
            message: Outgoing::Close { code, reason },
            is_audio: false,
        });
    }

    /// Drops all that waits.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
        self.long = 0;
    }

    /// Moves messages into `batch`, up to about `max_bytes`.
    pub fn take(&mut self, batch: &mut Vec<Outgoing>, max_bytes: usize) {
        let mut taken = 0;
        while let Some(next) = self.waiting.front() {
            if taken > 0 && taken + size(&next.message) > max_bytes {
                break;
            }
            taken += size(&next.message).max(1);
            if let Some(Queued { message, .. }) = self.waiting.pop_front() {
                self.taken += usize::from(!matches!(message, Outgoing::Close { .. }));
                batch.push(message);
            }
        }
    }

    /// All that was taken has been sent: how many messages that were, and whether senders that were
    /// to wait may go on.
    pub fn flushed(&mut self) -> (u64, bool) {
        let flushed = std::mem::take(&mut self.taken) as u64;
        let sizes = || self.waiting.iter().map(|queued| size(&queued.message));
        self.bytes = sizes().sum();
        if self.long > 0 {
            self.long = sizes().find(|bytes| self.is_long(*bytes)).unwrap_or(0);
        }
        let drained = self.congested && self.bytes <= self.limits.high_water;
        self.congested &= !drained;
        (flushed, drained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> OutgoingQueue {
        OutgoingQueue::new(OutgoingLimits {
            high_water: 50,
            max_bytes: 100,
        })
    }

    fn message(bytes: usize) -> ClientEvent {
        "m".repeat(bytes).into()
    }

    fn audio(bytes: usize) -> ClientEvent {
        ClientEvent {
            is_audio: true,
            ..message(bytes)
        }
    }

    #[test]
    fn one_long_message_waits_besides_the_bound_and_leaves_it_to_the_others() {
        let mut queue = queue();
        assert_eq!(queue.push(audio(60)), Ok(0));
        assert_eq!(queue.push(message(500)), Ok(0));
        assert_eq!(queue.push(audio(40)), Ok(0));
        assert_eq!(queue.push(audio(40)), Ok(1));
        assert_eq!(queue.push(message(60)), Ok(1));
        assert_eq!(queue.bytes(), 500 + 40 + 60);
        assert_eq!(queue.push(message(40)), Ok(1));
        assert_eq!(queue.push(message(1)), Err(Unqueued::Stuck(601)));
    }

    #[cfg(feature = "webrtc")]
    #[test]
    fn what_the_server_does_not_take_is_refused_and_leaves_the_rest() {
        let mut queue = queue();
        queue.limit_messages(80);
        let refused = Rejected::TooLongForServer {
            bytes: 81,
            limit: 80,
        };
        assert_eq!(queue.room_for(81), Err(refused.clone()));
        assert_eq!(queue.push(message(81)), Err(Unqueued::TooLong(refused)));
        assert_eq!(queue.push(message(80)), Ok(0));
        assert_eq!(queue.bytes(), 80);
    }

    #[test]
    fn a_second_long_message_is_refused_until_the_first_is_sent() {
        let mut queue = queue();
        assert_eq!(queue.push(message(500)), Ok(0));
        let refused = Rejected::TooLong {
            bytes: 400,
            limit: 100,
        };
        assert_eq!(queue.room_for(400), Err(refused.clone()));
        assert_eq!(queue.push(message(400)), Err(Unqueued::TooLong(refused)));
        assert_eq!(queue.push(message(30)), Ok(0));
        let mut batch = Vec::new();
        queue.take(&mut batch, 10);
        assert_eq!(batch.len(), 1);
        // What is on its way counts until it has been sent.
        assert!(queue.room_for(400).is_err());
        assert_eq!(queue.flushed(), (1, true));
        assert_eq!(queue.push(message(400)), Ok(0));
        assert_eq!(queue.bytes(), 430);
    }
}
