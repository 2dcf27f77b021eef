use std::time::Duration;

use crate::audio::rtp::minimum::RecentMinimum;

/// The pause after which the measurements of the path are discarded: by then a clock that is off by 200
/// parts per million has drifted by two milliseconds.
const PAUSE: Duration = Duration::from_secs(10);

/// The transit time of the fastest packets: the minimum delay of the path plus the offset between the
/// sender's clock and ours. It follows clock drift and changes of the path.
#[derive(Clone, Debug, Default)]
pub(super) struct BaseDelay {
    recent: RecentMinimum,
    last_observed: Duration,
}

impl BaseDelay {
    /// Notes the transit time of a packet, in microseconds; returns by how much it exceeds the minimum.
    pub(super) fn observe(&mut self, transit: i64, now: Duration) -> i64 {
        if now.saturating_sub(self.last_observed) > PAUSE {
            self.recent.clear();
        }
        self.last_observed = now;
        self.recent.observe(transit, now);
        transit - self.get().unwrap_or(transit)
    }

    /// Discards all transit times but this one.
    pub(super) fn restart(&mut self, transit: i64, now: Duration) {
        self.recent.clear();
        self.recent.observe(transit, now);
    }

    pub(super) fn get(&self) -> Option<i64> {
        self.recent.get()
    }
}
