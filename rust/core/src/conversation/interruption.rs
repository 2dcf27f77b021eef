//! Interruption: one function for speech, command and guardrail, on every transport.
//!
//! It silences what is being generated, cancels it, cuts each part that was not heard to its end,
//! changes the history, and says so, in this order. Whatever arrives later of a silenced response is
//! dropped.

use std::sync::Arc;
use std::time::Duration;

use super::capabilities::Truncation;
use super::client_event::ClientEvent;
use super::commands::Rejected;
use super::ending::Sound;
use super::event::Event;
use super::heard::heard;
use super::item::ItemId;
use super::outbox::CallerCommand;
use super::playback::{Cut, PlaybackSource};
use super::{Conversation, Status};

/// How many truncations of unheard items are remembered until the server answers them.
const MAX_UNHEARD: usize = 64;

impl Conversation {
    /// Stops the answer, whether it plays yet or not. Does nothing if there is none.
    pub fn interrupt(&mut self, now: Duration) {
        match self.status {
            Status::Connected => self.sequencer.interrupt_pending(true),
            // What was to be asked for again is not wanted any more.
            Status::Reconnecting => self.sequencer.withdraw_first(),
            Status::Disconnected | Status::Connecting => return,
        }
        self.interrupt_answer(true, now);
        self.settle_played();
    }

    /// Stops the answer that speaks, if there is one. One that was asked for and has no sound yet is left:
    /// nothing of it is played.
    pub fn interrupt_speech(&mut self, now: Duration) {
        if !self.playback.is_empty() {
            self.interrupt(now);
        }
    }

    /// Stops the answer. `cancel` is false where the server cancels it by itself.
    pub(super) fn interrupt_answer(&mut self, cancel: bool, now: Duration) {
        let cuts = self.stop_playback(now);
        self.count_heard();
        self.responses.silence_current(self.agent_version);
        for cut in &cuts {
            self.responses.silence(&cut.response_id, self.agent_version);
        }
        // The answer that was asked for and has not begun is not wanted either. The server cannot
        // know that: it is cancelled when it begins.
        self.sequencer.interrupt_pending(false);
        if cancel {
            self.cancel(&cuts);
        }
        let mut stopped: Vec<Arc<str>> =
            cuts.iter().map(|it| Arc::clone(&it.response_id)).collect();
        stopped.extend(self.responses.current().cloned());
        self.cut(cuts);
        for response_id in stopped {
            self.note_unvoiced(&response_id);
        }
    }

    /// Stops one response: its playback, its generation, or both. What others have queued plays on, but at
    /// the caller's end of a call, which holds one stream and is cleared as a whole.
    ///
    /// `cancel`: `None`: unless the server cancels it by itself where the user speaks.
    pub fn stop_response(
        &mut self,
        response_id: &str,
        playback: bool,
        cancel: Option<bool>,
        now: Duration,
    ) -> Result<(), Rejected> {
        if !self.status.is_standing() {
            return Err(Rejected::NotConnected);
        }
        let mut cuts = Vec::new();
        if playback {
            if self.playback.source() == PlaybackSource::Caller {
                cuts = self.stop_playback(now);
            } else {
                cuts = self.playback.interrupt_response(response_id, now);
            }
            self.count_heard();
            self.responses.silence(response_id, self.agent_version);
        }
        if cancel.unwrap_or(!self.server_interrupts) {
            self.cancel_named(response_id);
        }
        let at_server = self.capabilities.truncation == Truncation::Server;
        if !cuts.is_empty() && at_server && self.status == Status::Connected {
            self.outbox.message(ClientEvent::output_audio_clear());
        }
        self.cut(cuts);
        if playback {
            self.note_unvoiced(response_id);
        }
        self.settle_played();
        Ok(())
    }

    /// Whether a response was asked for that has not begun.
    pub fn awaits_response(&self) -> bool {
        !self.sequencer.is_idle()
    }

    /// Cancels that response, unless it has ended or that was done before.
    fn cancel_named(&mut self, response_id: &str) {
        if self.responses.is_current(response_id) {
            return self.cancel_current();
        }
        if let Some(response) = self.responses.get_mut(response_id)
            && response.out_of_band
            && !response.done
            && !std::mem::replace(&mut response.cancelling, true)
        {
            let id: Arc<str> = response_id.into();
            self.outbox.message(ClientEvent::response_cancel(Some(&id)));
            self.cancellations.sent(None, Some(id), None);
        }
    }

    /// Cancels the current response, and those out of band that play.
    fn cancel(&mut self, cuts: &[Cut]) {
        let at_server = self.capabilities.truncation == Truncation::Server;
        let generated = |id: &Arc<str>| {
            let response = self.responses.get(id);
            response.is_some_and(|response| response.audio_generated)
        };
        // What the server has generated is stopped by clearing its buffer.
        if !(at_server && self.responses.current().is_some_and(generated)) {
            self.cancel_current();
        }
        for cut in cuts {
            if !self.responses.is_current(&cut.response_id) {
                self.cancel_named(&cut.response_id);
            }
        }
        if at_server && self.status == Status::Connected {
            self.outbox.message(ClientEvent::output_audio_clear());
        }
    }

    /// Cancels the current response, unless that was done before.
    pub(super) fn cancel_current(&mut self) {
        if self.responses.cancel_current() {
            let id = self.responses.current().cloned();
            let named = id.as_deref().filter(|_| self.profile.cancels_by_id);
            self.outbox.message(ClientEvent::response_cancel(named));
            let index = self.responses.index();
            self.cancellations.sent(None, id, Some(index));
        }
    }

    /// The server has stopped the playback of its own accord.
    pub(super) fn stopped_by_server(&mut self, now: Duration) {
        let cuts = self.stop_playback(now);
        self.count_heard();
        for cut in &cuts {
            self.responses.silence(&cut.response_id, self.agent_version);
        }
        self.cut(cuts);
    }

    /// Stops playback, at the caller's end first: what that still holds is not heard any more. Returns
    /// the parts that were not heard to their end.
    pub(super) fn stop_playback(&mut self, now: Duration) -> Vec<Cut> {
        self.forget_pause();
        if self.playback.source() == PlaybackSource::Caller {
            self.outbox.caller(CallerCommand::Clear);
        }
        self.playback.interrupt(now)
    }

    /// The caller has begun to speak, as the server says, or has stopped.
    pub(super) fn note_speech(&mut self, is_open: bool) {
        if self.playback.source() == PlaybackSource::Caller {
            self.outbox.caller(CallerCommand::Speech(is_open));
        }
    }

    /// Cuts these parts: for the server, in the history, and for the session.
    pub(super) fn cut(&mut self, cuts: Vec<Cut>) {
        let mut interrupted: Vec<Cut> = Vec::new();
        let mut history_changed = false;
        for mut cut in self.by_words(cuts) {
            let Some(response) = self.responses.get_mut(&cut.response_id) else {
                continue;
            };
            let (had_audio, out_of_band) = (response.had_audio(), response.out_of_band);
            response.heard_ms += cut.audio_end_ms as f64;
            // An item out of band is in no conversation.
            if !out_of_band && !cut.item_id.is_empty() {
                match self.capabilities.truncation {
                    Truncation::Client => self.truncate(&cut),
                    Truncation::Server => self.lengthen(&mut cut),
                    Truncation::Nobody => {}
                }
                history_changed |= self.note_heard(&cut);
                if self.is_text_only(&cut.item_id) {
                    self.replay_cut(&cut.item_id);
                }
            }
            let is_known = |known: &Cut| known.response_id == cut.response_id;
            if had_audio && !interrupted.iter().any(is_known) {
                interrupted.push(cut);
            }
        }
        if history_changed {
            self.history_updated();
        }
        if interrupted.is_empty() {
            return;
        }
        if self.sound == Sound::Started {
            self.sound = Sound::Interrupted;
        }
        for first in &interrupted {
            self.outbox.event(Event::AudioInterrupted {
                agent_version: self.agent_version,
                response_id: Arc::clone(&first.response_id),
                item_id: Arc::clone(&first.item_id),
                content_index: first.content_index,
            });
        }
        for first in &interrupted {
            self.playback_ended(&first.response_id, true);
        }
    }

    /// A media track names a response and none of its messages: where it has several, their words tell which
    /// of them was heard to its end, and is left alone, and which one the rest was heard of.
    fn by_words(&mut self, cuts: Vec<Cut>) -> Vec<Cut> {
        if self.capabilities.truncation == Truncation::Client {
            return cuts;
        }
        let mut left = Vec::with_capacity(cuts.len());
        let mut rest_ms = 0;
        let mut cuts = cuts.into_iter().peekable();
        while let Some(mut cut) = cuts.next() {
            cut.audio_end_ms += std::mem::take(&mut rest_ms);
            let is_last = |next: &Cut| next.response_id != cut.response_id;
            if !cuts.peek().is_none_or(is_last) {
                let length_ms = self.length_by_words(&cut);
                if cut.audio_end_ms as f64 >= length_ms {
                    rest_ms = cut.audio_end_ms - length_ms as u64;
                    if let Some(response) = self.responses.get_mut(&cut.response_id) {
                        response.heard_ms += length_ms.floor();
                    }
                    continue;
                }
            }
            left.push(cut);
        }
        left
    }

    fn truncate(&mut self, cut: &Cut) {
        // A new connection is told what was heard; it has answers as text, which cannot be truncated.
        if self.status != Status::Connected || self.is_text_only(&cut.item_id) {
            return;
        }
        let (item_id, index) = (&cut.item_id, cut.content_index);
        let event_id = (cut.audio_end_ms == 0).then(|| self.note_unheard(&cut.item_id));
        self.outbox.message(ClientEvent::item_truncate(
            item_id,
            index,
            cut.audio_end_ms,
            event_id.as_deref(),
        ));
    }

    /// Remembers that an item is truncated at 0, in case the server refuses that. Returns the event
    /// id for it.
    fn note_unheard(&mut self, item_id: &ItemId) -> String {
        self.truncations += 1;
        let event_id = format!("stapes_truncate_{}", self.truncations);
        self.unheard
            .push_back((event_id.clone(), Arc::clone(item_id)));
        if self.unheard.len() > MAX_UNHEARD {
            self.unheard.pop_front();
        }
        event_id
    }

    /// The server refused an event. If that truncated an item of which nothing was heard, the item is
    /// deleted.
    pub(super) fn truncation_refused(&mut self, event_id: &str) {
        let Some(at) = self.unheard.iter().position(|(id, _)| *id == event_id) else {
            return;
        };
        if let Some((event_id, item_id)) = self.unheard.remove(at)
            && !self.responses.was_heard(&item_id)
        {
            self.outbox
                .message(ClientEvent::item_delete(&item_id, &event_id));
        }
    }

    /// Estimates the length of a part that the server plays. Its audio arrives at the speed of
    /// playback, and its transcript at the speed of generation: only the transcript tells how long
    /// the audio would have been.
    fn lengthen(&self, cut: &mut Cut) {
        cut.length_ms = cut.length_ms.max(self.length_by_words(cut));
    }

    fn length_by_words(&self, cut: &Cut) -> f64 {
        let (item_id, index) = (&cut.item_id, cut.content_index);
        let transcript = self.responses.transcript(&cut.response_id, item_id, index);
        self.speech_rate.duration_ms(transcript)
    }

    /// Records how much of a part was heard: in the history, and for an item that arrives later.
    /// Returns whether the history changed.
    fn note_heard(&mut self, cut: &Cut) -> bool {
        let (item_id, index) = (&cut.item_id, cut.content_index);
        let spoken = self.responses.transcript(&cut.response_id, item_id, index);
        let spoken = match self.history.transcript(item_id, index) {
            Some(transcript) if transcript.len() >= spoken.len() => transcript.to_owned(),
            _ => spoken.to_owned(),
        };
        let extent = heard(&spoken, cut);
        self.responses.cut(item_id, index, extent.clone());
        self.history.heard(item_id, index, extent, &spoken)
    }
}
