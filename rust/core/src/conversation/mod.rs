//! The conversation as a state machine without IO.
