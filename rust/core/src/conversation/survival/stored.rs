//! A conversation that another session left, which this one goes on with.

use std::sync::Arc;
use std::time::Duration;

use super::Surviving;
use crate::conversation::Conversation;
use crate::conversation::commands::Rejected;
use crate::conversation::event::{Event, Status};
use crate::conversation::item::{Item, ItemKind, Progress, Role};
use crate::conversation::replay::WrittenItem;
use crate::conversation::tool_calls::FunctionCall;

impl Conversation {
    /// Has the next connection go on with a stored history: it is told the items, which are no news, and
    /// the calls in it that nobody has answered are run.
    pub fn restore(&mut self, items: &[WrittenItem]) -> Result<(), Rejected> {
        if self.status != Status::Disconnected {
            return Err(Rejected::AlreadyConnected);
        }
        let Some(survival) = &mut self.survival else {
            return Err(Rejected::Invalid(
                "a session that does not connect again cannot go on with a snapshot: give it a \
                 ReconnectPolicy"
                    .to_owned(),
            ));
        };
        survival.stored = items.iter().map(WrittenItem::stored).collect();
        Ok(())
    }

    /// Puts the stored items into the history of a conversation that begins, and tells the server.
    pub(in crate::conversation) fn replay_stored(&mut self) -> bool {
        let Some(mut survival) = self.survival.take() else {
            return false;
        };
        let stored = std::mem::take(&mut survival.stored);
        let is_stored = !stored.is_empty();
        if is_stored {
            self.put_stored(&mut survival, stored);
        }
        self.survival = Some(survival);
        is_stored
    }

    fn put_stored(&mut self, survival: &mut Surviving, stored: Vec<Item>) {
        let mut calls = Vec::new();
        for item in stored {
            let item = self.history.append(item);
            calls.extend(self.unanswered(&item));
        }
        for call in &calls {
            self.tool_calls.arrive(call);
        }
        self.history_updated();
        self.replay_history(survival, None);
        for call in calls {
            self.responses
                .entry(&call.response_id, self.agent_version)
                .done = true;
            self.outbox.event(Event::FunctionCall(call));
        }
        let last = self.history.version().iter().last().cloned();
        let waits = last.is_some_and(|item| {
            matches!(
                item.kind,
                ItemKind::Message {
                    role: Role::User,
                    ..
                } | ItemKind::FunctionCall {
                    output: Some(_),
                    ..
                }
            )
        });
        if waits {
            // The user had spoken, or a tool had answered, and the model had not.
            self.sequencer.request_auto();
        }
    }

    /// Asks for the answer that a stored conversation waits for.
    pub fn ask_for_stored(&mut self, now: Duration) {
        self.flush_responses(now);
    }

    /// The call that an item holds, if it waits for its output.
    fn unanswered(&self, item: &Item) -> Option<Arc<FunctionCall>> {
        let ItemKind::FunctionCall {
            call_id,
            name,
            arguments,
            output: None,
            status: Progress::InProgress,
        } = &item.kind
        else {
            return None;
        };
        Some(Arc::new(FunctionCall {
            item_id: Arc::clone(&item.id),
            call_id: call_id
                .as_deref()
                .map_or_else(|| Arc::clone(&item.id), Arc::from),
            name: name.clone(),
            arguments: arguments.clone(),
            response_id: format!("stored_{}", item.id).into(),
            agent_version: self.agent_version,
            connection_id: self.connection_id,
        }))
    }
}
