//! The carriers: one file for each, with its codec.

mod twilio;

pub use twilio::Twilio;
