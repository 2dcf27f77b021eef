//! Turns a server's HTTP error response into a [`ConnectError`].

use std::time::Duration;

use ::http::Response;
use ::http::header::{HeaderName, LOCATION, RETRY_AFTER};

use super::error::ConnectError;
use super::secrets::{Secrets, redact_url};

/// The longest message of a server that is passed on, in characters.
const MAX_MESSAGE: usize = 500;

/// The error for a response whose status is no success.
pub(in crate::transport) fn refused(
    response: &Response<()>,
    body: &[u8],
    secrets: &Secrets,
) -> ConnectError {
    let status = response.status();
    let text = |name: HeaderName| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    if status.is_redirection() {
        let location = text(LOCATION).map(|location| secrets.redact(&redact_url(location)));
        return ConnectError::Redirected {
            status: status.as_u16(),
            location,
        };
    }
    let (message, code) = message_and_code(body);
    ConnectError::Rejected {
        status: status.as_u16(),
        code: code.map(|code| presentable(&code, secrets)),
        message: message.map(|message| presentable(&message, secrets)),
        retry_after: text(RETRY_AFTER)
            .and_then(|seconds| seconds.trim().parse().ok())
            .map(Duration::from_secs),
    }
}

/// The message and the code in an error's body: `{"error": {"message", "code" or "type"}}`, as most
/// providers send it, `{"error": ".."}`, `{"message": ..}`, `{"detail": ..}`, or plain text.
fn message_and_code(body: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        let is_words = !text.is_empty() && !text.starts_with(['<', '{', '[']);
        return (is_words.then(|| text.to_owned()), None);
    };
    let error = json
        .get("error")
        .filter(|error| error.is_object())
        .unwrap_or(&json);
    let find = |names: &[&str]| {
        names
            .iter()
            .filter_map(|name| error.get(name))
            .find_map(|value| match value {
                serde_json::Value::String(text) if !text.is_empty() => Some(text.clone()),
                serde_json::Value::Number(number) => Some(number.to_string()),
                _ => None,
            })
    };
    (
        find(&["message", "detail", "error"]),
        find(&["code", "type"]),
    )
}

/// Removes secrets and control characters, and shortens a long text.
fn presentable(words: &str, secrets: &Secrets) -> String {
    let words = secrets.redact(words);
    let mut shown: String = words
        .chars()
        .take(MAX_MESSAGE)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if shown.len() < words.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_found_in_every_usual_shape() {
        let cases: [(&str, Option<&str>, Option<&str>); 7] = [
            (
                r#"{"error":{"message":"No.","code":"bad_key"}}"#,
                Some("No."),
                Some("bad_key"),
            ),
            (
                r#"{"error":{"message":"No.","code":null,"type":"t"}}"#,
                Some("No."),
                Some("t"),
            ),
            (r#"{"error":"No."}"#, Some("No."), None),
            (r#"{"detail":"No.","code":4}"#, Some("No."), Some("4")),
            ("Not here\n", Some("Not here"), None),
            ("<html>", None, None),
            ("", None, None),
        ];
        for (body, message, code) in cases {
            let found = message_and_code(body.as_bytes());
            assert_eq!(
                (found.0.as_deref(), found.1.as_deref()),
                (message, code),
                "{body}"
            );
        }
    }

    #[test]
    fn long_words_are_cut_and_controls_are_blanked() {
        let shown = presentable(
            &format!("a\x1b[31m\n{}", "é".repeat(600)),
            &Secrets::default(),
        );
        assert!(shown.starts_with("a [31m é"), "{shown}");
        assert_eq!(shown.chars().count(), MAX_MESSAGE + 1);
    }
}
