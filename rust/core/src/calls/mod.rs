//! Calls: the caller's end of a conversation.

pub mod security;
