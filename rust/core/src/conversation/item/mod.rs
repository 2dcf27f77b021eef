//! What a history is made of.
//!
//! Items are read leniently: a missing field gets the value that loses least, and an unknown content
//! part is kept as it came. The shapes follow the reference's history items
//! (`@openai/agents-realtime`, `items`), in `snake_case`.

use std::sync::Arc;

use serde_json::{Map, Value};

mod content;
mod wire;

pub use content::{ContentPart, HeardExtent};
pub(super) use wire::text;

/// The server's name for an item.
pub type ItemId = Arc<str>;

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    User,
    Assistant,
    System,
}

impl Role {
    pub(super) fn parse(role: &str) -> Option<Self> {
        match role {
            "user" => Some(Self::User),
            "assistant" => Some(Self::Assistant),
            "system" => Some(Self::System),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
        }
    }
}

/// How far an item has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    InProgress,
    Completed,
    Incomplete,
}

impl Progress {
    pub(super) fn parse(status: &str) -> Option<Self> {
        match status {
            "in_progress" => Some(Self::InProgress),
            "completed" => Some(Self::Completed),
            "incomplete" => Some(Self::Incomplete),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Where the server says that an item stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemPosition {
    /// The event said nothing about it: a new item goes to the end.
    Unstated,
    /// `previous_item_id: null`: nothing stands before it.
    First,
    /// Behind that item, or at the end where it is not known.
    After(ItemId),
}

/// What an item is.
#[derive(Debug, Clone, PartialEq)]
pub enum ItemKind {
    Message {
        role: Role,
        /// A system message has none.
        status: Option<Progress>,
        content: Vec<ContentPart>,
    },
    FunctionCall {
        call_id: Option<String>,
        name: String,
        arguments: String,
        output: Option<String>,
        status: Progress,
    },
    McpCall {
        /// `mcp_call` or `mcp_tool_call`.
        wire_type: &'static str,
        name: String,
        arguments: String,
        output: Option<String>,
        status: Progress,
    },
    McpApprovalRequest {
        server_label: String,
        name: String,
        arguments: Map<String, Value>,
        approved: Option<bool>,
    },
}

/// An item of the history. Immutable: an update is another item in its position.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub id: ItemId,
    pub position: ItemPosition,
    pub kind: ItemKind,
}

impl Item {
    pub fn is_mcp(&self) -> bool {
        matches!(
            self.kind,
            ItemKind::McpCall { .. } | ItemKind::McpApprovalRequest { .. }
        )
    }

    /// Whether it is an assistant's message with audio, which the provider cannot take back.
    pub fn is_spoken_answer(&self) -> bool {
        matches!(&self.kind, ItemKind::Message { role: Role::Assistant, content, .. }
            if content.iter().any(|part| matches!(part, ContentPart::OutputAudio { .. })))
    }

    pub(super) fn without_audio(mut self) -> Self {
        if let ItemKind::Message { content, .. } = &mut self.kind {
            *content = std::mem::take(content)
                .into_iter()
                .map(ContentPart::without_audio)
                .collect();
        }
        self
    }

    /// Keeps what was known of transcripts and playback where the newer version has lost it: a
    /// truncated answer comes back without a transcript, and an item that is announced after its
    /// transcription comes with none.
    pub(super) fn keeping_transcripts_of(mut self, known: &Self) -> Self {
        let (
            ItemKind::Message { content, .. },
            ItemKind::Message {
                content: before, ..
            },
        ) = (&mut self.kind, &known.kind)
        else {
            return self;
        };
        for (part, old) in content.iter_mut().zip(before) {
            match (part, old) {
                (
                    ContentPart::OutputAudio {
                        transcript, heard, ..
                    },
                    ContentPart::OutputAudio {
                        transcript: known,
                        heard: known_heard,
                        ..
                    },
                ) => {
                    if transcript.as_deref().unwrap_or_default().is_empty() {
                        transcript.clone_from(known);
                    }
                    if heard.is_none() {
                        heard.clone_from(known_heard);
                    }
                }
                (
                    ContentPart::InputAudio {
                        transcript: transcript @ None,
                        ..
                    },
                    ContentPart::InputAudio {
                        transcript: known, ..
                    },
                ) => transcript.clone_from(known),
                _ => {}
            }
        }
        self
    }
}
