//! The line of results.

use std::fs;

use serde_json::{Map, Value, json};

use super::options::Options;
use super::session::Received;
use crate::clock::{cpu_ns, monotonic_ns};

/// The size of a page on the machines that this runs on.
const PAGE_KB: usize = 4;

pub fn resident_kb() -> usize {
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or_default() * PAGE_KB
}

/// The beginning of a line of results.
pub fn begin(options: &Options) -> Map<String, Value> {
    let told = [
        ("n", json!(options.sessions)),
        ("mode", json!(options.mode)),
        ("chunks", json!(options.chunks)),
        ("responses", json!(options.responses)),
        ("spread", json!(options.spread)),
        ("rss_idle_kb", json!(resident_kb())),
    ];
    told.map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

/// What is used from its making on.
#[derive(Debug)]
pub struct Stretch {
    cpu: u64,
    wall: u64,
}

impl Stretch {
    pub fn start() -> Self {
        Self {
            cpu: cpu_ns(),
            wall: monotonic_ns(),
        }
    }

    /// So many sessions were connected.
    pub fn connected(&self, sessions: usize, result: &mut Map<String, Value>) {
        let each = (cpu_ns() - self.cpu) as f64 / 1e6 / sessions as f64;
        result.insert("connect_cpu_ms".to_owned(), json!(each));
        result.insert("rss_connected_kb".to_owned(), json!(resident_kb()));
    }

    /// The turns are over.
    pub fn end(&self, result: &mut Map<String, Value>) {
        for (key, from, to) in [
            ("cpu_s", self.cpu, cpu_ns()),
            ("wall_s", self.wall, monotonic_ns()),
        ] {
            result.insert(key.to_owned(), json!((to - from) as f64 / 1e9));
        }
        result.insert("rss_end_kb".to_owned(), json!(resident_kb()));
    }
}

/// Adds what all sessions received.
pub fn summarise(received: &[Received], result: &mut Map<String, Value>) {
    let mut latencies: Vec<u64> = received
        .iter()
        .flat_map(|one| &one.latencies_ns)
        .copied()
        .collect();
    latencies.sort_unstable();
    if let Some(last) = latencies.len().checked_sub(1) {
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let at = last.min((latencies.len() as f64 * share) as usize);
            let microseconds = latencies[at] as f64 / 1e3;
            result.insert(format!("lat_{name}_us"), json!(microseconds));
        }
    }
    let sum = |of: fn(&Received) -> usize| received.iter().map(of).sum::<usize>();
    let failed: Vec<_> = received
        .iter()
        .filter_map(|one| one.failure.clone())
        .collect();
    result.insert("audio_deltas".to_owned(), json!(latencies.len()));
    result.insert("audio_bytes".to_owned(), json!(sum(|one| one.audio_bytes)));
    result.insert("errors".to_owned(), json!(sum(|one| one.errors)));
    result.insert("failed".to_owned(), json!(failed[..failed.len().min(3)]));
}
