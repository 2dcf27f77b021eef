//! How much of a transcript was heard.

use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use super::item::HeardExtent;
use super::playback::Cut;

/// What was said in a part so far: its item, the index of the part, the words.
pub(super) type Spoken = (Arc<str>, usize, String);

/// The share of `transcript` that was heard before `cut`: by time, ending at a whole word, and never
/// within what a reader takes for one character.
pub(super) fn heard(transcript: &str, cut: &Cut) -> HeardExtent {
    let share = if cut.length_ms > 0.0 {
        (cut.audio_end_ms as f64 / cut.length_ms).min(1.0)
    } else {
        0.0
    };
    HeardExtent {
        audio_end_ms: cut.audio_end_ms,
        transcript: first_words(transcript, share).trim_end().to_owned(),
    }
}

/// The whole words in that share of the graphemes of a text.
fn first_words(text: &str, share: f64) -> &str {
    let graphemes: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
    let limit = (graphemes.len() as f64 * share).floor() as usize;
    let Some(&end) = graphemes.get(limit) else {
        return text;
    };
    if text[end..].starts_with(char::is_whitespace) {
        return &text[..end];
    }
    let start = text[..end]
        .char_indices()
        .rfind(|(_, character)| character.is_whitespace())
        .map_or(0, |(at, space)| at + space.len_utf8());
    let after = text[end..].find(char::is_whitespace);
    let cut_run = &text[start..after.map_or(text.len(), |at| end + at)];
    let heard = if has_words_without_spaces(cut_run) {
        cut_run
            .split_word_bound_indices()
            .map(|(at, _)| start + at)
            .rfind(|at| *at <= end && graphemes.binary_search(at).is_ok())
    } else {
        None
    };
    &text[..heard.unwrap_or(start)]
}

/// Whether two words meet in `run`, as in Japanese, Thai, or a row of emoji.
fn has_words_without_spaces(run: &str) -> bool {
    let is_word = |piece: &str| {
        piece
            .chars()
            .next()
            .is_some_and(|first| first.is_alphanumeric() || first >= '\u{1F000}')
    };
    let mut pieces = run.split_word_bounds().map(is_word);
    let mut before = pieces.next().unwrap_or(false);
    pieces.any(|is_word| std::mem::replace(&mut before, is_word) && is_word)
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

    #[test]
    fn a_language_without_spaces_ends_at_a_word_of_its_own() {
        assert_eq!(words("今日は晴れです", 500), "今日は");
        assert_eq!(words("ok 今日は晴れです", 500), "ok 今日");
    }

    #[test]
    fn hyphens_and_signs_do_not_part_a_word() {
        assert_eq!(words("a well-known one", 500), "a");
        assert_eq!(words("it costs $3.50 now", 700), "it costs");
    }

    #[test]
    fn nothing_ends_within_what_is_read_as_one_character() {
        for text in [
            "👩\u{200D}👩\u{200D}👧👍🏽🇯🇵👍🏽",
            "नमस्ते दुनिया क्षत्रिय",
            "مُحَمَّدٌ رَسُولٌ",
            "が\u{3099}ぎ\u{3099}ぐ\u{3099}",
            "e\u{301}e\u{301} e\u{301}",
            "สวัสดีครับ",
        ] {
            for ms in 0..=1000 {
                let heard = words(text, ms);
                let rest = text.strip_prefix(&*heard).unwrap();
                let joined = heard.graphemes(true).chain(rest.graphemes(true));
                assert!(joined.eq(text.graphemes(true)), "{text} at {ms}: {heard}");
            }
            assert_eq!(words(text, 1000), text);
        }
        assert_eq!(words("👍🏽👍🏽👍🏽👍🏽", 500), "👍🏽👍🏽");
    }
}
