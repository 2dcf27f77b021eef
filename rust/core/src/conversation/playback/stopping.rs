//! Stops playback: all of it, or that of one response. What was not heard to its end is cut.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{Part, Playback, ROUNDING_MS, Run};

/// A part that an interruption stopped before it was heard to its end.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::conversation) struct Cut {
    pub(in crate::conversation) response_id: Arc<str>,
    pub(in crate::conversation) item_id: Arc<str>,
    pub(in crate::conversation) content_index: usize,
    /// How much was heard, in whole milliseconds; 0 if the part did not play yet.
    pub(in crate::conversation) audio_end_ms: u64,
    /// The length of the audio that was received, in milliseconds.
    pub(in crate::conversation) length_ms: f64,
}

impl Part {
    /// Stops at that position of the stream; `runs`: its own, and perhaps others.
    fn cut(self, runs: &VecDeque<Run>, position_ms: f64) -> Cut {
        let of_runs: f64 = runs
            .iter()
            .filter(|run| run.part == self.number)
            .map(|run| (position_ms - run.begin_ms).clamp(0.0, run.length_ms))
            .sum();
        let heard_ms = (self.heard_ms + of_runs).min(self.received_ms);
        Cut {
            response_id: self.response_id,
            item_id: self.item_id,
            content_index: self.content_index,
            // The server takes whole milliseconds.
            audio_end_ms: (heard_ms + ROUNDING_MS).floor().max(0.0) as u64,
            length_ms: self.received_ms,
        }
    }
}

impl Playback {
    /// Stops playback, and empties the queue. Returns the parts that were not heard to their end, in
    /// the order in which they would have been played.
    pub(in crate::conversation) fn interrupt(&mut self, now: Duration) -> Vec<Cut> {
        self.advance(now);
        let position_ms = self.position_ms;
        let runs = std::mem::take(&mut self.runs);
        self.position_ms = self.end_ms;
        let parts = std::mem::take(&mut self.parts);
        let cut = |part: Part| part.cut(&runs, position_ms);
        parts.into_iter().map(cut).collect()
    }

    /// Stops the playback of one response: what is queued behind it moves up. Returns its parts that were
    /// not heard to their end.
    pub(in crate::conversation) fn interrupt_response(
        &mut self,
        response_id: &str,
        now: Duration,
    ) -> Vec<Cut> {
        self.advance(now);
        let position_ms = self.position_ms;
        let (stopped, left): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.parts)
            .into_iter()
            .partition(|part| *part.response_id == *response_id);
        self.parts = left;
        let mut gone = VecDeque::new();
        let mut moved_ms = 0.0;
        for mut run in std::mem::take(&mut self.runs) {
            if stopped.iter().any(|part| part.number == run.part) {
                moved_ms += (run.end_ms() - position_ms).clamp(0.0, run.length_ms);
                gone.push_back(run);
            } else {
                run.begin_ms -= moved_ms;
                self.runs.push_back(run);
            }
        }
        self.end_ms -= moved_ms;
        let cut = |part: Part| part.cut(&gone, position_ms);
        stopped.into_iter().map(cut).collect()
    }
}
