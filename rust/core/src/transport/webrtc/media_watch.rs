//! Whether the answer's sound comes that is to come.
//!
//! Some servers send silence between two answers and some send nothing, so nothing is expected then.
//! While an answer plays, a server sends its sound in real time: none for a while is a stall. So is a
//! server from which nothing comes at all.

use std::time::Duration;

use crate::transport::media::{MediaChange, MediaStatus};

/// Why sound counts as stalled, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stall {
    /// No sound of an answer came.
    NoSound(Duration),
    /// Nothing came.
    NoSign(Duration),
}

/// Watches the answer's sound.
#[derive(Debug)]
pub(super) struct MediaWatch {
    /// How long none may come while an answer plays.
    patience: Duration,
    /// The answer that plays, and since when.
    playing: Option<(u64, Duration)>,
    /// When sound came last.
    last: Duration,
    stall: Option<Stall>,
}

impl MediaWatch {
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            playing: None,
            last: Duration::ZERO,
            stall: None,
        }
    }

    /// The server plays this answer now; 0: none.
    pub fn playing(&mut self, segment: u64, now: Duration) {
        let known = self.playing.map_or(0, |(known, _)| known);
        if segment != known {
            self.playing = (segment != 0).then_some((segment, now));
        }
    }

    /// Sound came.
    pub fn sound(&mut self, now: Duration) -> Option<MediaChange> {
        self.last = now;
        self.resumed(now)
    }

    /// Nothing has come from the server for `silence`.
    pub fn no_sign(&mut self, silence: Duration, now: Duration) -> Option<MediaChange> {
        if self.stall.is_some() {
            return None;
        }
        Some(self.stalled(Stall::NoSign(now.saturating_sub(silence)), now))
    }

    /// Something has come again. Where an answer plays, its sound has to come as well.
    pub fn sign(&mut self, now: Duration) -> Option<MediaChange> {
        match self.stall {
            Some(Stall::NoSign(_)) if self.playing.is_none() => self.resumed(now),
            _ => None,
        }
    }

    /// When [`poll`](Self::poll) has something to say.
    pub fn deadline(&self) -> Option<Duration> {
        let since = self.expected_since().filter(|_| self.stall.is_none())?;
        Some(since + self.patience)
    }

    pub fn poll(&mut self, now: Duration) -> Option<MediaChange> {
        let due = self.deadline().is_some_and(|due| due <= now);
        let since = self.expected_since().filter(|_| due)?;
        Some(self.stalled(Stall::NoSound(since), now))
    }

    /// The connection is lost.
    pub fn lost(&mut self, now: Duration) -> Option<MediaChange> {
        self.ended(MediaStatus::Lost, now)
    }

    fn expected_since(&self) -> Option<Duration> {
        self.playing.map(|(_, since)| since.max(self.last))
    }

    fn resumed(&mut self, now: Duration) -> Option<MediaChange> {
        self.ended(MediaStatus::Resumed, now)
    }

    fn stalled(&mut self, stall: Stall, now: Duration) -> MediaChange {
        self.stall = Some(stall);
        let (Stall::NoSound(since) | Stall::NoSign(since)) = stall;
        MediaChange {
            status: MediaStatus::Stalled,
            silence: now.saturating_sub(since),
        }
    }

    fn ended(&mut self, status: MediaStatus, now: Duration) -> Option<MediaChange> {
        let (Stall::NoSound(since) | Stall::NoSign(since)) = self.stall.take()?;
        Some(MediaChange {
            status,
            silence: now.saturating_sub(since),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn told(change: Option<MediaChange>) -> Option<(&'static str, u128)> {
        change.map(|it| (it.status.as_str(), it.silence.as_millis()))
    }

    #[test]
    fn nothing_is_expected_where_no_answer_plays() {
        let mut watch = MediaWatch::new(ms(2000));
        assert_eq!(watch.deadline(), None);
        assert_eq!(told(watch.sound(ms(100))), None);
        assert_eq!(told(watch.poll(ms(60_000))), None);
        watch.playing(1, ms(60_000));
        assert_eq!(watch.deadline(), Some(ms(62_000)));
        watch.playing(0, ms(61_999));
        assert_eq!(watch.deadline(), None);
        assert_eq!(told(watch.poll(ms(70_000))), None);
    }

    #[test]
    fn sound_stalls_while_an_answer_plays_and_resumes_with_the_next_packet() {
        let mut watch = MediaWatch::new(ms(2000));
        watch.playing(1, ms(1000));
        watch.sound(ms(1500));
        // Each event of the server says what plays.
        watch.playing(1, ms(3000));
        assert_eq!(told(watch.poll(ms(3499))), None);
        assert_eq!(told(watch.poll(ms(3500))), Some(("stalled", 2000)));
        assert_eq!((watch.deadline(), told(watch.poll(ms(9000)))), (None, None));
        // A connection that lives is no sound.
        assert_eq!(told(watch.sign(ms(9000))), None);
        assert_eq!(told(watch.sound(ms(9500))), Some(("resumed", 8000)));
        assert_eq!(told(watch.poll(ms(11_500))), Some(("stalled", 2000)));
        assert_eq!(told(watch.lost(ms(12_000))), Some(("lost", 2500)));
        assert_eq!(told(watch.lost(ms(12_000))), None);
    }

    #[test]
    fn a_silent_server_is_a_stall_and_its_next_sign_ends_it_where_nothing_plays() {
        let mut watch = MediaWatch::new(ms(2000));
        assert_eq!(
            told(watch.no_sign(ms(5000), ms(8000))),
            Some(("stalled", 5000))
        );
        assert_eq!(told(watch.no_sign(ms(5000), ms(8000))), None);
        assert_eq!(told(watch.sign(ms(9000))), Some(("resumed", 6000)));
        watch.no_sign(ms(5000), ms(20_000));
        watch.playing(1, ms(20_500));
        assert_eq!(told(watch.sign(ms(21_000))), None);
        assert_eq!(told(watch.sound(ms(21_020))), Some(("resumed", 6020)));
    }

    #[test]
    fn the_next_answer_has_the_whole_time_where_none_came_in_between() {
        let mut watch = MediaWatch::new(ms(2000));
        watch.playing(1, ms(0));
        watch.sound(ms(500));
        watch.playing(2, ms(30_000));
        assert_eq!(watch.deadline(), Some(ms(32_000)));
    }
}
