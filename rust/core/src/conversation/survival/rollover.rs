//! A second connection that takes over while the first one stands: it is told the conversation in
//! advance, and then what changed since.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::Surviving;
use super::restore::{self, Replay};
use crate::conversation::Conversation;
use crate::conversation::client_event::ClientEvent;
use crate::conversation::configuration::Configuration;
use crate::conversation::dialect;
use crate::conversation::event::{Event, Status};
use crate::conversation::item::{Item, ItemId};
use crate::conversation::purpose::Purpose;

/// What a second connection was told.
#[derive(Debug, Default)]
pub struct Replayed {
    /// The messages that tell it.
    pub messages: Vec<ClientEvent>,
    /// The ids of the items that it has to confirm.
    pub ids: HashSet<ItemId>,
    /// The items of the history that they tell, in its order.
    items: Vec<Arc<Item>>,
    left_out: u64,
    /// The configuration that it begins with.
    configuration: Configuration,
    /// What its instructions end with.
    ending: Option<Arc<str>>,
}

impl Conversation {
    /// Whether nothing is under way that another connection could not go on with at once: no answer, no
    /// request, no call at work, no approval of a hosted call, no speech, nothing left to play, nothing
    /// unconfirmed.
    pub fn is_quiet(&mut self, now: Duration) -> bool {
        if self.status != Status::Connected {
            return false;
        }
        self.advance_playback(now);
        let speaks = self
            .survival
            .as_ref()
            .is_none_or(|it| it.sound.is_speech_open() || it.sound.is_turn_over());
        // Sound that went over a media track is not told again.
        let is_lost = |it: &Surviving| it.sound.is_apart() && it.sound.is_by_hand();
        let in_turn = self.uncommitted && self.survival.as_deref().is_some_and(is_lost);
        let awaits_words = self.options.purpose == Purpose::Transcription && self.awaits_words();
        !speaks
            && !in_turn
            && !awaits_words
            && !self.responses.is_busy()
            && !self.responses.any_out_of_band()
            && self.mcp_approvals.values().all(|it| it.is_answered)
            && self.sequencer.is_idle()
            && !self.own_response_due
            && !self.tool_calls.any_at_work()
            && self.playback.is_empty()
            && self.outbox.is_confirmed()
            && !self.history_requests.is_open()
    }

    /// What a second connection is told in advance.
    pub fn replay_in_advance(&mut self) -> Replayed {
        let Some(mut survival) = self.survival.take() else {
            return Replayed::default();
        };
        let mut replayed = Replayed::default();
        let history = self.history.version().clone();
        let replay = self.replay(&history, &mut survival, None);
        let Replay {
            messages: mut creations,
            mut ids,
            items,
            left_out,
            ..
        } = replay;
        if items > 0
            && let Some((id, go_on)) = Self::go_on(&mut survival, false)
        {
            creations.push(go_on);
            ids.push(id);
        }
        replayed.configuration = self.configuration.clone();
        let mut messages = vec![self.configuration.update().into()];
        if self.profile.traces && self.options.purpose == Purpose::Conversation {
            messages.push(ClientEvent::tracing_update(&self.tracing));
        }
        let mut told = None;
        if self.profile.messages {
            messages.extend(creations);
            replayed.ids.extend(ids);
        } else {
            told = dialect::told(&creations).map(Arc::from);
        }
        let before = self.outbox.tell(told);
        replayed.ending = self.outbox.ending();
        let written = messages.into_iter().map(|it| self.outbox.written(it));
        replayed.messages = written.collect();
        self.outbox.tell(before);
        replayed.items = history.iter().cloned().collect();
        replayed.left_out = left_out;
        self.survival = Some(survival);
        replayed
    }

    /// The second connection takes over, as `wire_id`: it is told what has changed since.
    pub fn take_over(&mut self, wire_id: u64, replayed: &Replayed) {
        let Some(mut survival) = self.survival.take() else {
            return;
        };
        self.wire_id = wire_id;
        self.history_requests.suspend();
        self.outbox.take_unconfirmed();
        self.reset_wire();
        // Another agent may be in charge by now.
        let is_changed = replayed.configuration != self.configuration;
        if !self.profile.messages {
            let (items, _) = self.replay_history(&mut survival, None);
            if is_changed || self.outbox.ending() != replayed.ending {
                self.configure_again();
            }
            return self.taken_over(survival, items, replayed.left_out);
        }
        if is_changed {
            self.configure_again();
        }
        let known: HashMap<&str, &Arc<Item>> = replayed
            .items
            .iter()
            .map(|item| (&*item.id, item))
            .collect();
        let history = self.history.version().clone();
        let present: HashSet<&str> = history.iter().map(|item| &*item.id).collect();
        for gone in replayed
            .items
            .iter()
            .filter(|item| !present.contains(&*item.id))
        {
            let event_id = survival.name("forget");
            self.outbox
                .message(ClientEvent::item_delete(&gone.id, &event_id));
        }
        let mut previous: ItemId = "root".into();
        let (mut items, mut outputs) = (0, Vec::new());
        for item in history.iter() {
            let is_open = |call_id: &str| self.tool_calls.is_open(call_id);
            let wanted = restore::replayed(item, &survival.sound, &is_open);
            let same = known
                .get(&*item.id)
                .is_some_and(|before| Arc::ptr_eq(before, item) || ***before == **item);
            if !same && known.contains_key(&*item.id) {
                let event_id = survival.name("forget");
                self.history_requests.replayed(Arc::clone(&item.id));
                self.outbox
                    .message(ClientEvent::item_delete(&item.id, &event_id));
            }
            let Some(wanted) = wanted else { continue };
            items += 1;
            outputs.extend(wanted.output);
            for (id, wire) in wanted.created {
                if !same {
                    let event_id = survival.name("restore");
                    let event = ClientEvent::item_replay(&wire, &event_id, Some(&previous));
                    self.outbox.message(event);
                    self.history_requests.replayed(Arc::clone(&id));
                }
                previous = id;
            }
        }
        self.history_requests.outputs_replayed(&outputs);
        self.taken_over(survival, items, replayed.left_out);
    }

    fn taken_over(&mut self, mut survival: Box<Surviving>, items: u64, left_out: u64) {
        self.replay_sound(&mut survival);
        self.outbox.event(Event::SessionRestored {
            reason: "rollover",
            gap: Duration::ZERO,
            items,
            left_out,
            resumed: false,
        });
        self.survival = Some(survival);
    }
}
