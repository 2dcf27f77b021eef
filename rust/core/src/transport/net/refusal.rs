//! Turns a server's HTTP error response into a [`ConnectError`].

use std::time::{Duration, SystemTime};

use super::date;
use super::error::ConnectError;
use super::secrets::{Secrets, redact_url};
use ::http::Response;
use ::http::header::{HeaderName, LOCATION, RETRY_AFTER};

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
        let location = text(LOCATION).map(|location| secrets.presentable(&redact_url(location)));
        return ConnectError::Redirected {
            status: status.as_u16(),
            location,
        };
    }
    let (message, code) = message_and_code(body);
    ConnectError::Rejected {
        status: status.as_u16(),
        code: code.map(|code| secrets.presentable(&code)),
        message: message.map(|message| secrets.presentable(&message)),
        retry_after: text(RETRY_AFTER).and_then(|wait| {
            // A date is meant by the clock that it was written by.
            let now = date::of(response.headers()).unwrap_or_else(SystemTime::now);
            retry_after(wait, now)
        }),
    }
}

/// The longest time that is waited because a server asks for it. What is longer is cut to it: as far as
/// a call is concerned it is never, and sums with it must not overflow.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long `Retry-After` asks to wait: seconds, or a date (RFC 9110, section 10.2.3), a day at most.
/// Seconds with a fraction are no HTTP, but some servers send them.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        if seconds > LONGEST_WAIT.as_secs_f64() {
            return Some(LONGEST_WAIT);
        }
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let wait = date::parse(value)?.duration_since(now);
    Some(wait.unwrap_or(Duration::ZERO).min(LONGEST_WAIT))
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
    fn a_date_to_wait_for_is_told_by_the_clock_of_the_server() {
        let response = Response::builder()
            .status(503)
            .header("date", "Sun, 06 Nov 1994 08:49:00 GMT")
            .header("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")
            .body(())
            .unwrap();
        let error = refused(&response, b"", &Secrets::default());
        assert_eq!(error.retry_after(), Some(Duration::from_secs(37)));
    }

    #[test]
    fn the_time_to_wait_is_read_as_seconds_and_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 30);
        for (value, seconds) in [
            ("120", Some(120.0)),
            (" 0.5 ", Some(0.5)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30.0)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0.0)),
            ("-1", None),
            ("nan", None),
            ("inf", Some(86_400.0)),
            ("1e30", Some(86_400.0)),
            ("99999999999999999999", Some(86_400.0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400.0)),
            ("soon", None),
        ] {
            let read = retry_after(value, now).map(|wait| wait.as_secs_f64());
            assert_eq!(read, seconds, "{value}");
        }
    }
}
