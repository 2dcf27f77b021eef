//! The options of a call, with their defaults.

use std::time::Duration;

use super::leg::LegOptions;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOptions {
    pub leg: LegOptions,
    /// The caller's sound that is kept until a session takes it, the newest of it: 15 s.
    pub max_early: Duration,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            leg: LegOptions::default(),
            max_early: Duration::from_secs(15),
        }
    }
}
