//! What a session tells the thread that handles its events.

use std::time::Duration;

use crate::calls::CallEvent;
use crate::conversation::record::{Field, FieldValue, Record, RecordType, event_table, fields};
use crate::conversation::{Event, History};
use crate::delivery::hub::Hub;
use crate::delivery::{self, DropPolicy, Dropped};
use crate::session::SendAudioError;
use crate::transport::net::ConnectError;

fields! {
    Box<ConnectError>, "exception", |error| FieldValue::Error(&**error);
    SendAudioError, "exception", |error| FieldValue::Error(error);
}

event_table! {
    /// What is told besides the conversation's events: how calls went, and what was lost.
    #[derive(Debug)]
    pub enum Notice {
        /// `connect` has succeeded.
        Opened { connection_id: u64 }
        /// `connect` has failed; without an error, the session was closed meanwhile.
        NotOpened { connection_id: u64, error: Option<Box<ConnectError>> }
        /// The session layer decides on another connection, and says where to.
        Redial { attempt: u64, reason: String, code: Option<u64>, is_retryable: bool }
        /// The outgoing queue has room again.
        AudioDrained {}
        /// A connection that no driver of ours runs has something to send.
        OutgoingReady {}
        /// A stream of audio has ended.
        AudioStreamed { token: u64, sent: Duration, failure: Option<SendAudioError> }
        Lagging { audio: u64, transport_events: u64, transcript_deltas: u64 }
        TooSlow { waiting: usize }
    }
    payloads {}
}

/// A message of a session, in the session's order or outside of it.
#[derive(Debug)]
pub enum Message {
    Event(Event),
    Notice(Notice),
    Call(CallEvent),
}

/// The queues of the sessions whose events one thread handles.
pub type MessageHub = Hub<Message>;

impl Message {
    /// The version of the history, if it is one.
    pub(super) fn version(&self) -> Option<&History> {
        match self {
            Self::Event(Event::HistoryUpdated { history }) => Some(history),
            _ => None,
        }
    }
}

impl delivery::Message for Message {
    fn policy(&self) -> DropPolicy {
        let Self::Event(event) = self else {
            return DropPolicy::Keep;
        };
        match event {
            Event::Audio { .. } => DropPolicy::Audio,
            Event::Raw { .. } => DropPolicy::Raw,
            Event::TranscriptDelta { .. } | Event::TranslationDelta { .. } => DropPolicy::Delta,
            Event::HistoryUpdated { .. } => DropPolicy::Version,
            Event::AudioInterrupted { .. } => DropPolicy::Interruption,
            _ => DropPolicy::Keep,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Event(Event::Audio { data, .. }) => data.len(),
            Self::Event(Event::Raw { text, .. } | Event::OutgoingMessage { text }) => text.len(),
            Self::Event(
                Event::TranscriptDelta { delta, .. } | Event::TranslationDelta { delta, .. },
            ) => delta.len(),
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
        Self::Notice(Notice::Lagging {
            audio: dropped.audio,
            transport_events: dropped.raw,
            transcript_deltas: dropped.deltas,
        })
    }

    fn too_slow(waiting: usize) -> Self {
        Self::Notice(Notice::TooSlow { waiting })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::delivery::Message as _;

    fn audio(response: &str) -> Message {
        Message::Event(Event::Audio {
            response_id: response.into(),
            item_id: "item".into(),
            content_index: 0,
            data: vec![0; 5],
        })
    }

    #[test]
    fn an_interruption_purges_the_audio_of_its_response_alone() {
        let response_id: Arc<str> = "a".into();
        let interruption = Message::Event(Event::AudioInterrupted {
            agent_version: 0,
            response_id,
            item_id: "i".into(),
            content_index: 0,
        });
        assert_eq!(interruption.policy(), DropPolicy::Interruption);
        assert!(interruption.purges(&audio("a")));
        assert!(!interruption.purges(&audio("b")));
        assert_eq!(audio("a").size(), 5);
    }

    #[test]
    fn notices_are_kept_and_see_the_history_as_of_their_time() {
        let notice = Message::too_slow(3);
        assert_eq!(notice.policy(), DropPolicy::Keep);
        assert!(notice.observes_version());
    }

    #[test]
    fn a_failure_is_handed_out_as_an_error() {
        let problem = "the test refuses".to_owned();
        let notice = Notice::NotOpened {
            connection_id: 7,
            error: Some(Box::new(ConnectError::InvalidOption { problem })),
        };
        let mut values = Vec::new();
        let visited = notice.visit(|value| {
            values.push(match value {
                FieldValue::Number(number) => number.to_string(),
                FieldValue::Error(error) => format!("{}", error.is::<ConnectError>()),
                other => format!("{other:?}"),
            });
            Ok::<_, ()>(())
        });
        assert_eq!(visited, Ok(()));
        assert_eq!(values, ["7", "true"]);
        assert_eq!(Notice::TYPES[notice.index()].name, "NotOpened");
    }
}
