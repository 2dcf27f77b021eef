//! A readable account of what happened.

use std::fmt::Write as _;

use serde_json::Value;
use stapes_core::conversation::{Event, Output};

/// What of a message is worth telling: its type, and where it belongs.
fn brief(text: &str) -> String {
    let Ok(message) = serde_json::from_str::<Value>(text) else {
        return text.to_owned();
    };
    let mut line = message["type"].as_str().unwrap_or("?").to_owned();
    for pointer in [
        "/response_id",
        "/response/id",
        "/item_id",
        "/content_index",
        "/item/id",
        "/item/role",
        "/item/status",
        "/item/call_id",
        "/call_id",
        "/response/status",
        "/response/conversation_id",
        "/response/conversation",
        "/response/metadata/n",
        "/audio_end_ms",
        "/previous_item_id",
        "/error/code",
        "/error/event_id",
        "/event_id",
    ] {
        if let Some(value) = message.pointer(pointer) {
            let name = pointer.rsplit('/').next().unwrap_or_default();
            let _ = match value {
                Value::String(value) => write!(line, " {name}={value}"),
                value => write!(line, " {name}={value}"),
            };
        }
    }
    if let Some(delta) = message["delta"].as_str() {
        let _ = match delta.len() {
            0..=40 => write!(line, " {delta:?}"),
            length => write!(line, " ({length} characters)"),
        };
    }
    line
}

pub fn frame(trace: &mut Vec<String>, now: u64, text: &str) {
    trace.push(format!("{now:>7} > {}", brief(text)));
}

pub fn output(trace: &mut Vec<String>, now: u64, output: &Output) {
    let line = match output {
        Output::Message(event) => format!("< {}", brief(&event.text)),
        Output::Event(event) => match event {
            Event::Audio {
                response_id,
                item_id,
                content_index,
                data,
            } => format!(
                "    Audio {response_id} {item_id} {content_index}, {} bytes",
                data.len()
            ),
            Event::HistoryUpdated { history } => {
                let ids: Vec<&str> = history.iter().map(|item| &*item.id).collect();
                format!("    HistoryUpdated {}", ids.join(" "))
            }
            Event::HistoryAdded { .. } | Event::TranscriptDelta { .. } => return,
            Event::ResponseEnded(ended) => {
                format!(
                    "    ResponseEnded {:?} {:?}",
                    ended.response_id, ended.status
                )
            }
            event => format!("    {event:?}"),
        },
        Output::Close { code, .. } => format!("< close {code}"),
        Output::Caller(command) => format!("< {command:?}"),
    };
    trace.push(format!("{now:>7} {line}"));
}
