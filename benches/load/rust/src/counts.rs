//! What the server has done, for everybody who asks at `/stats`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::{cpu_ns, monotonic_ns};

/// How long the segments are of which the busiest is told.
const STRETCH: Duration = Duration::from_millis(500);

/// Totals since the start. All are written by one thread: atomics only because tasks are `Send`.
#[derive(Debug, Default)]
pub struct Counts {
    sessions: AtomicU64,
    open: AtomicU64,
    /// Connections that were accepted and whose handshake has not been answered, and the most of them at
    /// once.
    handshakes: AtomicU64,
    most_handshakes: AtomicU64,
    pub responses: AtomicU64,
    pub frames_sent: AtomicU64,
    pub audio_deltas: AtomicU64,
    pub audio_bytes: AtomicU64,
    pub mic_frames: AtomicU64,
    pub mic_bad: AtomicU64,
    pub retrieved: AtomicU64,
    /// Messages and frames that could not be read.
    pub unreadable: AtomicU64,
    /// How late the latest tick was since somebody asked last.
    late_ns: AtomicU64,
    /// The busiest segment since somebody asked last, in thousandths of the core.
    busiest: AtomicU64,
}

pub fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Relaxed);
}

impl Counts {
    pub fn accepted(&self) {
        let under_way = self.handshakes.fetch_add(1, Relaxed) + 1;
        self.most_handshakes.fetch_max(under_way, Relaxed);
    }

    pub fn answered(&self) {
        self.handshakes.fetch_sub(1, Relaxed);
    }

    pub fn opened(&self) {
        self.sessions.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
    }

    pub fn closed(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    pub fn late(&self, by: Duration) {
        self.late_ns.fetch_max(by.as_nanos() as u64, Relaxed);
    }

    /// Watches how busy the server is with streaming, for ever. Stretches in which clients connect
    /// or nothing is said do not count.
    pub async fn watch_core(&self) {
        let mut every = tokio::time::interval(STRETCH);
        let mut before = self.moment();
        loop {
            every.tick().await;
            let now = self.moment();
            if now.sessions == before.sessions && now.frames_sent > before.frames_sent {
                let share = (now.cpu - before.cpu) * 1000 / (now.wall - before.wall).max(1);
                self.busiest.fetch_max(share, Relaxed);
            }
            before = now;
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            cpu: cpu_ns(),
            wall: monotonic_ns(),
            sessions: self.sessions.load(Relaxed),
            frames_sent: self.frames_sent.load(Relaxed),
        }
    }

    /// All of it; forgets what is kept since somebody asked last.
    pub fn tell(&self) -> Value {
        json!({
            "sessions": self.sessions.load(Relaxed),
            "open": self.open.load(Relaxed),
            "most_handshakes": self.most_handshakes.load(Relaxed),
            "responses": self.responses.load(Relaxed),
            "frames_sent": self.frames_sent.load(Relaxed),
            "audio_deltas": self.audio_deltas.load(Relaxed),
            "audio_bytes": self.audio_bytes.load(Relaxed),
            "mic_frames": self.mic_frames.load(Relaxed),
            "mic_bad": self.mic_bad.load(Relaxed),
            "retrieved": self.retrieved.load(Relaxed),
            "unreadable": self.unreadable.load(Relaxed),
            "cpu_s": cpu_ns() as f64 / 1e9,
            "busiest_share": self.busiest.swap(0, Relaxed) as f64 / 1e3,
            "latest_tick_ms": self.late_ns.swap(0, Relaxed) as f64 / 1e6,
        })
    }
}

/// Where things stood.
struct Moment {
    cpu: u64,
    wall: u64,
    sessions: u64,
    frames_sent: u64,
}
