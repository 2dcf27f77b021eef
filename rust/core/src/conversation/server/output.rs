//! Handles audio and text of an answer, and the transcription of the user.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::conversation::Conversation;
use crate::conversation::capabilities::Media;
use crate::conversation::core_error::CoreError;
use crate::conversation::dialect::{added, so_far};
use crate::conversation::ending::Sound;
use crate::conversation::event::{Event, Interest, Speaker};
use crate::conversation::guard::{DueText, GuardSource};
use crate::conversation::item::text;
use crate::conversation::normalise::index;
use crate::conversation::server_event::{Chunk, TextDelta};

impl Conversation {
    pub(super) fn audio_delta(
        &mut self,
        response_id: Option<String>,
        item_id: String,
        content_index: usize,
        chunk: Chunk,
        now: Duration,
    ) {
        let bytes = match &chunk {
            Chunk::Decoded(data) => data.len(),
            Chunk::Length(bytes)
            | Chunk::Converted {
                wire_bytes: bytes, ..
            } => *bytes,
            Chunk::Unreadable(why) => {
                self.report(CoreError::Protocol(format!(
                    "audio of item {item_id} is no base64: {why}"
                )));
                return;
            }
        };
        let (response_id, item_id) = self.ids_of_audio(response_id, item_id);
        let response = self.responses.entry(&response_id, self.agent_version);
        if response.silenced {
            return self.note_late(&response_id, &item_id, content_index);
        }
        response.first_audio(now);
        let stated = response.format;
        self.responses.touch(&response_id, now);
        let format = self.format_or_usual(stated);
        self.playback
            .chunk(&response_id, &item_id, content_index, bytes, format, now);
        self.count_heard();
        self.audio_arrived();
        if let Chunk::Decoded(data) | Chunk::Converted { data, .. } = chunk {
            self.outbox.event(Event::Audio {
                response_id,
                item_id,
                content_index,
                data,
            });
        }
    }

    /// The item that a delta belongs to which names `item_id`: if that is empty, the one that the
    /// server announced last in the response, or whose audio came last; empty if there is none.
    pub(in crate::conversation) fn item_of_delta(
        &self,
        response_id: Option<&str>,
        item_id: String,
    ) -> String {
        if !item_id.is_empty() {
            return item_id;
        }
        let of_response = |response: &str| response_id.is_none_or(|id| id == response);
        let announced = self.announced.as_ref();
        let announced = announced.filter(|(response, ..)| of_response(response));
        let playing = self.playback.ids();
        let playing = playing.filter(|(response, _)| of_response(response));
        announced
            .map(|(_, item_id, _)| item_id)
            .or(playing.map(|(_, item_id)| item_id))
            .map_or_else(String::new, ToString::to_string)
    }

    /// The server announced an item of a response, or a part of it.
    pub(in crate::conversation) fn part_announced(
        &mut self,
        response_id: Option<&str>,
        item_id: &str,
        content_index: Option<usize>,
    ) {
        let Some(response_id) = response_id else {
            return;
        };
        match &mut self.announced {
            Some((response, item, known)) if **response == *response_id && **item == *item_id => {
                *known = content_index.unwrap_or(*known);
            }
            announced => {
                let content_index = content_index.unwrap_or(0);
                *announced = Some((response_id.into(), item_id.into(), content_index));
            }
        }
    }

    /// The ids of an audio delta. Those of the part that is playing are shared, not allocated
    /// again.
    pub(in crate::conversation) fn ids_of_audio(
        &self,
        response_id: Option<String>,
        item_id: String,
    ) -> (Arc<str>, Arc<str>) {
        let known = self.playback.ids();
        let response_id = match (response_id, known) {
            (Some(id), Some((known, _))) if *id == **known => Arc::clone(known),
            (Some(id), _) => id.into(),
            (None, _) => self
                .responses
                .current()
                .map_or_else(|| "".into(), Arc::clone),
        };
        let item_id = match known {
            Some((_, known)) if *item_id == **known => Arc::clone(known),
            _ => item_id.into(),
        };
        (response_id, item_id)
    }

    /// Handles the end of a part's audio. If none of it was passed on for playback, or its end was told
    /// already, no audio stops.
    pub(super) fn audio_done(&mut self, event: &Value, now: Duration) {
        let current = self.responses.current().cloned();
        let response_id = text(event, "response_id").or(current.as_deref());
        let response = response_id.and_then(|id| self.responses.get_mut(id));
        let unheard = response.is_some_and(|response| {
            response.audio_generated = true;
            response.silenced && !response.had_audio()
        });
        if self.capabilities.media == Media::Track {
            // Generation is faster than playback: the audio stops when its segment ends.
            return;
        }
        let told = std::mem::take(&mut self.sound);
        let newest = self.playback.ids().map(|(_, item_id)| Arc::clone(item_id));
        if let Some(item_id) = text(event, "item_id").or(newest.as_deref()) {
            let content_index = event
                .get("content_index")
                .map(|_| index(event, "content_index"));
            self.playback.part_complete(item_id, content_index, now);
            self.count_heard();
        }
        if !unheard && told != Sound::Over {
            self.outbox.event(Event::AudioStopped {
                agent_version: self.agent_version,
            });
        }
    }

    pub(super) fn answer_delta(&mut self, delta: &TextDelta<'_>, now: Duration) {
        let unnamed = delta.response_id.is_none();
        let current = unnamed.then(|| self.responses.current().cloned()).flatten();
        if let Some(id) = delta.response_id.as_deref().or(current.as_deref()) {
            let response = self.responses.entry(id, self.agent_version);
            if response.out_of_band {
                // Whoever asked for it gets it whole, when it is done.
                return;
            }
            response.written |= delta.source == GuardSource::Text;
            response.spoke(&delta.item_id, delta.content_index, &delta.text);
            let silenced = response.silenced;
            self.responses.touch(id, now);
            if silenced {
                self.note_late(id, &delta.item_id, delta.content_index);
            }
        }
        let (transcript, guardrails) = (
            self.outbox.wants(Interest::TRANSCRIPT),
            self.outbox.wants(Interest::GUARDRAILS),
        );
        if !transcript && !guardrails {
            return;
        }
        let item_id: Arc<str> = (&*delta.item_id).into();
        let response_id: Option<Arc<str>> = delta.response_id.as_deref().map(Arc::from);
        if transcript {
            self.outbox.event(Event::TranscriptDelta {
                role: Speaker::Assistant,
                response_id: response_id.clone(),
                item_id: Arc::clone(&item_id),
                content_index: delta.content_index,
                delta: delta.text.clone().into_owned(),
            });
        }
        let Some(response_id) = response_id.filter(|_| guardrails) else {
            return;
        };
        self.responses.adopt(&response_id, self.agent_version, now);
        let source = delta.source;
        let due = self
            .guard
            .delta(&response_id, &item_id, source, &delta.text);
        for due in due {
            self.guardrail_due(&response_id, due);
        }
    }

    pub(super) fn guardrail_due(&mut self, response_id: &Arc<str>, due: DueText) {
        let agent_version = self.responses.agent_version(response_id);
        self.outbox.event(Event::GuardrailDue {
            agent_version: agent_version.unwrap_or(self.agent_version),
            response_id: Arc::clone(response_id),
            item_id: due.item_id,
            text: due.text,
            source: due.source,
            response_index: self.responses.index(),
            connection_id: self.connection_id,
        });
    }

    /// A transcript of the user's speech, as far as it goes.
    pub(super) fn user_transcript(&mut self, event: &Value, now: Duration) {
        let kind = "conversation.item.input_audio_transcription.updated";
        let Some((item_id, transcript)) = text(event, "item_id").zip(text(event, "transcript"))
        else {
            return self.incomplete(kind, "an item_id and a transcript");
        };
        let content_index = index(event, "content_index");
        self.user_said(item_id, content_index, transcript, now);
    }

    /// The user has said this much of an item so far.
    fn user_said(&mut self, item_id: &str, content_index: usize, transcript: &str, now: Duration) {
        let before = self.cumulative.take();
        let before = before.filter(|(id, _)| **id == *item_id);
        let before = before.map(|(_, text)| text).unwrap_or_default();
        let delta = added(&before, transcript);
        // After a rewritten one, what follows it is told.
        self.cumulative = Some((item_id.into(), transcript.to_owned()));
        if !delta.is_empty() {
            self.user_added(item_id, content_index, delta, now);
        }
    }

    pub(super) fn user_delta(&mut self, event: &Value, now: Duration) {
        let (item_id, content_index) = (text(event, "item_id"), index(event, "content_index"));
        if let Some(delta) = text(event, "delta") {
            return self.user_added(item_id.unwrap_or_default(), content_index, delta, now);
        }
        match item_id.zip(so_far(event)) {
            Some((item_id, said)) => self.user_said(item_id, content_index, &said, now),
            None => self.incomplete("delta of a transcription", "a delta"),
        }
    }

    /// The user has said these words more.
    fn user_added(&mut self, item_id: &str, content_index: usize, delta: &str, now: Duration) {
        if !delta.trim().is_empty() {
            self.caller_has_spoken(now);
        }
        if self.outbox.wants(Interest::TRANSCRIPT) {
            self.outbox.event(Event::TranscriptDelta {
                role: Speaker::User,
                response_id: None,
                item_id: item_id.into(),
                content_index,
                delta: delta.to_owned(),
            });
        }
    }
}
