//! Reads the audio formats that the server states.

use serde_json::Value;

use crate::audio::format::AudioFormat;

/// The audio format at `pointer`, where one is stated that is known.
pub(super) fn format_at(value: &Value, pointer: &str) -> Option<AudioFormat> {
    match value.pointer(pointer)? {
        Value::Object(format) => {
            let rate = format
                .get("rate")
                .and_then(Value::as_u64)
                .and_then(|n| u32::try_from(n).ok());
            AudioFormat::from_wire(format.get("type")?.as_str()?, rate)
                .inspect_err(|error| {
                    tracing::warn!("the server states an audio format that is ignored: {error}");
                })
                .ok()
        }
        // Before the GA protocol a format was a name alone.
        Value::String(name) => match name.as_str() {
            "g711_ulaw" => Some(AudioFormat::Mulaw),
            "g711_alaw" => Some(AudioFormat::Alaw),
            "pcm16" => Some(AudioFormat::default()),
            unknown => {
                tracing::warn!(
                    "the server states the unknown audio format {unknown}: PCM at 24 kHz is assumed"
                );
                Some(AudioFormat::default())
            }
        },
        _ => None,
    }
}
