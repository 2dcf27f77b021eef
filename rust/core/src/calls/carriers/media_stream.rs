//! What Twilio's media streams and those that were made like them have in common: the messages of sound, marks
//! and digits, and that each names its stream.

use std::time::Duration;

use serde::Deserialize;

use super::wire::{Base64Sound, Loose, TextOrNumber};
use crate::audio::AudioFormat;
use crate::calls::carrier::{Ignored, LegMessage};

/// A packet of sound, of the caller or of what is played to them.
#[derive(Deserialize)]
pub(super) struct MediaMessage<'a> {
    #[serde(borrow, default)]
    track: TextOrNumber<'a>,
    #[serde(default)]
    chunk: Loose,
    #[serde(default)]
    timestamp: Loose,
    #[serde(borrow, default)]
    payload: TextOrNumber<'a>,
}

impl MediaMessage<'_> {
    /// For a carrier whose `timestamp` is no position in the sound.
    pub fn without_time(self) -> Self {
        Self {
            timestamp: Loose::default(),
            ..self
        }
    }

    /// Tells of the caller's sound; that which is played to them has no effect.
    pub fn tell(
        media: Option<&Self>,
        sound: &mut Base64Sound,
        format: AudioFormat,
        take: &mut dyn FnMut(LegMessage<'_>),
    ) {
        match media {
            None => take(LegMessage::Ignored(Ignored::Lacks("media"))),
            Some(media) if media.track.is("outbound") => {}
            Some(media) => {
                let at = (media.chunk, media.timestamp);
                sound.media(&media.payload, format, at, take);
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct MarkMessage<'a> {
    #[serde(borrow, default)]
    pub name: TextOrNumber<'a>,
}

#[derive(Deserialize)]
pub(super) struct DtmfMessage<'a> {
    #[serde(borrow, default)]
    digit: TextOrNumber<'a>,
    #[serde(default)]
    pub duration: Loose,
}

impl DtmfMessage<'_> {
    pub fn message<'b>(dtmf: Option<&Self>, duration: Option<Duration>) -> LegMessage<'b> {
        match dtmf.and_then(|dtmf| dtmf.digit.digit()) {
            Some(digit) => LegMessage::Dtmf { digit, duration },
            None => LegMessage::Ignored(Ignored::Lacks("dtmf.digit")),
        }
    }
}

/// The format of the stream that has started, for a message that names `of`.
pub(super) fn format_of_stream(
    started: Option<&str>,
    format: Option<AudioFormat>,
    of: &TextOrNumber<'_>,
) -> Result<AudioFormat, Ignored> {
    let (Some(started), Some(format)) = (started, format) else {
        return Err(Ignored::BeforeStart);
    };
    match of.as_str() {
        Some(of) if of != started => Err(Ignored::ForeignStream),
        _ => Ok(format),
    }
}

pub(super) fn stopped<'a>() -> LegMessage<'a> {
    LegMessage::Stopped("the carrier has ended the stream".to_owned())
}
