use std::time::Duration;

use crate::audio::rtp::minimum::RecentMinimum;

/// After so long without packets nothing is known of the path: by then a clock that is wrong by 200
/// parts in a million has moved by two milliseconds.
const PAUSE: Duration = Duration::from_secs(10);

/// The transit time of the fastest packets: what the path takes at least, plus the difference of the
/// sender's clock and ours. It follows clocks that drift apart and paths that change.
#[derive(Clone, Debug, Default)]
pub(super) struct BaseDelay {
    recent: RecentMinimum,
    heard: Duration,
}

impl BaseDelay {
    /// Notes the transit time of a packet, in microseconds; returns by how much it exceeds the least.
    pub(super) fn observe(&mut self, transit: i64, now: Duration) -> i64 {
        if now.saturating_sub(self.heard) > PAUSE {
            self.recent.clear();
        }
        self.heard = now;
        self.recent.observe(transit, now);
        transit - self.get().unwrap_or(transit)
    }

    /// Forgets all transit times but this one.
    pub(super) fn restart(&mut self, transit: i64, now: Duration) {
        self.recent.clear();
        self.recent.observe(transit, now);
    }

    pub(super) fn get(&self) -> Option<i64> {
        self.recent.get()
    }
}
