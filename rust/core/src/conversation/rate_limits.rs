//! The provider's limits, as it states them with each response.

use serde_json::Value;

use super::Conversation;
use super::item::text;

/// How many are kept: the provider has two.
const MAX_LIMITS: usize = 16;

/// One limit of the provider's, as it stated it last.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// What is limited: `requests` or `tokens`.
    pub name: String,
    pub limit: Option<f64>,
    pub remaining: Option<f64>,
    /// How long it takes until all of it is there again.
    pub reset_seconds: Option<f64>,
}

impl RateLimit {
    fn read(stated: &Value) -> Option<Self> {
        let number = |key: &str| match stated.get(key)? {
            Value::String(text) => text.trim().parse().ok().filter(|it: &f64| it.is_finite()),
            value => value.as_f64(),
        };
        Some(Self {
            name: text(stated, "name")?.to_owned(),
            limit: number("limit"),
            remaining: number("remaining"),
            reset_seconds: number("reset_seconds"),
        })
    }
}

impl Conversation {
    /// The provider's limits, as it stated them last; empty before.
    pub fn rate_limits(&self) -> &[RateLimit] {
        &self.rate_limits
    }

    /// `rate_limits.updated`: a limit that it does not name stays as it was.
    pub(super) fn note_rate_limits(&mut self, event: &Value) {
        let Some(stated) = event.get("rate_limits").and_then(Value::as_array) else {
            return self.incomplete("rate_limits.updated", "rate_limits");
        };
        for limit in stated.iter().filter_map(RateLimit::read) {
            self.rate_limits.retain(|known| known.name != limit.name);
            self.rate_limits.push(limit);
        }
        let surplus = self.rate_limits.len().saturating_sub(MAX_LIMITS);
        self.rate_limits.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::conversation::Options;

    fn noted(events: &[Value]) -> Vec<RateLimit> {
        let mut conversation = Conversation::new(Options::default());
        for event in events {
            conversation.note_rate_limits(event);
        }
        conversation.rate_limits().to_vec()
    }

    #[test]
    fn a_limit_is_as_it_was_stated_last_and_numbers_may_be_text() {
        let first = json!({"rate_limits": [
            {"name": "requests", "limit": 10, "remaining": 9, "reset_seconds": 0.5},
            {"name": "tokens", "limit": "100", "remaining": null},
            {"limit": 5}, 5,
        ]});
        let second = json!({"rate_limits": [{"name": "requests", "remaining": 8}]});
        let limit = |name: &str, limit, remaining, reset_seconds| RateLimit {
            name: name.to_owned(),
            limit,
            remaining,
            reset_seconds,
        };
        let expected = [
            limit("tokens", Some(100.0), None, None),
            limit("requests", None, Some(8.0), None),
        ];
        assert_eq!(noted(&[first, second]), expected);
    }

    #[test]
    fn a_server_that_names_many_fills_no_memory() {
        let many: Vec<Value> = (0..100).map(|n| json!({"name": format!("n{n}")})).collect();
        assert_eq!(noted(&[json!({"rate_limits": many})]).len(), MAX_LIMITS);
    }
}
