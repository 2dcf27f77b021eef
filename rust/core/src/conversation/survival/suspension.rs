//! The loss of a connection: what was under way is settled, or goes on waiting.

use std::sync::Arc;
use std::time::Duration;

use super::Suspended;
use super::restore::heard_text;
use crate::conversation::Conversation;
use crate::conversation::capabilities::Media;
use crate::conversation::event::{ConnectionEnd, Status};
use crate::conversation::item::{ContentPart, Item, ItemKind, Progress, Role};
use crate::conversation::purpose::Purpose;
use crate::conversation::response::Response;

/// What became of the response that was in progress.
#[derive(Debug, Default)]
struct Settled {
    response_id: Option<Arc<str>>,
    /// Nothing of it was heard, and somebody wants it.
    ask_again: bool,
    /// It was heard in part.
    was_cut: bool,
}

impl Conversation {
    /// Handles the loss of a connection that is to be replaced. `reason` is for people.
    pub fn suspend(
        &mut self,
        wire_id: u64,
        end: ConnectionEnd,
        reason: &'static str,
        now: Duration,
    ) {
        if wire_id != self.wire_id || self.status != Status::Connected {
            return;
        }
        self.advance_playback(now);
        self.status = Status::Reconnecting;
        self.outbox.hold();
        let settled = self.settle_lost_response(now);
        let detects = self.survival.as_ref();
        // Sound that went over a media track is no message, and the next server does not hear it.
        let detects = self.capabilities.media == Media::InFrames
            && detects.is_some_and(|it| it.sound.is_to_be_detected());
        // Where the next server hears the turn end, it answers by itself as well.
        let own_response = std::mem::take(&mut self.own_response_due) && !detects;
        self.sequencer.suspend(settled.ask_again || own_response);
        let continues = self
            .survival
            .as_ref()
            .is_some_and(|it| it.options.continue_answers);
        let goes_on = settled.ask_again || (settled.was_cut && continues);
        self.feedback_lost(settled.response_id.as_deref(), goes_on);
        for item_id in self.history_requests.suspend() {
            self.history.remove(&item_id);
        }
        self.reset_wire();
        self.interrupt_transcripts();
        let is_transcription = self.options.purpose == Purpose::Transcription;
        if let Some(survival) = &mut self.survival {
            survival.sound.suspend();
            if is_transcription {
                survival.sound.take_back();
            }
            let continues = settled.was_cut && continues;
            survival.suspended = Some(Suspended {
                at: now,
                reason,
                continues,
                summary: None,
            });
            if continues {
                self.sequencer.request_auto();
            }
        }
        if let Some(lost) = settled.response_id {
            self.settle_response(&lost, now);
        }
        self.history_updated();
        self.status_changed(Status::Reconnecting, Some(end));
    }

    /// Ends the answer that was in progress, where it was heard to.
    fn settle_lost_response(&mut self, now: Duration) -> Settled {
        let id = self.responses.current().cloned();
        let mut settled = Settled {
            response_id: id.clone(),
            ..Settled::default()
        };
        let unwanted = self.responses.is_cancelling()
            || id
                .as_deref()
                .is_some_and(|id| self.responses.is_silenced(id));
        let has_calls = id.as_deref().is_some_and(|id| self.tool_calls.any_of(id));
        // All of its sound has come, and plays to its end.
        let is_whole = id.as_deref().is_some_and(|id| {
            let spoken = self.responses.get(id).is_some_and(Response::had_audio);
            spoken && !unwanted && self.playback.is_complete(id)
        });
        self.settle_lost_track(&mut settled, now);
        if !self.responses.is_busy() {
            self.end_unfinished_but_calls();
            return settled;
        }
        if !is_whole && id.as_deref().is_some_and(|id| self.playback.holds(id)) {
            self.cut_lost_playback(now);
        }
        let heard = self.settle_lost_messages(id.as_deref(), is_whole);
        self.end_unfinished_but_calls();
        // It was about to call a function.
        let calls = id
            .as_deref()
            .is_some_and(|id| self.partial_calls.any_of(id));
        settled.was_cut |= heard && !unwanted && !is_whole;
        settled.ask_again |= (!heard || calls) && !unwanted && !has_calls;
        settled
    }

    /// Ends where they were heard to the answers that the server has ended, and played still: sound on a
    /// media track comes as it plays, and what has not come is lost.
    fn settle_lost_track(&mut self, settled: &mut Settled, now: Duration) {
        if self.capabilities.media != Media::Track || self.playback.is_empty() {
            return;
        }
        for id in self.cut_lost_playback(now) {
            if self.responses.is_current(&id) || self.responses.is_out_of_band(&id) {
                continue;
            }
            let heard = self.settle_lost_messages(Some(&id), false);
            let calls = self.tool_calls.any_of(&id);
            settled.was_cut |= heard;
            settled.ask_again |= !heard && !calls;
        }
    }

    /// Cuts all that plays where it was heard to. Returns whose playback it ended that was wanted.
    fn cut_lost_playback(&mut self, now: Duration) -> Vec<Arc<str>> {
        let cuts = self.stop_playback(now);
        self.count_heard();
        let mut wanted: Vec<Arc<str>> = Vec::new();
        for cut in &cuts {
            let id = &cut.response_id;
            if !self.responses.is_silenced(id) && !wanted.contains(id) {
                wanted.push(Arc::clone(id));
            }
        }
        for id in &wanted {
            self.responses.silence(id, self.agent_version);
        }
        self.cut(cuts);
        wanted
    }

    /// Removes the messages of that response of which nothing was heard. Returns whether anything of it
    /// was.
    fn settle_lost_messages(&mut self, response_id: Option<&str>, is_whole: bool) -> bool {
        let response = response_id.and_then(|id| self.responses.get(id));
        let words = response.map_or_else(Vec::new, |it| it.transcripts.clone());
        let written = response.is_some_and(|it| it.written);
        let is_current = response_id.is_none_or(|id| self.responses.is_current(id));
        let of_response = |item: &Item| {
            (is_current && item.is_in_progress())
                || words.iter().any(|(item_id, ..)| *item_id == item.id)
        };
        let messages: Vec<Arc<Item>> = self
            .history
            .version()
            .iter()
            .filter(|item| {
                let is_answer = matches!(
                    item.kind,
                    ItemKind::Message {
                        role: Role::Assistant,
                        ..
                    }
                );
                is_answer && of_response(item)
            })
            .cloned()
            .collect();
        let mut heard = false;
        for item in messages {
            let ItemKind::Message { content, .. } = &item.kind else {
                continue;
            };
            let mut content = content.clone();
            if content.is_empty() {
                // Text that was being written: the server states it when it is whole.
                let said = words.iter().filter(|(id, ..)| *id == item.id);
                content.extend(said.filter_map(|(_, _, text)| match (written, is_whole) {
                    (true, _) => Some(ContentPart::OutputText { text: text.clone() }),
                    (false, true) => Some(ContentPart::OutputAudio {
                        audio: None,
                        transcript: Some(text.clone()),
                        heard: None,
                    }),
                    (false, false) => None,
                }));
            }
            if heard_text(&content).is_empty() {
                self.history.remove(&item.id);
            } else {
                heard = true;
                let status = if is_whole {
                    Progress::Completed
                } else {
                    Progress::Incomplete
                };
                self.history.set_content(&item.id, content, status);
            }
        }
        heard
    }
}
