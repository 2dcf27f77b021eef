//! How fast the assistant speaks: estimates the duration of audio from its transcript.

/// Milliseconds per character of ordinary English: 150 words of six characters per minute.
const ORDINARY: f64 = 60_000.0 / (150.0 * 6.0);

/// Transcripts with fewer characters than this are too short to measure the rate.
const ENOUGH: usize = 20;

#[derive(Debug)]
pub(super) struct SpeechRate {
    ms_per_character: f64,
}

impl Default for SpeechRate {
    fn default() -> Self {
        Self {
            ms_per_character: ORDINARY,
        }
    }
}

impl SpeechRate {
    /// Learns from `transcript` that took `ms`. The newest answer weighs as much as all earlier ones.
    pub(super) fn learn(&mut self, transcript: &str, ms: f64) {
        let characters = transcript.chars().count();
        if characters >= ENOUGH {
            let measured = ms / characters as f64;
            self.ms_per_character = self.ms_per_character.midpoint(measured);
        }
    }

    pub(super) fn duration_ms(&self, transcript: &str) -> f64 {
        transcript.chars().count() as f64 * self.ms_per_character
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_learnt_from_what_was_played() {
        let mut speech_rate = SpeechRate::default();
        assert!((speech_rate.duration_ms("ten chars.") - 667.0).abs() < 1.0);
        for _ in 0..20 {
            speech_rate.learn("forty characters, spoken in four seconds", 4000.0);
        }
        assert!((speech_rate.duration_ms("ten chars.") - 1000.0).abs() < 1.0);
        speech_rate.learn("no", 9000.0);
        assert!((speech_rate.duration_ms("ten chars.") - 1000.0).abs() < 1.0);
    }
}
