//! The configuration that the server has, as one `session.update` in the shape of the GA protocol.

use serde_json::{Map, Value};

use super::Conversation;
use super::survival::SharedText;

/// A whole `session.update`; empty before the first connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Configuration(SharedText);

impl Default for Configuration {
    fn default() -> Self {
        Self("".into())
    }
}

impl Configuration {
    /// The `session.update`.
    pub(super) fn update(&self) -> String {
        self.0.to_string()
    }

    /// Takes a later `session.update`: what it does not name stays as it was. Returns the whole.
    fn change(&mut self, update: &Value) -> Value {
        let mut known: Value = serde_json::from_str(&self.0).unwrap_or_default();
        if let (Some(known), Some(update)) = (known.as_object_mut(), update.as_object())
            && let (Some(Value::Object(session)), Some(Value::Object(changes))) =
                (known.get_mut("session"), update.get("session"))
        {
            merge(session, changes);
            // It is set once on each connection, when the server has stated its configuration.
            session.remove("tracing");
            self.0 = (&*Value::Object(known.clone()).to_string()).into();
        }
        known
    }
}

impl Conversation {
    /// Takes the configuration that a connection begins with.
    pub(super) fn configured(&mut self, session_update: &str) {
        self.configuration = Configuration(session_update.into());
        let update = serde_json::from_str(session_update).unwrap_or_default();
        self.asked.note(&update);
        if let Some(survival) = &mut self.survival {
            survival.begin_with(&update, self.capabilities.media);
        }
    }

    /// Takes a later `session.update`.
    pub(super) fn note_update(&mut self, update: &Value) {
        self.asked.note(update);
        let known = self.configuration.change(update);
        if let Some(survival) = &mut self.survival {
            survival.note_sound(&known);
        }
    }

    /// Sends the whole configuration again.
    pub(super) fn configure_again(&mut self) {
        self.outbox.message(self.configuration.update());
    }
}

fn merge(known: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (key, change) in changes {
        match (known.get_mut(key), change) {
            (Some(Value::Object(known)), Value::Object(change))
                if key == "audio" || key == "input" || key == "output" =>
            {
                merge(known, change);
            }
            _ => {
                known.insert(key.clone(), change.clone());
            }
        }
    }
}
