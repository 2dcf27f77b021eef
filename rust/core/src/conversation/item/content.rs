//! The parts of a message.

use serde_json::{Value, json};

use super::Role;
use super::wire::{owned, text};

/// How much of a part the listener heard before it was cut.
#[derive(Debug, Clone, PartialEq)]
pub struct HeardExtent {
    /// The milliseconds that were played.
    pub audio_end_ms: u64,
    /// The share of the transcript that was heard: by time, ending at a whole word.
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
        heard: Option<HeardExtent>,
    },
    /// A part of an unknown type, unchanged.
    Other {
        raw: Value,
    },
}

impl ContentPart {
    pub(super) fn parse(role: Role, part: &Value) -> Self {
        let is_answer = role == Role::Assistant;
        match text(part, "type") {
            Some("input_text") => Self::InputText {
                text: owned(part, "text").unwrap_or_default(),
            },
            // Before the GA protocol the parts of an answer were plain "text" and "audio".
            Some("text") if !is_answer => Self::InputText {
                text: owned(part, "text").unwrap_or_default(),
            },
            Some("output_text" | "text") => Self::OutputText {
                text: owned(part, "text").unwrap_or_default(),
            },
            Some("output_audio") => Self::output_audio(part),
            Some("audio") if is_answer => Self::output_audio(part),
            Some("input_audio" | "audio") => Self::InputAudio {
                audio: owned(part, "audio"),
                transcript: owned(part, "transcript"),
            },
            Some("input_image") => Self::InputImage {
                image_url: owned(part, "image_url")
                    .or_else(|| owned(part, "image"))
                    .unwrap_or_default(),
                detail: owned(part, "detail"),
            },
            _ => Self::Other { raw: part.clone() },
        }
    }

    fn output_audio(part: &Value) -> Self {
        Self::OutputAudio {
            audio: owned(part, "audio"),
            // Alibaba's reference has the words of a spoken part in `text`, until the response is done.
            transcript: owned(part, "transcript").or_else(|| owned(part, "text")),
            heard: None,
        }
    }

    pub(super) fn without_audio(self) -> Self {
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
