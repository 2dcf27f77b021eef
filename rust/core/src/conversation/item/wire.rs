//! Reads items from the server's and the user's JSON, and writes them.

use serde_json::{Value, json};

use crate::conversation::lenient;

use super::{ContentPart, Item, ItemKind, ItemPosition, Progress, Role};

/// The string under that key, if it is one.
pub(in crate::conversation) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The value that keys lead to, from object to object. A JSON pointer would be split and unescaped for
/// each event.
pub(in crate::conversation) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |within, key| within.get(key))
}

/// The string that keys lead to, if it is one.
pub(in crate::conversation) fn text_at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path).and_then(Value::as_str)
}

pub(super) fn owned(value: &Value, key: &str) -> Option<String> {
    text(value, key).map(str::to_owned)
}

/// The value under that key as JSON text: text as it is, as the wire writes arguments, and anything
/// else, which some servers send, written out.
pub(in crate::conversation) fn json_text(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// What a server says of an error: text, or the message of an object, or its code or type.
pub(in crate::conversation) fn words(error: &Value) -> Option<&str> {
    let fields = || {
        let mut keys = ["message", "code", "type"].into_iter();
        keys.find_map(|key| text(error, key).filter(|said| !said.is_empty()))
    };
    error
        .as_str()
        .filter(|said| !said.is_empty())
        .or_else(fields)
}

/// The status that an item from the wire states, or `default`.
fn wire_status(wire: &Value, default: Progress) -> Progress {
    let Some(status) = text(wire, "status") else {
        return default;
    };
    match Progress::parse(status) {
        // Only calls to MCP servers fail.
        Some(Progress::Failed) => return Progress::Incomplete,
        known => known,
    }
    .unwrap_or_else(|| {
        let assumed = default.as_str();
        tracing::warn!("the server states the unknown item status {status}: {assumed} is assumed");
        default
    })
}

impl Item {
    /// Reads a message item from the wire. `default` is its status if the item states none that is
    /// known.
    pub fn message(wire: &Value, position: ItemPosition, default: Progress) -> Option<Self> {
        let id = text(wire, "id")?;
        let role = Role::parse(text(wire, "role")?)?;
        let status = (role != Role::System).then(|| wire_status(wire, default));
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

    /// Reads an MCP call from the wire, of either type.
    pub fn mcp_call(wire: &Value, status: Progress) -> Option<Self> {
        let wire_type = match text(wire, "type")? {
            "mcp_call" => "mcp_call",
            "mcp_tool_call" => "mcp_tool_call",
            _ => return None,
        };
        let error = wire.get("error").filter(|error| !error.is_null());
        let error =
            error.map(|error| words(error).map_or_else(|| error.to_string(), str::to_owned));
        let failed = error.is_some() || text(wire, "status") == Some("failed");
        Some(Self {
            id: text(wire, "id")?.into(),
            position: ItemPosition::Unstated,
            kind: ItemKind::McpCall {
                wire_type,
                name: owned(wire, "name").unwrap_or_default(),
                arguments: json_text(wire, "arguments").unwrap_or_default(),
                output: json_text(wire, "output"),
                error,
                status: if failed { Progress::Failed } else { status },
            },
        })
    }

    /// Reads an MCP approval request from the wire. `Ok(None)`: it has no id. `Err` says what is
    /// wrong with its arguments.
    pub fn mcp_approval_request(wire: &Value) -> Result<Option<Self>, String> {
        let Some(id) = text(wire, "id") else {
            return Ok(None);
        };
        let raw = json_text(wire, "arguments").filter(|raw| !raw.is_empty());
        let arguments = match lenient::parse(raw.as_deref().unwrap_or("{}")) {
            Ok((Value::Object(arguments), _)) => arguments,
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

    /// Reads an item that a user wrote for `update_history`, in the shape of [`Item::to_value`].
    pub fn from_user(value: &Value) -> Result<Self, String> {
        let id = text(value, "item_id").ok_or("a history item needs an item_id")?;
        let position = match value.get("previous_item_id") {
            None => ItemPosition::Unstated,
            Some(Value::String(previous)) => ItemPosition::After(previous.as_str().into()),
            Some(_) => ItemPosition::First,
        };
        let is_mcp_call = matches!(text(value, "type"), Some("mcp_call" | "mcp_tool_call"));
        let status = || {
            match text(value, "status") {
            None => Ok(Progress::Completed),
            Some(status) => Progress::parse(status)
                .filter(|status| *status != Progress::Failed || is_mcp_call).ok_or_else(|| {
                format!(
                    "history item {id} has the unknown status {status:?}: use in_progress, completed \
                     or incomplete"
                )
            }),
        }
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
                    status: (role != Role::System).then(status).transpose()?,
                    content: content
                        .iter()
                        .map(|part| ContentPart::parse(role, part))
                        .collect(),
                }
            }
            Some("function_call") => ItemKind::FunctionCall {
                call_id: owned(value, "call_id"),
                name: owned(value, "name").unwrap_or_default(),
                arguments: json_text(value, "arguments").unwrap_or_default(),
                output: owned(value, "output"),
                status: status()?,
            },
            Some(kind @ ("mcp_call" | "mcp_tool_call")) => ItemKind::McpCall {
                wire_type: if kind == "mcp_call" {
                    "mcp_call"
                } else {
                    "mcp_tool_call"
                },
                name: owned(value, "name").unwrap_or_default(),
                arguments: json_text(value, "arguments").unwrap_or_default(),
                output: owned(value, "output"),
                error: owned(value, "error"),
                status: status()?,
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

    /// The item as JSON for users.
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
                error,
                status,
            } => {
                let mut value = json!({
                    "type": wire_type, "status": status.as_str(), "name": name,
                    "arguments": arguments, "output": output,
                });
                if let Some(error) = error {
                    value["error"] = error.as_str().into();
                }
                value
            }
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
