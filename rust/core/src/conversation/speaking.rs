//! The answer's sound where it comes beside the messages.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::audio::format::AudioFormat;

use super::Conversation;
use super::capabilities::Media;
use super::event::Event;
use super::item::text;
use super::server_event::index;

/// A piece of sound that came beside the messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sound {
    /// 16-bit samples, little endian.
    Pcm { data: Vec<u8>, rate: u32 },
    /// Nobody listens: only how much there was.
    Unheard { samples: usize, rate: u32 },
}

impl Conversation {
    /// The segment of sound that goes on now (see [`Self::sound`]); 0 where there is none.
    pub fn sounding(&self) -> u64 {
        self.sounding.now()
    }

    /// Sound of the server's came in the segment `stream`. What belongs to none is not heard: it is
    /// the silence between answers.
    pub fn sound(&mut self, connection_id: u64, stream: u64, sound: Sound, now: Duration) {
        if connection_id != self.connection_id {
            return;
        }
        let Some(stream) = self.sounding.stream(stream) else {
            return;
        };
        let response_id = Arc::clone(&stream.response_id);
        let (item_id, content_index) = (Arc::clone(&stream.item_id), stream.content_index);
        if self.responses.is_silenced(&response_id) {
            return;
        }
        let (bytes, rate) = match &sound {
            Sound::Pcm { data, rate } => (data.len(), *rate),
            Sound::Unheard { samples, rate } => (samples * 2, *rate),
        };
        let format = AudioFormat::Pcm { rate };
        self.playback
            .chunk(&response_id, &item_id, content_index, bytes, format, now);
        self.heard_first(&response_id, now);
        if let Sound::Pcm { data, .. } = sound {
            self.outbox.event(Event::Audio {
                response_id,
                item_id,
                content_index,
                data,
            });
        }
    }

    /// Nothing more comes of the segment `stream`: what there was of it has been passed on.
    pub fn sound_ended(&mut self, connection_id: u64, stream: u64) {
        if connection_id != self.connection_id {
            return;
        }
        let Some(stream) = self.sounding.end(stream) else {
            return;
        };
        let response_id = &stream.response_id;
        if self.responses.is_silenced(response_id) || !self.responses.sounded(response_id) {
            return;
        }
        if let Some(played_ms) = self.playback.played_out(response_id) {
            let words = self.responses.transcript(&stream.item_id);
            self.speech_rate.learn(words, played_ms);
        }
        self.audio_started = false;
        self.outbox.event(Event::AudioStopped {
            agent_version: self.agent_version,
        });
    }

    /// Notes that sound of a response is to be heard.
    pub(super) fn heard_first(&mut self, response_id: &str, now: Duration) {
        self.responses.first_audio(response_id, now);
        self.spoken = true;
        if !self.audio_started {
            self.audio_started = true;
            self.outbox.event(Event::AudioStarted {
                agent_version: self.agent_version,
            });
        }
    }

    pub(super) fn content_part_added(&mut self, event: &Value) {
        let has_sound = event
            .pointer("/part/type")
            .and_then(Value::as_str)
            .is_some_and(|kind| matches!(kind, "audio" | "output_audio"));
        if has_sound
            && let (Some(response_id), Some(item_id)) =
                (text(event, "response_id"), text(event, "item_id"))
        {
            let content_index = index(event, "content_index");
            self.sounding.part(response_id, item_id, content_index);
        }
    }

    /// The server begins to play a response, has played it, or stopped because it was told to.
    pub(super) fn output_buffer(&mut self, kind: &str, event: &Value, now: Duration) {
        if self.capabilities.media != Media::Track {
            return;
        }
        match kind {
            "output_audio_buffer.started" => {
                if let Some(id) = text(event, "response_id") {
                    self.sounding.started(id);
                }
            }
            "output_audio_buffer.stopped" => self.sounding.stopped(),
            _ => {
                self.sounding.stopped();
                self.playback_cleared(now);
            }
        }
    }
}
