//! Sound in binary frames, where the provider has them: bytes of the session's formats and nothing else.
//!
//! A frame names no response. The server sends the sound of one response at a time, between the events that
//! begin and end it, so a frame belongs to the part that was announced last in the response in progress.

use super::Conversation;
use super::event::Interest;
use super::purpose::Purpose;
use super::server_event::{Body, Chunk, ServerEvent};

/// The part of an answer that a binary frame belongs to.
#[derive(Debug)]
pub struct FramedPart {
    response_id: Option<String>,
    item_id: String,
    content_index: usize,
}

impl Conversation {
    /// Whether sound travels in binary frames, both ways.
    pub fn has_binary_audio(&self) -> bool {
        self.profile.binary_audio && self.options.purpose == Purpose::Conversation
    }

    /// The part that the sound in a binary frame belongs to, or why there is none.
    pub fn part_of_frame(&self) -> Result<FramedPart, &'static str> {
        if !self.has_binary_audio() {
            return Err("the protocol has text frames only");
        }
        if !self.responses.is_in_progress() {
            return Err("no response is in progress that its sound could belong to");
        }
        let response_id = self.responses.current().map(ToString::to_string);
        let item_id = self.item_of_delta(response_id.as_deref(), String::new());
        let announced = self.announced.as_ref();
        let announced = announced.filter(|(_, item, _)| **item == *item_id);
        Ok(FramedPart {
            response_id,
            item_id,
            content_index: announced.map_or(0, |(.., content_index)| *content_index),
        })
    }
}

impl ServerEvent<'_> {
    /// The sound in a binary frame. Where it is wanted, it is copied into `buffer`, which must return an empty
    /// one. Without a part that it belongs to, it is an error that says why.
    pub fn binary(
        frame: &[u8],
        part: Result<FramedPart, &'static str>,
        interest: Interest,
        buffer: impl FnOnce() -> Vec<u8>,
    ) -> Self {
        let body = match part {
            Ok(part) => Body::AudioDelta {
                response_id: part.response_id,
                item_id: part.item_id,
                content_index: part.content_index,
                chunk: if interest.contains(Interest::AUDIO) {
                    let mut sound = buffer();
                    sound.extend_from_slice(frame);
                    Chunk::Decoded(sound)
                } else {
                    Chunk::Length(frame.len())
                },
            },
            Err(why) => Body::Malformed(format!(
                "the server sent a binary frame of {} bytes: {why}",
                frame.len()
            )),
        };
        Self { body, raw: None }
    }
}
