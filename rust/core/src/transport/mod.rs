//! Drivers that carry a conversation over a network.
