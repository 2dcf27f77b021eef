//! The configuration that the server has, as one `session.update`.

use serde_json::{Map, Value};

use super::Surviving;
use crate::audio::AudioFormat;
use crate::conversation::capabilities::Media;
use crate::conversation::item::at;

impl Surviving {
    /// Takes the configuration that a connection begins with.
    pub fn begin_with(&mut self, session_update: &str, media: Media) {
        self.sound.goes_apart(media == Media::Track);
        self.configuration = session_update.into();
        if let Ok(update) = serde_json::from_str(session_update) {
            self.note_sound(&update);
        }
    }

    /// Takes a later `session.update`: what it does not name stays as it was.
    pub fn configured(&mut self, update: &Value) {
        let mut known: Value = serde_json::from_str(&self.configuration).unwrap_or_default();
        if let (Some(known), Some(update)) = (known.as_object_mut(), update.as_object())
            && let (Some(Value::Object(session)), Some(Value::Object(changes))) =
                (known.get_mut("session"), update.get("session"))
        {
            merge(session, changes);
            // It is set once on each connection, when the server has stated its configuration.
            session.remove("tracing");
            self.configuration = (&*Value::Object(known.clone()).to_string()).into();
        }
        self.note_sound(&known);
    }

    fn note_sound(&mut self, update: &Value) {
        let input = at(update, &["session", "audio", "input"]);
        let stated = |key: &str| input.and_then(|input| input.get(key));
        let format = stated("format").and_then(|format| {
            let name = format.get("type").and_then(Value::as_str)?;
            let rate = format.get("rate").and_then(Value::as_u64);
            AudioFormat::from_wire(name, rate.and_then(|rate| u32::try_from(rate).ok())).ok()
        });
        let is_off = |key: &str| stated(key).is_some_and(Value::is_null);
        let transcribed = !is_off("transcription") && stated("transcription").is_some();
        self.sound.configured(
            format.unwrap_or_default(),
            is_off("turn_detection"),
            transcribed,
        );
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
