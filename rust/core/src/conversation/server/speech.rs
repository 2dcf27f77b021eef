//! What the server says in sessions of transcription and of translation.

use serde_json::Value;
use std::time::Duration;

use crate::conversation::Conversation;
use crate::conversation::core_error::CoreError;
use crate::conversation::dialect::so_far;
use crate::conversation::ending::Sound;
use crate::conversation::event::{Event, Interest, Speaker};
use crate::conversation::item::{text, text_at};
use crate::conversation::normalise::index;
use crate::conversation::purpose::Purpose;
use crate::conversation::server_event::{Body, Chunk};
use crate::conversation::transcripts::Transcribed;

/// The server has nothing of the buffer to put into an item.
const NOTHING_TO_COMMIT: &str = "input_audio_buffer_commit_empty";

impl Conversation {
    /// Handles an event of a session without an agent.
    pub(super) fn speech_event(&mut self, body: Body<'_>, now: Duration) {
        match body {
            Body::Malformed(what) | Body::Incomplete(what) => {
                self.report(CoreError::Protocol(what));
            }
            Body::AudioDelta { chunk, .. } if self.options.purpose == Purpose::Translation => {
                self.translated_sound(chunk);
            }
            Body::AudioDelta { .. } | Body::TextDelta(_) => {
                let purpose = self.options.purpose.as_str();
                self.report(CoreError::Protocol(format!(
                    "the server sent a piece of an answer: it has no effect in a session of {purpose}"
                )));
            }
            Body::Event { kind, value } => {
                self.note_turn(&kind, &value);
                match self.options.purpose {
                    Purpose::Translation => self.translation_event(&kind, value, now),
                    _ => self.transcription_event(&kind, value, now),
                }
                self.end_if_finished();
            }
        }
    }

    fn translated_sound(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Decoded(data) | Chunk::Converted { data, .. } => {
                // One stream, without parts.
                self.sound = Sound::Started;
                self.outbox.event(Event::Audio {
                    response_id: "".into(),
                    item_id: "".into(),
                    content_index: 0,
                    data,
                });
            }
            Chunk::Length(_) => {}
            Chunk::Unreadable(why) => self.report(CoreError::Protocol(format!(
                "translated audio is no base64: {why}"
            ))),
        }
    }

    fn translation_event(&mut self, kind: &str, event: Value, now: Duration) {
        match kind {
            "error" => self.server_error(event, now),
            "session.output_transcript.delta" => self.translated(Speaker::Assistant, kind, &event),
            "session.input_transcript.delta" => self.translated(Speaker::User, kind, &event),
            "session.closed" => self.say_goodbye(),
            _ => {}
        }
    }

    fn translated(&mut self, role: Speaker, kind: &str, event: &Value) {
        let Some(delta) = text(event, "delta") else {
            return self.incomplete(kind, "a delta");
        };
        self.outbox.event(Event::TranslationDelta {
            role,
            delta: delta.to_owned(),
            elapsed_ms: event.get("elapsed_ms").and_then(Value::as_u64),
        });
    }

    fn transcription_event(&mut self, kind: &str, event: Value, now: Duration) {
        match kind {
            "error" => {
                if text_at(&event, &["error", "code"]) == Some(NOTHING_TO_COMMIT) {
                    self.transcripts.commit_answered();
                }
                self.server_error(event, now);
            }
            "session.updated" => self.session_updated(&event),
            "rate_limits.updated" => self.note_rate_limits(&event),
            "input_audio_buffer.speech_started" => {
                self.outbox.event(Event::SpeechStarted {
                    item_id: text(&event, "item_id").unwrap_or_default().into(),
                    audio_start_ms: event.get("audio_start_ms").and_then(Value::as_u64),
                });
            }
            "input_audio_buffer.speech_stopped" => {
                self.outbox.event(Event::SpeechStopped {
                    item_id: text(&event, "item_id").unwrap_or_default().into(),
                    audio_end_ms: event.get("audio_end_ms").and_then(Value::as_u64),
                });
            }
            "input_audio_buffer.committed" => self.input_committed(&event),
            "input_audio_buffer.cleared" => self.uncommitted = false,
            "conversation.item.input_audio_transcription.delta" => {
                self.words_told(&event);
                self.user_delta(&event, now);
            }
            "conversation.item.input_audio_transcription.updated" => {
                self.words_told(&event);
                self.user_transcript(&event, now);
            }
            "conversation.item.input_audio_transcription.segment" => self.segment_told(&event),
            "conversation.item.input_audio_transcription.completed" => {
                self.transcript_completed(kind, &event);
            }
            "conversation.item.input_audio_transcription.failed" => {
                if let Some(id) = text(&event, "item_id") {
                    self.transcripts.end(id);
                    self.forget_sound(id);
                }
                self.transcription_failed(&event);
            }
            _ => {}
        }
    }

    /// Keeps the words of an item so far, for when the connection is lost before its end.
    fn words_told(&mut self, event: &Value) {
        let Some(id) = text(event, "item_id") else {
            return;
        };
        self.transcript_begun(id);
        if let Some(delta) = text(event, "delta") {
            self.transcripts.add(id, delta);
        } else if let Some(all) = text(event, "transcript")
            .map(str::to_owned)
            .or_else(|| so_far(event))
        {
            self.transcripts.replace(id, all);
        }
    }

    fn input_committed(&mut self, event: &Value) {
        self.uncommitted = false;
        self.transcripts.commit_answered();
        let Some(item_id) = text(event, "item_id") else {
            return self.incomplete("input_audio_buffer.committed", "an item_id");
        };
        self.transcript_begun(item_id);
        self.outbox.event(Event::InputCommitted {
            item_id: item_id.into(),
            previous_item_id: text(event, "previous_item_id").map(Into::into),
        });
    }

    fn transcript_completed(&mut self, kind: &str, event: &Value) {
        let (item_id, words) = match (text(event, "item_id"), text(event, "transcript")) {
            (Some(item_id), Some(words)) => (item_id, words),
            (None, _) => return self.incomplete(kind, "an item_id"),
            (_, None) => return self.incomplete(kind, "a transcript"),
        };
        self.transcripts.end(item_id);
        let present = |key: &str| event.get(key).filter(|value| !value.is_null()).cloned();
        self.outbox.event(Event::Transcribed(Box::new(Transcribed {
            item_id: item_id.into(),
            content_index: index(event, "content_index"),
            text: words.to_owned(),
            interrupted: false,
            logprobs: present("logprobs"),
            languages: present("languages"),
            usage: present("usage"),
        })));
    }

    fn segment_told(&mut self, event: &Value) {
        let (Some(item_id), Some(words)) = (text(event, "item_id"), text(event, "text")) else {
            let kind = "conversation.item.input_audio_transcription.segment";
            return self.incomplete(kind, "an item_id and a text");
        };
        if !self.outbox.wants(Interest::TRANSCRIPT) {
            return;
        }
        let seconds = |key: &str| event.get(key).and_then(Value::as_f64);
        self.outbox.event(Event::TranscriptSegment {
            item_id: item_id.into(),
            content_index: index(event, "content_index"),
            text: words.to_owned(),
            speaker: text(event, "speaker").map(str::to_owned),
            start: seconds("start"),
            end: seconds("end"),
        });
    }
}
