//! The server's `error` event, read as what it says.

use serde_json::Value;

/// What an `error` event says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReportedError {
    /// The code, such as `invalid_api_key`; where there is none, the type.
    pub code: Option<String>,
    pub message: Option<String>,
}

impl ReportedError {
    /// Reads `{"error": {..}}`, `{"error": ".."}`, or the fields of the event itself.
    pub(super) fn read(event: &Value) -> Self {
        let error = fields(event);
        let text = |key: &str| {
            let found = error.get(key).and_then(Value::as_str);
            found.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let is_apart = !std::ptr::eq(error, event);
        let message = event.get("error").and_then(Value::as_str);
        Self {
            // The type of the event itself says only that it is an error.
            code: text("code").or_else(|| text("type").filter(|_| is_apart)),
            message: message.map(str::to_owned).or_else(|| text("message")),
        }
    }
}

/// What holds the fields of an error: some servers put them into the event itself.
pub(super) fn fields(event: &Value) -> &Value {
    event
        .get("error")
        .filter(|error| error.is_object())
        .unwrap_or(event)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn code_and_message_are_found_in_every_usual_shape() {
        for (event, code, message) in [
            (
                json!({"error": {"code": "c", "type": "t", "message": "No."}}),
                Some("c"),
                Some("No."),
            ),
            (
                json!({"error": {"code": null, "type": "t", "message": "No."}}),
                Some("t"),
                Some("No."),
            ),
            (json!({"error": "No."}), None, Some("No.")),
            (
                json!({"code": "c", "message": "No."}),
                Some("c"),
                Some("No."),
            ),
            (json!({"error": 5}), None, None),
            (json!({}), None, None),
        ] {
            let read = ReportedError::read(&event);
            assert_eq!(
                (read.code.as_deref(), read.message.as_deref()),
                (code, message),
                "{event}"
            );
        }
    }
}
