//! Interrupting the assistant's answer: which playback stops, where it is cut, what the server and
//! the history are told.
//!
//! [`Truncation`] says who knows the position of playback. Where it is the client, the position is
//! sent to the server. Where it is the server, which sends audio in real time, it is told to stop, and
//! the cut is estimated here for the history alone.

use std::sync::Arc;
use std::time::Duration;

use super::capabilities::Truncation;
use super::event::Event;
use super::playback::{self, Cut};
use super::{Conversation, client_event};

impl Conversation {
    /// Interrupts the answer. With `cancel` the server is asked to stop; without, it stops by itself.
    pub(super) fn interrupt_answer(&mut self, cancel: bool, now: Duration) {
        if cancel {
            self.cancel_answer();
        }
        let Some(cut) = self.stop_playback(now) else {
            // Nothing plays yet. Audio of the active response that still comes is not played.
            if self.sequencer.ongoing() {
                self.responses.silence_active(self.agent_version);
            }
            return;
        };
        match self.capabilities.truncation {
            Truncation::Client => self.truncate_at_client(&cut),
            Truncation::Server => self.truncated_at_server(cut),
        }
    }

    /// Asks the server to generate no more of the answer and, where it plays the audio, to stop that.
    fn cancel_answer(&mut self) {
        let server_plays = self.capabilities.truncation == Truncation::Server;
        // A response whose audio is complete goes on for its text and tool calls: what is left to
        // stop is the playback.
        let generates = !(server_plays && self.audio_generated);
        if generates && self.sequencer.begin_cancel() {
            self.outbox.message(client_event::response_cancel(None));
        }
        if server_plays {
            self.outbox.message(client_event::output_audio_clear());
        }
    }

    /// The server has stopped its playback (`output_audio_buffer.cleared`).
    pub(super) fn playback_cleared(&mut self, now: Duration) {
        if let Some(cut) = self.stop_playback(now) {
            self.truncated_at_server(cut);
        }
    }

    /// Stops playback and says so; where it stood, unless nothing played.
    fn stop_playback(&mut self, now: Duration) -> Option<Cut> {
        let cut = self.playback.interrupt(now)?;
        self.responses.silence(&cut.response_id, self.agent_version);
        self.audio_started = false;
        self.outbox.event(Event::AudioInterrupted {
            agent_version: self.agent_version,
            response_id: Arc::clone(&cut.response_id),
        });
        Some(cut)
    }

    /// Tells the server where playback stopped, unless it had reached the end.
    fn truncate_at_client(&mut self, cut: &Cut) {
        if !cut.cuts {
            return;
        }
        self.outbox.message(client_event::item_truncate(
            &cut.item_id,
            cut.content_index,
            cut.audio_end_ms,
        ));
        self.record_cut(cut);
    }

    /// The server cuts the item itself.
    fn truncated_at_server(&mut self, mut cut: Cut) {
        // Audio arrives at the speed of playback, the transcript at the speed of generation: only the
        // transcript tells how long the whole part would have been.
        let transcript = self.responses.transcript(&cut.item_id);
        let expected_ms = self.speech_rate.duration_ms(transcript);
        cut.length_ms = cut.length_ms.max(expected_ms);
        self.record_cut(&cut);
    }

    /// Writes down how much of the part was heard: in the history, and for an item yet to come.
    fn record_cut(&mut self, cut: &Cut) {
        let heard = playback::heard(self.responses.transcript(&cut.item_id), cut);
        self.responses
            .cut(&cut.item_id, cut.content_index, heard.clone());
        self.history.heard(&cut.item_id, cut.content_index, heard);
    }
}
