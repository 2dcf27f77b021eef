//! The part that the answer's audio belongs to, for its conversion outside the session's lock.

use std::sync::Arc;

use crate::audio::format::AudioFormat;

use super::Conversation;
use super::ending::Sound;
use super::server_event::{Body, Chunk, ServerEvent};

/// The part of an answer that audio belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AudioPart {
    pub(crate) response_id: Arc<str>,
    pub(crate) item_id: Arc<str>,
    pub(crate) content_index: usize,
}

/// The part that the audio of a server event belongs to, with its ids as the server states them.
#[derive(Debug)]
pub(crate) struct AudioDelta<'e> {
    pub(crate) response_id: Option<&'e str>,
    pub(crate) item_id: &'e str,
    pub(crate) content_index: usize,
}

/// The audio that an event carries, to be edited.
#[derive(Debug)]
pub(crate) enum AudioBytes<'e> {
    Data(&'e mut Vec<u8>),
    /// Nobody wants the audio: only its length is known.
    Length(usize),
}

impl AudioBytes<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Length(length) => *length,
        }
    }
}

impl ServerEvent<'_> {
    /// The audio that the event carries, if it carries any.
    fn audio(&mut self) -> Option<(AudioDelta<'_>, &mut Chunk)> {
        let Body::AudioDelta {
            response_id,
            item_id,
            content_index,
            chunk,
        } = &mut self.body
        else {
            return None;
        };
        let delta = AudioDelta {
            response_id: response_id.as_deref(),
            item_id,
            content_index: *content_index,
        };
        Some((delta, chunk))
    }

    /// Lets `edit` change the audio that the event carries, if it carries any.
    pub(crate) fn edit_audio(&mut self, edit: impl FnOnce(&AudioDelta<'_>, AudioBytes<'_>)) {
        match self.audio() {
            Some((delta, Chunk::Decoded(data))) => edit(&delta, AudioBytes::Data(data)),
            Some((delta, Chunk::Length(length))) => edit(&delta, AudioBytes::Length(*length)),
            _ => {}
        }
    }

    /// Lets `convert` replace the audio that the event carries, if it carries any. Playback still
    /// counts the bytes on the wire.
    pub(crate) fn convert_audio(
        &mut self,
        convert: impl FnOnce(&AudioDelta<'_>, &[u8]) -> Option<Vec<u8>>,
    ) {
        if let Some((delta, chunk)) = self.audio()
            && let Chunk::Decoded(wire) = chunk
            && let Some(data) = convert(&delta, wire)
        {
            let wire_bytes = wire.len();
            *chunk = Chunk::Converted { data, wire_bytes };
        }
    }

    /// Whether the event only continues a part. Every other event may change which part is which.
    pub(crate) fn is_delta(&self) -> bool {
        matches!(self.body, Body::AudioDelta { .. } | Body::TextDelta(_))
    }
}

impl Conversation {
    /// The part that audio in a message belongs to; `None` if its response is silenced.
    pub(crate) fn part_of_delta(&self, delta: &AudioDelta<'_>) -> Option<AudioPart> {
        let response_id = delta.response_id.map(str::to_owned);
        let item_id = self.item_of_delta(delta.response_id, delta.item_id.to_owned());
        let (response_id, item_id) = self.ids_of_audio(response_id, item_id);
        self.part_to_hear(&response_id, &item_id, delta.content_index)
    }

    /// The part that audio of a media track belongs to; `None` if there is none or its response is
    /// silenced.
    pub(crate) fn part_of_segment(&self, segment: u64) -> Option<AudioPart> {
        let segment = self.media_track.segment(segment)?;
        self.part_to_hear(
            &segment.response_id,
            &segment.item_id,
            segment.content_index,
        )
    }

    fn part_to_hear(
        &self,
        response_id: &Arc<str>,
        item_id: &Arc<str>,
        content_index: usize,
    ) -> Option<AudioPart> {
        (!self.responses.is_silenced(response_id)).then(|| AudioPart {
            response_id: Arc::clone(response_id),
            item_id: Arc::clone(item_id),
            content_index,
        })
    }

    /// The format of the audio in a message.
    pub(crate) fn format_of_delta(&self, delta: &AudioDelta<'_>) -> AudioFormat {
        let current = self.responses.current().map(|id| &**id);
        self.format_of(delta.response_id.or(current).unwrap_or_default())
    }

    /// Whether audio has started and not stopped. If not, the next audio is a new start.
    pub(crate) fn has_audio_started(&self) -> bool {
        self.sound == Sound::Started
    }
}
