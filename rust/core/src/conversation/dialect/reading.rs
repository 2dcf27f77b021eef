//! Names of events in other dialects, as they are read.
//!
//! The beta protocol had other names, and services that began with it keep them: Azure's older endpoints and Voice
//! Live, Qwen, speaches. What is read is lenient, whatever the provider's profile says. Source: the
//! beta and GA references of `OpenAI`'s Realtime API, and recorded conversations.

use serde_json::Value;

use crate::conversation::item::text_at;

/// The beta's names, and those of today.
const NAMES: [(&str, &str); 6] = [
    ("response.audio.delta", "response.output_audio.delta"),
    ("response.audio.done", "response.output_audio.done"),
    (
        "response.audio_transcript.delta",
        "response.output_audio_transcript.delta",
    ),
    (
        "response.audio_transcript.done",
        "response.output_audio_transcript.done",
    ),
    ("response.text.delta", "response.output_text.delta"),
    ("response.text.done", "response.output_text.done"),
];

/// Today's name of an event.
pub(in crate::conversation) fn current_name(kind: &str) -> &str {
    // Most events have another beginning.
    if !kind.starts_with("response.audio") && !kind.starts_with("response.text") {
        return kind;
    }
    let known = NAMES.iter().find(|(beta, _)| *beta == kind);
    known.map_or(kind, |(_, current)| current)
}

/// Whether an item that was created is whole: the beta has one event where today there are two.
pub(in crate::conversation) fn is_whole(event: &Value) -> bool {
    text_at(event, &["item", "status"]) != Some("in_progress")
}

/// What a cumulative transcript has that the one before had not; nothing where it was rewritten, for what
/// was told cannot be taken back: its end has all of it.
pub(in crate::conversation) fn added<'a>(before: &str, now: &'a str) -> &'a str {
    now.strip_prefix(before).unwrap_or_default()
}

/// What the user has said so far, where an event has no delta: Qwen sends what is certain and what it may
/// still revise.
pub(in crate::conversation) fn so_far(event: &Value) -> Option<String> {
    let part = |key: &str| event.get(key).and_then(Value::as_str);
    match (part("text"), part("stash")) {
        (None, None) => None,
        (certain, open) => Some([certain, open].map(Option::unwrap_or_default).concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_beta_are_read_as_those_of_today_and_others_stay() {
        assert_eq!(
            current_name("response.audio.delta"),
            "response.output_audio.delta"
        );
        for kind in ["response.output_text.done", "response.audio.x", "error", ""] {
            assert_eq!(current_name(kind), kind);
        }
    }

    #[test]
    fn what_was_said_so_far_is_what_is_certain_and_what_is_not() {
        let event = serde_json::json!({"text": "It", "stash": " is"});
        assert_eq!(so_far(&event).as_deref(), Some("It is"));
        let event = serde_json::json!({"stash": "It"});
        assert_eq!(so_far(&event).as_deref(), Some("It"));
        assert_eq!(so_far(&serde_json::json!({"delta": "It"})), None);
    }

    #[test]
    fn a_cumulative_transcript_has_what_was_added() {
        assert_eq!(added("It is", "It is fine"), " fine");
        assert_eq!(added("Its", "It is"), "");
        assert_eq!(added("", "a"), "a");
    }
}
