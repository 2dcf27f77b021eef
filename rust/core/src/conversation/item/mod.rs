//! The items of a history.
//!
//! Items are read leniently: a missing field gets a default, and an unknown content part is kept
//! unchanged. The shapes follow the reference's history items
//! (`@openai/agents-realtime`, `items`), in `snake_case`.

use std::sync::Arc;

use serde_json::{Map, Value};

mod content;
mod records;
mod wire;

pub use content::{ContentPart, HeardExtent};
pub(super) use wire::{at, json_text, text, text_at, words};

/// The id of an item, as the server knows it.
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

/// The status of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    InProgress,
    Completed,
    Incomplete,
    /// Of a call to an MCP server.
    Failed,
}

impl Progress {
    pub(super) fn parse(status: &str) -> Option<Self> {
        match status {
            "in_progress" => Some(Self::InProgress),
            "completed" => Some(Self::Completed),
            "incomplete" => Some(Self::Incomplete),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }
}

/// The position of an item, as the server states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemPosition {
    /// The event states no position: a new item goes to the end.
    Unstated,
    /// `previous_item_id: null`: no item precedes it.
    First,
    /// After that item, or at the end if that item is not known.
    After(ItemId),
}

/// The type of an item, and its content.
#[derive(Debug, Clone, PartialEq)]
pub enum ItemKind {
    Message {
        role: Role,
        /// `None` for a system message.
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
        /// Why it failed.
        error: Option<String>,
        status: Progress,
    },
    McpApprovalRequest {
        server_label: String,
        name: String,
        arguments: Map<String, Value>,
        approved: Option<bool>,
    },
}

/// An item of the history. It is immutable: an update replaces it by another item in its position.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub id: ItemId,
    pub position: ItemPosition,
    pub kind: ItemKind,
}

impl Item {
    pub fn is_in_progress(&self) -> bool {
        match &self.kind {
            ItemKind::Message { status, .. } => *status == Some(Progress::InProgress),
            ItemKind::FunctionCall { status, .. } | ItemKind::McpCall { status, .. } => {
                *status == Progress::InProgress
            }
            ItemKind::McpApprovalRequest { .. } => false,
        }
    }

    pub fn is_mcp(&self) -> bool {
        matches!(
            self.kind,
            ItemKind::McpCall { .. } | ItemKind::McpApprovalRequest { .. }
        )
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

    /// Copies transcripts and heard extents from the `known` version where this newer one lacks
    /// them: a truncated answer is sent again without a transcript, and a user's item may be
    /// announced after its transcription.
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
