//! The messages of a page's line: its data channel, and what waits to be sent over it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

use tracing::warn;

use crate::calls::leg::MAX_WAITING_MESSAGES;
use crate::transport::webrtc::{Peer, PeerError};

/// The bytes of messages that may wait for a page that does not take them. Messages may be of any length, so
/// their number alone bounds nothing; an application may send some images at once.
const MAX_WAITING_BYTES: usize = 32 << 20;

/// More messages wait for a page than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the page takes no messages any more")]
pub(super) struct NothingTaken;

/// The page's data channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    /// The page has none.
    None,
    Awaited,
    Open,
}

/// Messages that wait for the data channel. Besides them, at most as many are being sent.
#[derive(Debug)]
pub(super) struct Messages {
    pub channel: Channel,
    texts: VecDeque<String>,
    bytes: usize,
}

impl Messages {
    pub fn new(has_channel: bool) -> Self {
        Self {
            channel: if has_channel {
                Channel::Awaited
            } else {
                Channel::None
            },
            texts: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Whether messages wait that can be sent.
    pub fn can_be_sent(&self) -> bool {
        self.channel == Channel::Open && !self.texts.is_empty()
    }

    /// Adds a message. Past the bound the line has to end: its sound goes another way, so that nothing
    /// else would tell that the page reads nothing.
    pub fn push(&mut self, text: String) -> Result<(), NothingTaken> {
        if self.texts.len() >= MAX_WAITING_MESSAGES || self.bytes >= MAX_WAITING_BYTES {
            return Err(NothingTaken);
        }
        self.bytes += text.len();
        self.texts.push_back(text);
        Ok(())
    }

    /// All that wait, to be sent.
    pub fn take(&mut self) -> VecDeque<String> {
        self.bytes = 0;
        std::mem::take(&mut self.texts)
    }
}

/// Messages on their way into the channel.
pub(super) type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), PeerError>> + Send + 'a>>;

/// Sends messages. One that is too long was made before the line, and the limit of its page, was known.
pub(super) fn send<P: Peer>(peer: &P, mut texts: VecDeque<String>) -> Sending<'_> {
    Box::pin(async move {
        loop {
            match peer.send_events(&mut texts).await {
                Err(error @ PeerError::TooLong { .. }) => {
                    warn!(%error, "a message for a page was not sent");
                }
                sent => return sent,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_in_number_and_bytes_until_it_is_sent() {
        for (length, most) in [(10, MAX_WAITING_MESSAGES), (4 << 20, 8), (64 << 20, 1)] {
            let mut messages = Messages::new(true);
            messages.channel = Channel::Open;
            let text = "x".repeat(length);
            let taken = (0..most + 5).take_while(|_| messages.push(text.clone()).is_ok());
            assert_eq!(taken.count(), most);
            assert_eq!(messages.take().len(), most);
            assert!(!messages.can_be_sent());
            assert!(messages.push(text).is_ok());
        }
    }
}
