//! The answer's audio on a media track, which carries it separately from the messages.
//!
//! RTP names no response. The server says by `output_audio_buffer.started`, `.stopped` and
//! `.cleared` which one it plays. Each such segment has its own number, so that a driver can name
//! the segment of audio that it still buffers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::audio::format::AudioFormat;
use crate::audio::passthrough::Passed;

use super::Conversation;
use super::capabilities::Media;
use super::ending::Sound;
use super::event::Event;
use super::item::{text, text_at};
use super::normalise::index;
use super::outbox::CallerCommand;

/// How many segments are kept. A driver buffers less than one segment, so a few are enough.
const MAX_SEGMENTS: usize = 8;

/// The number of responses whose first part with audio is kept. One response plays at a time.
const MAX_PARTS: usize = 32;

/// The audio of one response, between the server's `started` and `stopped`.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    number: u64,
    pub(super) response_id: Arc<str>,
    pub(super) item_id: Arc<str>,
    pub(super) content_index: usize,
}

#[derive(Debug, Default)]
pub(super) struct MediaTrack {
    /// Counts segments. It is not reset with the connection, so that no number means two segments.
    last: u64,
    /// Whether the last segment is playing.
    open: bool,
    segments: VecDeque<Segment>,
    /// The first part with audio of each response: response, item, content index.
    parts: VecDeque<(Arc<str>, Arc<str>, usize)>,
}

impl MediaTrack {
    /// The segment of the audio that arrives now; 0 if there is none.
    pub(super) fn current(&self) -> u64 {
        if self.open { self.last } else { 0 }
    }

    /// Notes that a part of a response has audio.
    pub(super) fn part(&mut self, response_id: &str, item_id: &str, content_index: usize) {
        if self.parts.iter().any(|(known, ..)| **known == *response_id) {
            return;
        }
        let (response_id, item_id) = (Arc::<str>::from(response_id), Arc::<str>::from(item_id));
        for segment in &mut self.segments {
            if segment.response_id == response_id {
                segment.item_id = Arc::clone(&item_id);
                segment.content_index = content_index;
            }
        }
        self.parts.push_back((response_id, item_id, content_index));
        if self.parts.len() > MAX_PARTS {
            self.parts.pop_front();
        }
    }

    /// The server begins to play a response.
    pub(super) fn started(&mut self, response_id: &str) {
        let part = self
            .parts
            .iter()
            .find(|(known, ..)| **known == *response_id);
        let (item_id, content_index) = part.map_or_else(
            || ("".into(), 0),
            |(_, item_id, content_index)| (Arc::clone(item_id), *content_index),
        );
        self.last += 1;
        self.open = true;
        self.segments.push_back(Segment {
            number: self.last,
            response_id: response_id.into(),
            item_id,
            content_index,
        });
        if self.segments.len() > MAX_SEGMENTS {
            self.segments.pop_front();
        }
    }

    /// The server has sent all audio of the segment.
    pub(super) fn stopped(&mut self) {
        self.open = false;
    }

    pub(super) fn segment(&self, number: u64) -> Option<&Segment> {
        self.segments
            .iter()
            .find(|segment| segment.number == number)
    }

    /// Whether the server plays that response, or a driver still holds audio of it.
    fn has_started(&self, response_id: &str) -> bool {
        let mut segments = self.segments.iter();
        segments.any(|segment| *segment.response_id == *response_id)
    }

    /// Removes a segment, and returns it if it was known.
    pub(super) fn end(&mut self, number: u64) -> Option<Segment> {
        let at = self
            .segments
            .iter()
            .position(|segment| segment.number == number)?;
        self.segments.remove(at)
    }

    /// Forgets the segments and parts of a connection that is over.
    pub(super) fn reset(&mut self) {
        self.open = false;
        self.segments.clear();
        self.parts.clear();
    }
}

/// Audio that was received on the media track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackAudio {
    /// 16-bit little-endian audio for the user, made from `samples` samples of the track at `rate`.
    Pcm {
        data: Vec<u8>,
        samples: usize,
        rate: u32,
    },
    /// Opus for the caller's end of a call, which nobody has decoded: so many samples. `tail` is PCM that came
    /// before it and was held back.
    Passed {
        tail: Vec<u8>,
        packet: Passed,
        samples: usize,
        rate: u32,
    },
    /// Nobody wants the audio: only the number of its samples is known.
    Unheard { samples: usize, rate: u32 },
}

impl Conversation {
    /// The segment of the audio that arrives now (see [`Self::track_audio`]); 0 if there is none.
    pub fn segment(&self) -> u64 {
        self.media_track.current()
    }

    /// Handles audio of a segment. Audio without a segment is dropped: it is the silence between
    /// answers.
    pub fn track_audio(
        &mut self,
        connection_id: u64,
        segment: u64,
        audio: TrackAudio,
        now: Duration,
    ) {
        if connection_id != self.wire_id {
            return;
        }
        let Some(segment) = self.media_track.segment(segment) else {
            return;
        };
        let response_id = Arc::clone(&segment.response_id);
        let (item_id, content_index) = (Arc::clone(&segment.item_id), segment.content_index);
        let response = self.responses.entry(&response_id, self.agent_version);
        if response.silenced {
            return;
        }
        response.first_audio(now);
        let (TrackAudio::Pcm { samples, rate, .. }
        | TrackAudio::Passed { samples, rate, .. }
        | TrackAudio::Unheard { samples, rate }) = audio;
        let bytes = samples * 2;
        let format = AudioFormat::Pcm { rate };
        self.playback
            .chunk(&response_id, &item_id, content_index, bytes, format, now);
        self.audio_arrived();
        let (data, packet) = match audio {
            TrackAudio::Pcm { data, .. } => (data, None),
            TrackAudio::Passed { tail, packet, .. } => (tail, Some(packet)),
            TrackAudio::Unheard { .. } => return,
        };
        if !data.is_empty() || packet.is_none() {
            self.outbox.event(Event::Audio {
                response_id,
                item_id,
                content_index,
                data,
            });
        }
        if let Some(packet) = packet {
            self.outbox.caller(CallerCommand::Play(packet));
        }
    }

    /// Handles the end of a segment: all of its audio has been passed on.
    pub fn segment_ended(&mut self, connection_id: u64, segment: u64) {
        if connection_id != self.wire_id {
            return;
        }
        let Some(segment) = self.media_track.end(segment) else {
            return;
        };
        let response_id = &segment.response_id;
        let heard = self
            .responses
            .get(response_id)
            .is_some_and(|response| response.had_audio() && !response.silenced);
        if !heard {
            return;
        }
        if let Some(played_ms) = self.playback.length_of(response_id) {
            // A response may have several messages, which the track carries one after the other.
            let spoken = self.responses.get(response_id).map(|it| &it.transcripts);
            let words: String = spoken.into_iter().flatten().map(|it| &*it.2).collect();
            self.speech_rate.learn(&words, played_ms);
        }
        self.playback.played_out(response_id);
        self.count_heard();
        self.sound = Sound::Over;
        self.outbox.event(Event::AudioStopped {
            agent_version: self.agent_version,
        });
        self.settle_played();
    }

    /// The answer's sound does not come, comes again, or is lost: `stalled`, `resumed` or `lost`.
    pub fn media_changed(&mut self, wire_id: u64, status: &'static str, silence: Duration) {
        if wire_id == self.wire_id && self.status.is_standing() {
            self.outbox.event(Event::MediaChanged { status, silence });
        }
    }

    /// Notes that audio was passed on for playback.
    pub(super) fn audio_arrived(&mut self) {
        self.spoken = true;
        if std::mem::replace(&mut self.sound, Sound::Started) != Sound::Started {
            self.outbox.event(Event::AudioStarted {
                agent_version: self.agent_version,
            });
        }
    }

    pub(super) fn content_part_added(&mut self, event: &Value) {
        if let Some(item_id) = text(event, "item_id") {
            let content_index = index(event, "content_index");
            self.part_announced(text(event, "response_id"), item_id, Some(content_index));
        }
        let has_audio = text_at(event, &["part", "type"])
            .is_some_and(|kind| matches!(kind, "audio" | "output_audio"));
        if has_audio
            && let (Some(response_id), Some(item_id)) =
                (text(event, "response_id"), text(event, "item_id"))
        {
            let content_index = index(event, "content_index");
            self.media_track.part(response_id, item_id, content_index);
            let silenced = self.responses.is_silenced(response_id);
            if self.capabilities.media == Media::Track && !silenced {
                self.playback.announce(response_id, item_id, content_index);
            }
        }
    }

    /// `output_audio_buffer.started`: the server begins to play a response.
    pub(super) fn output_buffer_started(&mut self, event: &Value) {
        if self.capabilities.media == Media::InFrames {
            return self.call_playback("started", event);
        }
        if let Some(id) = text(event, "response_id") {
            self.media_track.started(id);
        }
    }

    /// `output_audio_buffer.stopped`: the server has played the response to its end.
    pub(super) fn output_buffer_stopped(&mut self, event: &Value) {
        if self.capabilities.media == Media::InFrames {
            return self.call_playback("stopped", event);
        }
        self.media_track.stopped();
    }

    /// `output_audio_buffer.cleared`: the server stopped because it was told to.
    pub(super) fn output_buffer_cleared(&mut self, event: &Value, now: Duration) {
        if self.capabilities.media == Media::InFrames {
            return self.call_playback("cleared", event);
        }
        self.media_track.stopped();
        self.stopped_by_server(now);
    }

    /// A response was ended by force. If the server has not begun to play it, it never will.
    pub(super) fn forget_unstarted(&mut self, response_id: &str) {
        if !self.media_track.has_started(response_id) {
            self.playback.forget(response_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_belongs_to_the_response_that_the_server_names() {
        let mut media_track = MediaTrack::default();
        assert_eq!(media_track.current(), 0);
        media_track.part("r1", "i1", 1);
        media_track.part("r1", "i2", 0);
        media_track.started("r1");
        let first = media_track.current();
        let segment = media_track.segment(first).unwrap();
        assert_eq!((&*segment.item_id, segment.content_index), ("i1", 1));
        media_track.stopped();
        assert_eq!(media_track.current(), 0);
        // Audio that a driver still holds belongs to it all the same.
        assert!(media_track.segment(first).is_some());
        media_track.started("r2");
        assert_ne!(media_track.current(), first);
        media_track.part("r2", "i3", 0);
        assert_eq!(
            &*media_track.segment(media_track.current()).unwrap().item_id,
            "i3"
        );
        assert!(media_track.end(first).is_some() && media_track.end(first).is_none());
    }

    #[test]
    fn a_server_that_says_much_fills_no_memory() {
        let mut media_track = MediaTrack::default();
        for n in 0..1000 {
            media_track.part(&format!("r{n}"), "i", 0);
            media_track.started(&format!("r{n}"));
        }
        assert_eq!(media_track.segments.len(), MAX_SEGMENTS);
        assert_eq!(media_track.parts.len(), MAX_PARTS);
        assert_eq!(media_track.current(), 1000);
    }
}
