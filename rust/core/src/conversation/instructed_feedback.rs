//! What a guardrail says to a model whose provider takes no messages from a client.
//!
//! It stands at the end of the instructions, after the conversation so far, until a response that has read it
//! there has ended. Where that response calls functions, the one that answers with their outputs reads it too.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Conversation, Status, dialect};

/// Feedback that the instructions end with.
#[derive(Debug, Default)]
pub(super) struct InstructedFeedback {
    /// The index of the response that began with it in the instructions.
    read_by: Option<u64>,
}

impl Conversation {
    /// Has the instructions end with the words of a message (a whole `conversation.item.create`). They take
    /// the place of what a guardrail said before.
    pub(super) fn tell_for_one_answer(&mut self, message: &Map<String, Value>) {
        let words = message.get("item").and_then(dialect::words);
        self.outbox.tell_feedback(words.map(Arc::from));
        self.feedback = Some(InstructedFeedback::default());
        if self.status == Status::Connected {
            self.configure_again();
        }
    }

    /// A response has begun that somebody wants.
    pub(super) fn feedback_is_read(&mut self) {
        if let Some(feedback) = &mut self.feedback {
            feedback.read_by = Some(self.responses.index());
        }
    }

    /// The newest response has ended. `announced`: its beginning was.
    pub(super) fn feedback_is_answered(&mut self, response_id: Option<&str>, announced: bool) {
        let index = self.responses.index();
        let Some(feedback) = &mut self.feedback else {
            return;
        };
        if announced && feedback.read_by != Some(index) {
            return;
        }
        if response_id.is_some_and(|id| self.tool_calls.any_of(id)) {
            feedback.read_by = None;
            return;
        }
        self.forget_feedback();
        self.configure_again();
    }

    /// The connection is lost, and the response in progress with it. `goes_on`: another one is to take its
    /// place.
    pub(super) fn feedback_lost(&mut self, response_id: Option<&str>, goes_on: bool) {
        let Some(feedback) = &mut self.feedback else {
            return;
        };
        let calls = response_id.is_some_and(|id| self.tool_calls.any_of(id));
        if feedback.read_by.take().is_some() && !goes_on && !calls {
            self.forget_feedback();
        }
    }

    /// Feedback stands in no `session.update` from now on.
    pub(super) fn forget_feedback(&mut self) {
        self.feedback = None;
        self.outbox.tell_feedback(None);
    }
}
