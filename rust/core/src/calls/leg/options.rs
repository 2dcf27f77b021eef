//! The options of a leg, each with its default.

use std::time::Duration;

use crate::calls::intake::IntakeOptions;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegOptions {
    pub intake: IntakeOptions,
    /// How long a stream may take to start: 10 s.
    pub start_timeout: Duration,
    /// How long a line that broke is waited for before the call is over: 5 s.
    pub resume_timeout: Duration,
    /// The longest call: 4 hours; `None`: no bound.
    pub max_call: Option<Duration>,
    /// How long both sides may be silent before an event says so, and as long again before this side
    /// hangs up: `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// How much sound the caller may send faster than in real time: 15 s. What is beyond is dropped.
    pub max_ahead: Duration,
    /// The sound that may wait to be sent to the caller, besides what the far side buffers: 10 minutes.
    /// Past it the newest is dropped.
    pub max_unsent: Duration,
    /// How long a call stands without its session, once that was lost for good and all is heard: 10 s;
    /// `None`: for ever.
    pub session_timeout: Option<Duration>,
    /// How long the end of what is played is waited for before this side hangs up all the same: 30 s.
    pub hang_up_timeout: Duration,
}

impl Default for LegOptions {
    fn default() -> Self {
        Self {
            intake: IntakeOptions::default(),
            start_timeout: Duration::from_secs(10),
            resume_timeout: Duration::from_secs(5),
            max_call: Some(Duration::from_secs(4 * 60 * 60)),
            idle_timeout: None,
            max_ahead: Duration::from_secs(15),
            max_unsent: Duration::from_secs(10 * 60),
            session_timeout: Some(Duration::from_secs(10)),
            hang_up_timeout: Duration::from_secs(30),
        }
    }
}
