//! Interruption: cancels an answer that is still being generated, and cuts it at its playback
//! position.

use std::sync::Arc;
use std::time::Duration;

use super::capabilities::Truncation;
use super::client_event::ClientEvent;
use super::event::Event;
use super::playback::{self, Cut};
use super::{Conversation, Status};

impl Conversation {
    /// Stops the answer, whether it plays yet or not. Does nothing if there is none.
    pub fn interrupt(&mut self, now: Duration) {
        if self.status == Status::Connected {
            self.interrupt_answer(true, now);
        }
    }

    /// Stops the answer. `cancel` is false where the server cancels it by itself.
    pub(super) fn interrupt_answer(&mut self, cancel: bool, now: Duration) {
        match self.capabilities.truncation {
            Truncation::Client => self.interrupt_here(cancel, now),
            Truncation::Server => self.interrupt_at_server(cancel, now),
        }
    }

    /// Cuts the answer at the client's playback position, and sends that to the server.
    fn interrupt_here(&mut self, cancel: bool, now: Duration) {
        let cut = self.playback.interrupt(now);
        if cancel && self.sequencer.begin_cancel() {
            self.outbox.message(ClientEvent::response_cancel());
        }
        let Some(cut) = cut else {
            self.silence_unplayed();
            return;
        };
        self.stop_playback(&cut);
        if cut.cuts {
            self.outbox.message(ClientEvent::item_truncate(
                &cut.item_id,
                cut.content_index,
                cut.audio_end_ms,
            ));
            self.note_heard(&cut);
        }
    }

    /// Stops an answer that the server plays. The server knows the position, and cuts the answer
    /// itself.
    fn interrupt_at_server(&mut self, cancel: bool, now: Duration) {
        if cancel {
            if !self.audio_generated && self.sequencer.begin_cancel() {
                self.outbox.message(ClientEvent::response_cancel());
            }
            self.outbox.message(ClientEvent::output_audio_clear());
        }
        if !self.cut_at_server(now) {
            self.silence_unplayed();
        }
    }

    /// Records that the server has stopped the playback. Returns whether anything was playing.
    pub(super) fn cut_at_server(&mut self, now: Duration) -> bool {
        let Some(mut cut) = self.playback.interrupt(now) else {
            return false;
        };
        self.stop_playback(&cut);
        // Audio arrives at the speed of playback, the transcript at the speed of generation: only
        // the transcript tells how long the audio would have been.
        let transcript = self.responses.transcript(&cut.item_id);
        cut.length_ms = cut.length_ms.max(self.speech_rate.duration_ms(transcript));
        self.note_heard(&cut);
        true
    }

    /// Nothing plays yet: audio of the active response that still arrives is dropped.
    fn silence_unplayed(&mut self) {
        if self.sequencer.ongoing() {
            self.responses.silence_active(self.agent_version);
        }
    }

    fn stop_playback(&mut self, cut: &Cut) {
        self.responses.silence(&cut.response_id, self.agent_version);
        self.audio_started = false;
        self.outbox.event(Event::AudioInterrupted {
            agent_version: self.agent_version,
            response_id: Arc::clone(&cut.response_id),
        });
    }

    /// Records how much of a part was heard: in the history, and for an item that arrives later.
    fn note_heard(&mut self, cut: &Cut) {
        let heard = playback::heard(self.responses.transcript(&cut.item_id), cut);
        self.responses
            .cut(&cut.item_id, cut.content_index, heard.clone());
        self.history.heard(&cut.item_id, cut.content_index, heard);
    }
}
