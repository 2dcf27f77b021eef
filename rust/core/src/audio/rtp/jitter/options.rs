use std::time::Duration;

use thiserror::Error;

/// The longest `max_delay`; with a longer one no conversation is possible.
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// The limits of a jitter buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitterOptions {
    /// The least target delay. Default: 20 ms.
    pub min_delay: Duration,
    /// The target delay before the path has been measured. Default: 40 ms.
    pub start_delay: Duration,
    /// The greatest target delay, at most two seconds. Default: 200 ms. A packet that is slower than all
    /// others by more than this is taken for the end of a pause of the sender.
    pub max_delay: Duration,
    /// The most packets that wait. Default: 512.
    pub max_packets: usize,
    /// The most bytes of payload that wait. Default: 128 KiB.
    pub max_bytes: usize,
    /// How much sound may come faster than in real time. Default: 15 s. What is beyond is dropped.
    pub max_ahead: Duration,
}

impl Default for JitterOptions {
    fn default() -> Self {
        Self {
            min_delay: Duration::from_millis(20),
            start_delay: Duration::from_millis(40),
            max_delay: Duration::from_millis(200),
            max_packets: 512,
            max_bytes: 128 * 1024,
            max_ahead: Duration::from_secs(15),
        }
    }
}

/// Why a jitter buffer cannot be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JitterError {
    /// Delays out of order.
    #[error(
        "min_delay is {min:?}, start_delay {start:?} and max_delay {max:?}: \
         they must not decrease in this order, and max_delay is at most 2 s"
    )]
    Delays {
        /// The least.
        min: Duration,
        /// The first.
        start: Duration,
        /// The greatest.
        max: Duration,
    },
    /// A limit of zero.
    #[error("{0} is 0: a jitter buffer needs room for a packet")]
    NoRoom(&'static str),
}

impl JitterOptions {
    pub(super) fn check(&self) -> Result<(), JitterError> {
        let (min, start, max) = (self.min_delay, self.start_delay, self.max_delay);
        if min > start || start > max || max > LONGEST_DELAY {
            return Err(JitterError::Delays { min, start, max });
        }
        for (limit, name) in [
            (self.max_packets, "max_packets"),
            (self.max_bytes, "max_bytes"),
        ] {
            if limit == 0 {
                return Err(JitterError::NoRoom(name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_limits_are_refused_by_name() {
        let ms = Duration::from_millis;
        let options = JitterOptions {
            min_delay: ms(60),
            ..<_>::default()
        };
        let error = options.check().unwrap_err().to_string();
        assert!(error.starts_with("min_delay is 60ms, start_delay 40ms"));
        let options = JitterOptions {
            max_bytes: 0,
            ..<_>::default()
        };
        assert_eq!(options.check(), Err(JitterError::NoRoom("max_bytes")));
        assert_eq!(JitterOptions::default().check(), Ok(()));
    }
}
