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
        let text = |of: &Value, key: &str| {
            let found = of.get(key).and_then(Value::as_str);
            found.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        match event.get("error") {
            Some(Value::String(message)) => Self {
                code: text(event, "code"),
                message: Some(message.clone()),
            },
            Some(error @ Value::Object(_)) => Self {
                code: text(error, "code").or_else(|| text(error, "type")),
                message: text(error, "message"),
            },
            _ => Self {
                code: text(event, "code"),
                message: text(event, "message"),
            },
        }
    }
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
