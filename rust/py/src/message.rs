//! The messages of a session to its Python half.

use stapes_core::conversation::Event;
use stapes_core::delivery::hub::Hub;
use stapes_core::delivery::{self, DropPolicy, Dropped};
use stapes_core::session::Streamed;
use stapes_core::transport::net::ConnectError;

/// A message of a session to its Python half.
#[derive(Debug)]
pub enum Message {
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
    /// The session was closed while it was connecting.
    Abandoned {
        connection_id: u64,
    },
    /// The outgoing queue has room again.
    Drained,
    /// A connection that Python carries has something to send.
    OutgoingReady,
    /// A stream of audio has ended.
    Streamed {
        token: u64,
        streamed: Streamed,
    },
    Lagging(Dropped),
    TooSlow {
        waiting: usize,
    },
}

/// The queues of the sessions on one event loop.
pub type MessageHub = Hub<Message>;

impl delivery::Message for Message {
    fn policy(&self) -> DropPolicy {
        let Self::Event(event) = self else {
            return DropPolicy::Keep;
        };
        match event {
            Event::Audio { .. } => DropPolicy::Audio,
            Event::Raw { .. } => DropPolicy::Raw,
            Event::TranscriptDelta { .. } => DropPolicy::Delta,
            Event::HistoryUpdated { .. } => DropPolicy::Version,
            Event::AudioInterrupted { .. } => DropPolicy::Interruption,
            _ => DropPolicy::Keep,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Event(Event::Audio { data, .. }) => data.len(),
            Self::Event(Event::Raw { text } | Event::OutgoingMessage { text }) => text.len(),
            Self::Event(Event::TranscriptDelta { delta, .. }) => delta.len(),
            _ => 0,
        }
    }

    /// Users' code that a message runs (a tool, say) sees the history as of the message.
    fn observes_version(&self) -> bool {
        !matches!(
            self,
            Self::Event(
                Event::HistoryUpdated { .. } | Event::Audio { .. } | Event::TranscriptDelta { .. }
            )
        )
    }

    fn purges(&self, audio: &Self) -> bool {
        matches!((self, audio), (
            Self::Event(Event::AudioInterrupted { response_id, .. }),
            Self::Event(Event::Audio { response_id: of, .. }),
        ) if response_id == of)
    }

    fn continues(&self, earlier: &Self) -> bool {
        matches!((self, earlier), (Self::Event(later), Self::Event(earlier))
            if later.continues(earlier))
    }

    fn prepend(&mut self, earlier: Self) {
        if let (Self::Event(later), Self::Event(earlier)) = (self, &earlier) {
            later.take_up(earlier);
        }
    }

    fn lagging(dropped: Dropped) -> Self {
        Self::Lagging(dropped)
    }

    fn too_slow(waiting: usize) -> Self {
        Self::TooSlow { waiting }
    }
}
