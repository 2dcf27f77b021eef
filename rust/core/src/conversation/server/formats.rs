//! Reads the audio formats that the server states, and follows them.

use serde_json::Value;

use crate::audio::format::AudioFormat;
use crate::conversation::Conversation;
use crate::conversation::core_error::CoreError;
use crate::conversation::item::at;

/// Where a session states the format of a direction, and where it did before the GA protocol.
const OUTPUT: [&[&str]; 2] = [
    &["session", "audio", "output", "format"],
    &["session", "output_audio_format"],
];
const DETECTION: [&[&str]; 2] = [
    &["session", "audio", "input", "turn_detection"],
    &["session", "turn_detection"],
];
const INPUT: [&[&str]; 2] = [
    &["session", "audio", "input", "format"],
    &["session", "input_audio_format"],
];

/// Where the server stated another format than was asked for: both, for output and input.
type Differences = [Option<(AudioFormat, AudioFormat)>; 2];

/// The formats of a session, as a client asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::conversation) struct AskedFormats {
    output: Option<AudioFormat>,
    input: Option<AudioFormat>,
    /// The differences that were reported last: what was asked for, and what was stated.
    told: Differences,
}

impl AskedFormats {
    /// Takes note of a `session.update`. What it does not name stays as it was.
    pub(in crate::conversation) fn note(&mut self, session_update: &Value) {
        let stated = |paths: [&[&str]; 2]| {
            let mut paths = paths.into_iter();
            paths.find_map(|path| format_at(session_update, path, None).ok().flatten())
        };
        self.output = stated(OUTPUT).or(self.output);
        self.input = stated(INPUT).or(self.input);
    }

    /// The format that was asked for the answer's audio.
    pub(in crate::conversation) fn output(&self) -> Option<AudioFormat> {
        self.output
    }
}

/// The audio format at the end of `path`, where one is stated. PCM without a rate has that of `usual`, if that
/// is PCM. `Err` says why what is stated is no format.
pub(super) fn format_at(
    value: &Value,
    path: &[&str],
    usual: Option<AudioFormat>,
) -> Result<Option<AudioFormat>, String> {
    let (name, rate) = match at(value, path) {
        Some(Value::Object(format)) => {
            let Some(name) = format.get("type").and_then(Value::as_str) else {
                return Ok(None);
            };
            let rate = format.get("rate").and_then(Value::as_f64);
            (name, rate.map(|rate| rate as u32))
        }
        // Before the GA protocol a format was a name alone.
        Some(Value::String(name)) => (&**name, None),
        _ => return Ok(None),
    };
    let name = match name {
        "g711_ulaw" => "audio/pcmu",
        "g711_alaw" => "audio/pcma",
        // Qwen states the rate of its answers in the name, or none.
        "pcm16" | "pcm" | "pcm24" => "audio/pcm",
        // xAI's word for none.
        "not specified" | "" => return Ok(None),
        name => name,
    };
    let format = AudioFormat::from_wire(name, rate).map_err(|error| error.to_string())?;
    Ok(Some(match (rate, usual) {
        (None, Some(usual)) if usual.wire_name() == format.wire_name() => usual,
        _ => format,
    }))
}

impl Conversation {
    /// The format that is stated at the end of `path` for the answer's audio, if that can be read; else an
    /// error event says why not.
    pub(super) fn stated_format(
        &mut self,
        event: &Value,
        path: &[&str],
        usual: Option<AudioFormat>,
    ) -> Option<AudioFormat> {
        format_at(event, path, usual).unwrap_or_else(|why| {
            self.report(CoreError::Protocol(format!(
                "the server states a format that cannot be followed: {why}"
            )));
            None
        })
    }

    /// `session.updated`: what it does not name stays as it was.
    pub(super) fn session_updated(&mut self, event: &Value) {
        let (mut output, mut input) = (None, None);
        for path in OUTPUT {
            output = self
                .stated_format(event, path, self.asked.output)
                .or(output);
        }
        for path in INPUT {
            input = self.stated_format(event, path, self.asked.input).or(input);
        }
        if output.is_some() {
            self.playback.set_format(output);
        }
        self.compare_formats(output, input);
        let detection = DETECTION.into_iter().find_map(|path| at(event, path));
        if let Some(detection) = detection {
            let states = |key: &str| detection.get(key)?.as_bool();
            self.server_interrupts = states("interrupt_response").unwrap_or(false);
            self.server_responds = states("create_response").unwrap_or(true);
        }
    }

    /// Reports, once, formats that are not those that were asked for. `None`: not stated.
    pub(super) fn compare_formats(
        &mut self,
        output: Option<AudioFormat>,
        input: Option<AudioFormat>,
    ) {
        let differs = |asked: Option<AudioFormat>, stated: AudioFormat| {
            asked
                .filter(|asked| *asked != stated)
                .map(|asked| (asked, stated))
        };
        let before = self.asked.told;
        if let Some(output) = output {
            self.asked.told[0] = differs(self.asked.output, output);
        }
        if let Some(input) = input {
            self.asked.told[1] = differs(self.asked.input, input);
        }
        let told = self.asked.told;
        if told == before || told == [None, None] {
            return;
        }
        let mut sentences = Vec::new();
        if let Some((asked, stated)) = told[0] {
            sentences.push(format!(
                "the server says that it sends {stated}, where {asked} was asked for: its audio is \
                 taken as {stated}"
            ));
        }
        if let Some((asked, stated)) = told[1] {
            sentences.push(format!(
                "the server says that it takes {stated}, where {asked} was asked for: what you send \
                 is noise to it"
            ));
        }
        sentences.push("configure the session with the formats that the server has".to_owned());
        self.report(CoreError::Protocol(sentences.join("; ")));
    }

    /// The format of a response's audio on the wire.
    pub(crate) fn format_of(&self, response_id: &str) -> AudioFormat {
        let response = self.responses.get(response_id);
        self.format_or_usual(response.and_then(|response| response.format))
    }

    /// The format that is `stated` for a response's audio, or that of the session.
    pub(super) fn format_or_usual(&self, stated: Option<AudioFormat>) -> AudioFormat {
        let session = || self.playback.format().or(self.asked.output());
        stated.or_else(session).unwrap_or_default()
    }
}
