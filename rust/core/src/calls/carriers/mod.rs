//! The carriers: one file for each, with its codec.
//!
//! How they differ is in their [`Capabilities`](super::carrier::Capabilities) and at the head of each file;
//! `docs/how-to/add-a-carrier.md` says how to add one.

mod asterisk_websocket;
mod audiosocket;
mod browser;
mod jambonz;
mod media_stream;
mod opus_packets;
mod plivo;
mod telnyx;
mod twilio;
mod vonage;
#[cfg(feature = "webrtc")]
pub(in crate::calls) mod webrtc;
mod wire;

pub use asterisk_websocket::AsteriskWebSocket;
pub use audiosocket::AudioSocket;
pub use browser::{Browser, SUBPROTOCOL as BROWSER_SUBPROTOCOL};
pub use jambonz::Jambonz;
pub use plivo::Plivo;
pub use telnyx::Telnyx;
pub use twilio::Twilio;
pub use vonage::Vonage;

use super::carrier::{Capabilities, Carrier, LegCommand, LegMessage};
use crate::audio::AudioFormat;
use crate::transport::{Frame, Outgoing};

/// What a carrier's wire does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CarrierOptions {
    /// `audiosocket`: the format of the route, both ways; `None`: linear PCM at 8 kHz. `telnyx`, `jambonz`:
    /// what the carrier is configured to be sent; `None`: the same as it sends. The others tell.
    pub format: Option<AudioFormat>,
    /// `signalwire`, `telnyx`, `plivo`: linear PCM is big endian on the wire, as in RTP.
    pub is_big_endian: bool,
}

/// The names that [`by_name`] knows.
pub const NAMES: [&str; 9] = [
    "twilio",
    "signalwire",
    "telnyx",
    "plivo",
    "vonage",
    "audiosocket",
    "asterisk",
    "jambonz",
    "browser",
];

/// A codec for one stream of the carrier with one of the [`NAMES`].
pub fn by_name(name: &str, options: CarrierOptions) -> Option<Box<dyn Carrier>> {
    let CarrierOptions {
        format,
        is_big_endian,
    } = options;
    Some(match name {
        "twilio" => Box::new(Twilio::default()),
        "signalwire" => Box::new(Twilio::signalwire(is_big_endian)),
        "telnyx" => Box::new(Telnyx::new(format, is_big_endian)),
        "plivo" => Box::new(Plivo::new(is_big_endian)),
        "vonage" => Box::new(Vonage::default()),
        "audiosocket" => Box::new(format.map_or_else(AudioSocket::default, AudioSocket::new)),
        "asterisk" => Box::new(AsteriskWebSocket::default()),
        "jambonz" => Box::new(Jambonz::new(format)),
        "browser" => Box::new(Browser::default()),
        _ => return None,
    })
}

/// The carriers that can stop playback and go on.
pub fn pausing() -> Vec<&'static str> {
    let can_pause = |name: &&str| {
        let codec = by_name(name, CarrierOptions::default());
        codec.is_some_and(|codec| codec.capabilities().pause)
    };
    NAMES.into_iter().filter(can_pause).collect()
}

/// The subprotocol that a carrier's WebSocket may ask for.
pub fn subprotocol(name: &str) -> Option<&'static str> {
    match name {
        "asterisk" => Some("media"),
        "jambonz" => Some("audio.jambonz.org"),
        "browser" => Some(BROWSER_SUBPROTOCOL),
        _ => None,
    }
}

/// For a leg whose line another one has taken.
#[derive(Debug)]
pub(super) struct Nobody;

impl Carrier for Nobody {
    fn name(&self) -> &'static str {
        "nobody"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::MEDIA_STREAM
    }

    fn read(&mut self, _: Frame<'_>, _: &mut dyn FnMut(LegMessage<'_>)) {}

    fn write(&mut self, _: LegCommand<'_>, _: &mut Vec<Outgoing>) {}
}

#[cfg(test)]
mod tests;
