//! What a history is made of.
//!
//! Items are read leniently: a missing field gets the value that loses least, and an unknown content
//! part is kept as it came. The shapes follow the reference's history items
//! (`@openai/agents-realtime`, `items`), in `snake_case`.

use std::sync::Arc;

use serde_json::{Map, Value, json};

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
    fn parse(role: &str) -> Option<Self> {
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
    fn parse(status: &str) -> Option<Self> {
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

/// What a listener heard of a part that was cut short.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Played milliseconds.
    pub audio_end_ms: u64,
    /// The transcript up to there: its share of the text by time, cut at a word.
    pub transcript: String,
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum ContentPart {
    InputText {
        text: String,
    },
    InputAudio {
        audio: Option<String>,
        transcript: Option<String>,
    },
    InputImage {
        image_url: String,
        detail: Option<String>,
    },
    OutputText {
        text: String,
    },
    OutputAudio {
        audio: Option<String>,
        transcript: Option<String>,
        heard: Option<Heard>,
    },
    /// A part of a type that is not known here, as it came.
    Other {
        raw: Value,
    },
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

pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn owned(value: &Value, key: &str) -> Option<String> {
    text(value, key).map(str::to_owned)
}

impl ContentPart {
    fn parse(role: Role, part: &Value) -> Self {
        match text(part, "type") {
            Some("input_text") => Self::InputText {
                text: owned(part, "text").unwrap_or_default(),
            },
            Some("input_audio") => Self::InputAudio {
                audio: owned(part, "audio"),
                transcript: owned(part, "transcript"),
            },
            Some("input_image") => Self::InputImage {
                image_url: owned(part, "image_url")
                    .or_else(|| owned(part, "image"))
                    .unwrap_or_default(),
                detail: owned(part, "detail"),
            },
            Some("output_text") => Self::OutputText {
                text: owned(part, "text").unwrap_or_default(),
            },
            // Before the GA protocol an assistant's audio was called plain "audio".
            Some(kind)
                if kind == "output_audio" || (kind == "audio" && role == Role::Assistant) =>
            {
                Self::OutputAudio {
                    audio: owned(part, "audio"),
                    transcript: owned(part, "transcript"),
                    heard: None,
                }
            }
            _ => Self::Other { raw: part.clone() },
        }
    }

    fn without_audio(self) -> Self {
        match self {
            Self::InputAudio { transcript, .. } => Self::InputAudio {
                audio: None,
                transcript,
            },
            Self::OutputAudio {
                transcript, heard, ..
            } => Self::OutputAudio {
                audio: None,
                transcript,
                heard,
            },
            other => other,
        }
    }

    /// The part as the wire and a user write it.
    pub fn to_value(&self) -> Value {
        match self {
            Self::InputText { text } => json!({"type": "input_text", "text": text}),
            Self::InputAudio { audio, transcript } => {
                json!({"type": "input_audio", "audio": audio, "transcript": transcript})
            }
            Self::InputImage {
                image_url,
                detail: Some(detail),
            } => {
                json!({"type": "input_image", "image_url": image_url, "detail": detail})
            }
            Self::InputImage {
                image_url,
                detail: None,
            } => {
                json!({"type": "input_image", "image_url": image_url})
            }
            Self::OutputText { text } => json!({"type": "output_text", "text": text}),
            Self::OutputAudio {
                audio, transcript, ..
            } => {
                json!({"type": "output_audio", "transcript": transcript, "audio": audio})
            }
            Self::Other { raw } => raw.clone(),
        }
    }
}

impl Item {
    /// Reads a wire message item. `default` is its status where the item names none.
    pub fn message(wire: &Value, position: ItemPosition, default: Progress) -> Option<Self> {
        let id = text(wire, "id")?;
        let role = Role::parse(text(wire, "role")?)?;
        let status = (role != Role::System).then(|| {
            text(wire, "status")
                .and_then(Progress::parse)
                .unwrap_or(default)
        });
        let content = wire
            .get("content")
            .and_then(Value::as_array)
            .map(|parts| {
                parts
                    .iter()
                    .map(|part| ContentPart::parse(role, part))
                    .collect()
            })
            .unwrap_or_default();
        Some(Self {
            id: id.into(),
            position,
            kind: ItemKind::Message {
                role,
                status,
                content,
            },
        })
    }

    /// Reads a wire function call.
    pub fn function_call(wire: &Value, status: Progress, output: Option<String>) -> Option<Self> {
        Some(Self {
            id: text(wire, "id")?.into(),
            position: ItemPosition::Unstated,
            kind: ItemKind::FunctionCall {
                call_id: owned(wire, "call_id"),
                name: owned(wire, "name").unwrap_or_default(),
                arguments: owned(wire, "arguments").unwrap_or_default(),
                output,
                status,
            },
        })
    }

    /// Reads a wire MCP call, of either name.
    pub fn mcp_call(wire: &Value, status: Progress) -> Option<Self> {
        let wire_type = match text(wire, "type")? {
            "mcp_tool_call" => "mcp_tool_call",
            _ => "mcp_call",
        };
        let output = match wire.get("output") {
            None | Some(Value::Null) => None,
            Some(Value::String(output)) => Some(output.clone()),
            Some(other) => Some(other.to_string()),
        };
        Some(Self {
            id: text(wire, "id")?.into(),
            position: ItemPosition::Unstated,
            kind: ItemKind::McpCall {
                wire_type,
                name: owned(wire, "name").unwrap_or_default(),
                arguments: owned(wire, "arguments").unwrap_or_default(),
                output,
                status,
            },
        })
    }

    /// Reads a wire MCP approval request; `Err` says what is wrong with its arguments.
    pub fn mcp_approval_request(wire: &Value) -> Result<Option<Self>, String> {
        let Some(id) = text(wire, "id") else {
            return Ok(None);
        };
        let raw = match text(wire, "arguments") {
            None | Some("") => "{}",
            Some(raw) => raw,
        };
        let arguments = match serde_json::from_str(raw) {
            Ok(Value::Object(arguments)) => arguments,
            Ok(_) => {
                return Err(format!(
                    "the arguments of approval request {id} are not an object"
                ));
            }
            Err(error) => {
                return Err(format!(
                    "the arguments of approval request {id} are not JSON: {error}"
                ));
            }
        };
        Ok(Some(Self {
            id: id.into(),
            position: ItemPosition::Unstated,
            kind: ItemKind::McpApprovalRequest {
                server_label: owned(wire, "server_label").unwrap_or_default(),
                name: owned(wire, "name").unwrap_or_default(),
                arguments,
                approved: wire.get("approved").and_then(Value::as_bool),
            },
        }))
    }

    /// Reads an item that a user wrote for `update_history`: the shape of [`Item::to_value`].
    pub fn from_user(value: &Value) -> Result<Self, String> {
        let id = text(value, "item_id").ok_or("a history item needs an item_id")?;
        let position = match value.get("previous_item_id") {
            None => ItemPosition::Unstated,
            Some(Value::String(previous)) => ItemPosition::After(previous.as_str().into()),
            Some(_) => ItemPosition::First,
        };
        let status = || {
            text(value, "status")
                .and_then(Progress::parse)
                .unwrap_or(Progress::Completed)
        };
        let kind = match text(value, "type") {
            Some("message") => {
                let role = text(value, "role").and_then(Role::parse).ok_or_else(|| {
                    format!("message {id} needs a role: user, assistant or system")
                })?;
                let content = value
                    .get("content")
                    .and_then(Value::as_array)
                    .ok_or_else(|| format!("message {id} needs content: a list of parts"))?;
                ItemKind::Message {
                    role,
                    status: (role != Role::System).then(status),
                    content: content
                        .iter()
                        .map(|part| ContentPart::parse(role, part))
                        .collect(),
                }
            }
            Some("function_call") => ItemKind::FunctionCall {
                call_id: owned(value, "call_id"),
                name: owned(value, "name").unwrap_or_default(),
                arguments: owned(value, "arguments").unwrap_or_default(),
                output: owned(value, "output"),
                status: status(),
            },
            Some(kind @ ("mcp_call" | "mcp_tool_call")) => ItemKind::McpCall {
                wire_type: if kind == "mcp_call" {
                    "mcp_call"
                } else {
                    "mcp_tool_call"
                },
                name: owned(value, "name").unwrap_or_default(),
                arguments: owned(value, "arguments").unwrap_or_default(),
                output: owned(value, "output"),
                status: status(),
            },
            Some("mcp_approval_request") => ItemKind::McpApprovalRequest {
                server_label: owned(value, "server_label").unwrap_or_default(),
                name: owned(value, "name").unwrap_or_default(),
                arguments: value
                    .get("arguments")
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default(),
                approved: value.get("approved").and_then(Value::as_bool),
            },
            other => {
                return Err(format!(
                    "history item {id} is of the unknown type {other:?}: use message, function_call, \
                     mcp_call, mcp_tool_call or mcp_approval_request"
                ));
            }
        };
        Ok(Self {
            id: id.into(),
            position,
            kind,
        })
    }

    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            ItemKind::Message { .. } => "message",
            ItemKind::FunctionCall { .. } => "function_call",
            ItemKind::McpCall { wire_type, .. } => wire_type,
            ItemKind::McpApprovalRequest { .. } => "mcp_approval_request",
        }
    }

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

    /// The item as users see it.
    pub fn to_value(&self) -> Value {
        let mut value = match &self.kind {
            ItemKind::Message {
                role,
                status,
                content,
            } => {
                let mut value = json!({
                    "type": "message",
                    "role": role.as_str(),
                    "content": content.iter().map(ContentPart::to_value).collect::<Vec<_>>(),
                });
                if let Some(status) = status {
                    value["status"] = status.as_str().into();
                }
                value
            }
            ItemKind::FunctionCall {
                call_id,
                name,
                arguments,
                output,
                status,
            } => json!({
                "type": "function_call", "status": status.as_str(), "call_id": call_id,
                "name": name, "arguments": arguments, "output": output,
            }),
            ItemKind::McpCall {
                wire_type,
                name,
                arguments,
                output,
                status,
            } => json!({
                "type": wire_type, "status": status.as_str(), "name": name,
                "arguments": arguments, "output": output,
            }),
            ItemKind::McpApprovalRequest {
                server_label,
                name,
                arguments,
                approved,
            } => json!({
                "type": "mcp_approval_request", "server_label": server_label, "name": name,
                "arguments": arguments, "approved": approved,
            }),
        };
        value["item_id"] = (*self.id).into();
        match &self.position {
            ItemPosition::Unstated => {}
            ItemPosition::First => value["previous_item_id"] = Value::Null,
            ItemPosition::After(previous) => value["previous_item_id"] = (**previous).into(),
        }
        value
    }
}
