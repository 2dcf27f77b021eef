//! One ticker for the microphones of all sessions.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

const TICK: Duration = Duration::from_millis(5);
/// Ticks between two chunks of one microphone.
const SLOTS: usize = 20;

/// What is due at a tick.
#[derive(Debug, Default)]
pub struct Due {
    /// Sessions that begin their turn.
    pub start: Vec<usize>,
    /// Sessions whose microphone has a chunk.
    pub send: Vec<usize>,
}

/// A session starts when it is its turn, and sends every 100 ms from then on.
#[derive(Debug)]
pub struct Ticker {
    begun: Instant,
    now: usize,
    sessions: usize,
    started: usize,
    /// Ticks from the first session's start to what would be the next after the last.
    spread: f64,
    chunks: usize,
    /// Sessions that send at a tick, with what they still send.
    slots: Vec<Vec<(usize, usize)>>,
    due: Due,
}

impl Ticker {
    /// Each session sends `chunks` chunks; they start over `spread`.
    pub fn new(sessions: usize, spread: Duration, chunks: usize) -> Self {
        Self {
            begun: Instant::now(),
            now: 0,
            sessions,
            started: 0,
            spread: spread.as_secs_f64() / TICK.as_secs_f64(),
            chunks,
            slots: vec![Vec::new(); SLOTS],
            due: Due::default(),
        }
    }

    /// Waits for the next tick; none when all is sent.
    pub async fn next(&mut self) -> Option<&Due> {
        if self.started == self.sessions && self.slots.iter().all(Vec::is_empty) {
            return None;
        }
        sleep_until(self.begun + TICK * self.now as u32).await;
        let slot = &mut self.slots[self.now % SLOTS];
        self.due.start.clear();
        while self.started < self.sessions
            && self.spread * self.started as f64 / self.sessions as f64 <= self.now as f64
        {
            self.due.start.push(self.started);
            slot.push((self.started, self.chunks));
            self.started += 1;
        }
        slot.retain(|(_, left)| *left > 0);
        self.due.send.clear();
        for (session, left) in slot {
            *left -= 1;
            self.due.send.push(*session);
        }
        self.now += 1;
        Some(&self.due)
    }
}
