//! Binary frames of the server.

use super::Session;
use crate::conversation::{Conversation, ServerEvent};

impl Session {
    /// What a binary frame of the server says: sound, where the provider sends it so.
    pub(super) fn binary_frame(&self, frame: &[u8]) -> ServerEvent<'static> {
        let part = self.look(Conversation::part_of_frame);
        ServerEvent::binary(frame, part, self.interest(), || self.sink.spare_buffer())
    }
}
