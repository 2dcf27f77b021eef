//! The items of the server's conversation.

use crate::persona::CallShape;
use crate::server::Server;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The user's, written or spoken.
    User {
        spoken: bool,
    },
    Answer,
    Call,
    Output,
}

/// A part of an answer.
#[derive(Debug, Clone)]
pub struct Part {
    pub sound: bool,
    pub ms: u64,
    pub text: String,
    pub cut: Option<u64>,
}

impl Part {
    pub fn new(sound: bool) -> Self {
        Self {
            sound,
            ms: 0,
            text: String::new(),
            cut: None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Item {
    pub kind: Kind,
    pub apart: bool,
    pub parts: Vec<Part>,
    pub status: &'static str,
    /// When it entered the conversation.
    pub added: u64,
}

impl Item {
    pub fn new(kind: Kind, apart: bool) -> Self {
        Self {
            kind,
            apart,
            parts: Vec::new(),
            status: "in_progress",
            added: 0,
        }
    }
}

impl Server {
    pub fn arguments(item: u32) -> String {
        format!("{{\"n\":{item}}}")
    }

    pub fn item_json(&self, id: u32) -> String {
        let item = &self.items[&id];
        let status = item.status;
        match item.kind {
            Kind::User { spoken } => {
                let content = if spoken {
                    r#"{"type":"input_audio","transcript":null}"#
                } else {
                    r#"{"type":"input_text","text":"hello"}"#
                };
                format!(
                    r#"{{"id":"item_{id}","type":"message","status":"completed","role":"user","content":[{content}]}}"#
                )
            }
            Kind::Answer => {
                let content: Vec<String> = item
                    .parts
                    .iter()
                    .map(|part| match (part.sound, part.cut) {
                        (true, Some(_)) => r#"{"type":"output_audio"}"#.to_owned(),
                        (true, None) => {
                            format!(r#"{{"type":"output_audio","transcript":"{}"}}"#, part.text)
                        }
                        (false, _) => {
                            format!(r#"{{"type":"output_text","text":"{}"}}"#, part.text)
                        }
                    })
                    .collect();
                // A new item has no content yet.
                let content = if status == "in_progress" {
                    String::new()
                } else {
                    content.join(",")
                };
                format!(
                    r#"{{"id":"item_{id}","type":"message","status":"{status}","role":"assistant","content":[{content}]}}"#
                )
            }
            Kind::Call => {
                let status = if self.persona.calls == CallShape::WithoutStatus {
                    String::new()
                } else {
                    format!(r#""status":"{status}","#)
                };
                let arguments = if item.status == "completed" {
                    serde_json::to_string(&Self::arguments(id)).expect("text is JSON")
                } else {
                    "\"\"".to_owned()
                };
                format!(
                    r#"{{"id":"item_{id}","type":"function_call",{status}"call_id":"call_{id}","name":"tool","arguments":{arguments}}}"#
                )
            }
            Kind::Output => format!(
                r#"{{"id":"item_{id}","type":"function_call_output","call_id":"c","output":"ok"}}"#
            ),
        }
    }
}
