//! How much of a transcript was heard.

use super::item::HeardExtent;
use super::playback::Cut;

/// The share of `transcript` that was heard before `cut`: by time, ending at a whole word.
pub(super) fn heard(transcript: &str, cut: &Cut) -> HeardExtent {
    let share = if cut.length_ms > 0.0 {
        (cut.audio_end_ms as f64 / cut.length_ms).min(1.0)
    } else {
        0.0
    };
    let limit = (transcript.chars().count() as f64 * share).floor() as usize;
    let end = transcript
        .char_indices()
        .nth(limit)
        .map_or(transcript.len(), |(at, _)| at);
    let within = &transcript[..end];
    let whole = if end == transcript.len() || transcript[end..].starts_with(char::is_whitespace) {
        within
    } else {
        within
            .rfind(char::is_whitespace)
            .map_or("", |at| &within[..at])
    };
    HeardExtent {
        audio_end_ms: cut.audio_end_ms,
        transcript: whole.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(transcript: &str, audio_end_ms: u64) -> String {
        let cut = Cut {
            response_id: "r".into(),
            item_id: "i".into(),
            content_index: 0,
            audio_end_ms,
            length_ms: 1000.0,
        };
        heard(transcript, &cut).transcript
    }

    #[test]
    fn what_was_heard_ends_at_a_word() {
        assert_eq!(words("one two three four", 500), "one two");
        assert_eq!(words("one two three four", 1000), "one two three four");
        assert_eq!(words("one two", 0), "");
    }
}
