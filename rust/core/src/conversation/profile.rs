//! What a conversation has to know of its provider. It knows no provider by name: a profile says what is
//! to be done in another way.

use std::sync::Arc;

use super::Conversation;
use super::client_event::ClientEvent;
use super::dialect::{self, Dialect};

/// How a provider wants client events written, and what of the protocol it does not have. The default is the
/// GA protocol, all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are independent of each other"
)]
pub struct Profile {
    pub dialect: Dialect,
    /// Whether it knows `conversation.item.truncate`. Otherwise the history alone says what was heard.
    pub truncates: bool,
    /// Whether it knows `conversation.item.retrieve`.
    pub retrieves: bool,
    /// Whether `response.cancel` may name the response.
    pub cancels_by_id: bool,
    /// Whether a session has `tracing`.
    pub traces: bool,
    /// Whether clients may create messages and calls. Otherwise a conversation that begins with some is told
    /// them at the end of the instructions, and so is what a guardrail says.
    pub messages: bool,
    /// Whether an item that a client created is confirmed by `conversation.item.done` at last.
    pub ends_items: bool,
    /// The field of the URL by which a new connection goes on with the conversation that the server holds, as
    /// its `conversation.created` named it. Empty: the server holds none.
    pub resumes_by: String,
    /// Whether sound travels in binary frames, as bytes of the session's formats and nothing else.
    pub binary_audio: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            truncates: true,
            retrieves: true,
            cancels_by_id: true,
            traces: true,
            messages: true,
            ends_items: true,
            resumes_by: String::new(),
            binary_audio: false,
        }
    }
}

impl Conversation {
    /// Sets what is known of the provider. Holds for connections that begin from now on.
    pub fn follow_profile(&mut self, profile: Profile) {
        self.outbox.write_in(&profile.dialect);
        self.profile = profile;
    }

    /// What is known of the provider.
    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Tells the model items of the history that the server has not: each as a message of its own, or all
    /// at the end of the instructions.
    pub(super) fn tell(&mut self, creations: Vec<ClientEvent>) {
        if self.profile.messages {
            for message in creations {
                self.outbox.message(message);
            }
            return;
        }
        let told = dialect::told(&creations);
        self.outbox.tell(told.map(Arc::from));
    }
}
