//! A new connection takes over: what it is told, and what of its confirmations is no news.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::kept_sound::Unheard;
use super::restore::{self, Replay, heard_text};
use super::{Surviving, Suspended};
use crate::conversation::Conversation;
use crate::conversation::capabilities::Media;
use crate::conversation::client_event::ClientEvent;
use crate::conversation::commands::Rejected;
use crate::conversation::core_error::CoreError;
use crate::conversation::event::{Event, Status};
use crate::conversation::history::History;
use crate::conversation::item::{Item, ItemId, ItemKind, text_at};
use crate::conversation::replay::system_message;

/// Bytes of sound in one message to a new connection.
const SOUND_PIECE: usize = 32 * 1024;

/// What the model is told, besides, where it is to go on with an answer that was cut.
const CONTINUE: &str = "Your last answer was cut off before its end. Go on with it from the word where \
                        the text of it ends.";

impl Conversation {
    /// A new connection stands: it is told everything, at once. `held_by_server`: the server has the
    /// conversation still.
    pub fn resume(
        &mut self,
        wire_id: u64,
        held_by_server: bool,
        now: Duration,
    ) -> Result<(), Rejected> {
        if wire_id != self.wire_id || self.status != Status::Reconnecting {
            return Err(Rejected::Stale);
        }
        let Some(mut survival) = self.survival.take() else {
            return Err(Rejected::Stale);
        };
        let suspended = survival.suspended.take();
        self.status_changed(Status::Connected, None);
        let held = self.outbox.release();
        let unconfirmed = self.outbox.take_unconfirmed();
        let answers = std::mem::take(&mut survival.answers);
        let (mut items, mut left_out) = (0, 0);
        if held_by_server {
            self.resumed = (!self.profile.resumes_by.is_empty()).then(Box::default);
            self.configure_again();
            for answer in answers {
                self.outbox.message(answer);
            }
        } else if self.profile.messages {
            self.configure_again();
            (items, left_out) = self.replay_history(&mut survival, suspended.as_ref());
        } else {
            // What its instructions end with is known when all items are.
            (items, left_out) = self.replay_history(&mut survival, suspended.as_ref());
            self.configure_again();
        }
        for message in unconfirmed {
            self.outbox.message(message);
        }
        self.replay_sound(&mut survival);
        for message in held {
            self.outbox.message(message);
        }
        if let Some(suspended) = suspended {
            self.outbox.event(Event::SessionRestored {
                reason: suspended.reason,
                gap: now.saturating_sub(suspended.at),
                items,
                left_out,
                resumed: held_by_server,
            });
        }
        self.survival = Some(survival);
        self.finish_again(now);
        self.flush_responses(now);
        self.settle_played();
        Ok(())
    }

    /// The history as messages.
    pub(super) fn replay(
        &self,
        history: &History,
        survival: &mut Surviving,
        summary: Option<&str>,
    ) -> Replay {
        let (prefix, mut count) = (Arc::clone(&survival.options.id_prefix), survival.count);
        let mut name = |what: &str| {
            count += 1;
            format!("{prefix}_{what}_{count}")
        };
        let replay = restore::replay(
            history,
            &survival.sound,
            &survival.options,
            |call_id| self.tool_calls.is_open(call_id),
            summary,
            &mut name,
        );
        survival.count = count;
        replay
    }

    /// The message that tells the model how to go on, and the id of its item.
    pub(super) fn go_on(
        survival: &mut Surviving,
        continues: bool,
    ) -> Option<(ItemId, ClientEvent)> {
        let mut text = survival.options.go_on.as_ref()?.to_string();
        if continues {
            text = format!("{text} {CONTINUE}");
        }
        let id = survival.name("go_on");
        let wire = system_message(&id, &text);
        let event = ClientEvent::item_replay(&wire, &id, None);
        Some((id.into(), event))
    }

    pub(super) fn replay_history(
        &mut self,
        survival: &mut Surviving,
        suspended: Option<&Suspended>,
    ) -> (u64, u64) {
        let history = self.history.version().clone();
        let summary = suspended.and_then(|it| it.summary.as_deref());
        let replay = self.replay(&history, survival, summary);
        self.history_requests.outputs_replayed(&replay.outputs);
        survival.text_only = self.playing_items();
        survival.told_calls = self.calls_told_in_instructions(&history);
        self.history_requests.forget_replayed();
        for id in replay.ids {
            self.history_requests.replayed(id);
        }
        let mut messages = replay.messages;
        let continues = suspended.is_some_and(|it| it.continues);
        if replay.items > 0
            && let Some((id, go_on)) = Self::go_on(survival, continues)
        {
            messages.push(go_on);
            self.history_requests.replayed(id);
        }
        self.tell(messages);
        (replay.items, replay.left_out)
    }

    /// The calls in it that somebody will answer, where no message can tell the server the output.
    fn calls_told_in_instructions(&self, history: &History) -> HashSet<Arc<str>> {
        if self.profile().messages {
            return HashSet::new();
        }
        let call_id = |item: &Arc<Item>| match &item.kind {
            ItemKind::FunctionCall {
                call_id,
                output: None,
                ..
            } => Some(call_id.as_deref().unwrap_or(&item.id).into()),
            _ => None,
        };
        history.iter().filter_map(call_id).collect()
    }

    /// Whether the server knows this call from its instructions alone, which have to tell the output. It is
    /// asked once.
    pub(in crate::conversation) fn take_told_call(&mut self, call_id: &str) -> bool {
        let survival = self.survival.as_mut();
        survival.is_some_and(|it| it.told_calls.remove(call_id))
    }

    /// Tells the history as it is now, in the instructions.
    pub(in crate::conversation) fn tell_again(&mut self) {
        if let Some(mut survival) = self.survival.take() {
            self.replay_history(&mut survival, None);
            self.configure_again();
            self.survival = Some(survival);
        }
    }

    /// The items of answers that still play.
    fn playing_items(&self) -> HashSet<ItemId> {
        self.playback.items().cloned().collect()
    }

    pub(super) fn replay_sound(&mut self, survival: &mut Surviving) {
        if self.capabilities.media == Media::Track {
            return self.give_up_sound(survival);
        }
        let (unheard, lost_ms) = survival.sound.resume();
        if lost_ms > 0 {
            self.report(CoreError::NotSent(format!(
                "{lost_ms} ms of the user's sound are lost: there was no connection for longer than \
                 max_unsent_audio, which is {} s",
                survival.options.max_unsent_audio.as_secs_f64()
            )));
        }
        for piece in unheard {
            match piece {
                Unheard::Sound(sound) => {
                    self.uncommitted = true;
                    for piece in sound.chunks(SOUND_PIECE) {
                        let append = if self.has_binary_audio() {
                            ClientEvent::audio_frame(piece)
                        } else {
                            ClientEvent::audio_append(piece, String::new())
                        };
                        self.send_append(append);
                    }
                }
                Unheard::Commit => {
                    self.uncommitted = false;
                    self.transcripts.commit_sent();
                    self.outbox.message(ClientEvent::audio_commit());
                }
            }
        }
    }

    /// What had gone over a media track before the server put it into an item is lost: it is no message,
    /// and nobody has kept it.
    fn give_up_sound(&mut self, survival: &mut Surviving) {
        let sound = &survival.sound;
        let in_turn = std::mem::take(&mut self.uncommitted) && sound.is_by_hand();
        if in_turn || sound.is_speech_open() || sound.is_turn_over() {
            self.report(CoreError::NotSent(
                "what the user had said in this turn before the call was lost is lost too: sound on a \
                 media track is not kept; the model has not heard it"
                    .to_owned(),
            ));
        }
        survival.sound.reset();
    }

    /// Whether an item that the server confirms was told to it: it is known, and no news.
    pub(in crate::conversation) fn is_replayed(&mut self, kind: &str, event: &Value) -> bool {
        let id = text_at(event, &["item", "id"]);
        let done = kind == "conversation.item.done" || !self.profile.ends_items;
        id.is_some_and(|id| self.history_requests.confirms_replayed(id, done))
    }

    /// Whether an item was deleted to be told in another way.
    pub(in crate::conversation) fn is_replaced(&self, event: &Value) -> bool {
        let id = event.get("item_id").and_then(Value::as_str);
        id.is_some_and(|id| self.history_requests.is_replayed(id))
    }

    /// Whether the server has this answer as text, which cannot be truncated.
    pub(in crate::conversation) fn is_text_only(&self, item_id: &str) -> bool {
        self.survival
            .as_ref()
            .is_some_and(|survival| survival.text_only.contains(item_id))
    }

    /// Replaces an answer that the server has as text by what was heard of it.
    pub(in crate::conversation) fn replay_cut(&mut self, item_id: &ItemId) {
        if !self.profile().messages {
            return self.tell_again();
        }
        let Some(mut survival) = self.survival.take() else {
            return;
        };
        let history = self.history.version();
        let at = history.iter().position(|item| item.id == *item_id);
        if let Some(at) = at
            && let Some(item) = history.get(at)
            && let ItemKind::Message { content, .. } = &item.kind
        {
            let text = heard_text(content);
            let previous = at.checked_sub(1).and_then(|before| history.get(before));
            let previous = previous.map_or_else(|| "root".into(), |item| Arc::clone(&item.id));
            let event_id = survival.name("forget");
            self.outbox
                .message(ClientEvent::item_delete(item_id, &event_id));
            self.history_requests.replayed(Arc::clone(item_id));
            if !text.is_empty() {
                let wire = serde_json::json!({
                    "type": "message", "id": &**item_id, "role": "assistant",
                    "content": [{"type": "output_text", "text": text}],
                });
                let event_id = survival.name("restore");
                let event = ClientEvent::item_replay(&wire, &event_id, Some(&previous));
                self.outbox.message(event);
            }
        }
        survival.text_only.remove(item_id);
        self.survival = Some(survival);
    }

    /// A command's message with an id for the item that it creates, so that the server's confirmation
    /// can be told.
    pub(in crate::conversation) fn with_item_id(
        &mut self,
        event: &Map<String, Value>,
    ) -> ClientEvent {
        let mut event = event.clone();
        if let Some(survival) = &mut self.survival
            && let Some(Value::Object(item)) = event.get_mut("item")
            && !item.get("id").is_some_and(Value::is_string)
        {
            let id = survival.name("item");
            item.insert("id".to_owned(), id.into());
        }
        ClientEvent {
            as_it_is: false,
            ..ClientEvent::from_user(event)
        }
    }
}
