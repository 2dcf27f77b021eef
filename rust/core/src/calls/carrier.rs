//! What a carrier's codec is: the way between the frames of its wire and the messages of a leg.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::audio::AudioFormat;
use crate::audio::passthrough::Passed;
use crate::transport::{Frame, Outgoing};

/// What becomes of the marks whose sound a `clear` drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// The carrier has no marks.
    None,
    /// They are lost.
    LostOnClear,
    /// They come back, as if their sound had been played.
    ReturnedOnClear,
}

/// What a carrier can do, and who does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "capabilities that are independent of each other"
)]
pub struct Capabilities {
    /// How much sound may be sent ahead of what is heard; `None`: the carrier keeps no buffer, this side
    /// sends each frame when it is due.
    pub far_buffer: Option<Duration>,
    pub marks: Marks,
    /// The most marks that may be on their way.
    pub max_marks: usize,
    /// Each message must hold whole frames of this length.
    pub whole_frames: Option<Duration>,
    /// Where this side sends each frame when it is due: it sends silence where there is no sound.
    pub fills_pauses: bool,
    /// The far side can stop and go on.
    pub pause: bool,
    /// Digits can be sent.
    pub dtmf: bool,
    /// The wire has a message that hangs up; otherwise its end does, or does not: the carrier's page says.
    pub hang_up: bool,
    /// The end of the line has a code, which tells why a call is not taken.
    pub close_codes: bool,
    /// Packets may come in another order than that of their numbers.
    pub reorders: bool,
    /// The far end is an application: it is told that the call has started, and takes messages.
    pub messages: bool,
    /// Sound may be packets of Opus, where the line says so ([`LegCommand::Packet`]). This side paces them.
    pub packets: bool,
}

impl Capabilities {
    /// A far buffer, marks that come back on a clear, and nothing else: Twilio and its relatives.
    pub const MEDIA_STREAM: Self = Self {
        far_buffer: Some(Duration::from_secs(60)),
        marks: Marks::ReturnedOnClear,
        max_marks: 64,
        whole_frames: None,
        fills_pauses: true,
        pause: false,
        dtmf: false,
        hang_up: false,
        close_codes: true,
        reorders: false,
        messages: false,
        packets: false,
    };

    /// How many marks may be on their way.
    pub fn marks_at_once(self) -> usize {
        match self.marks {
            Marks::None => 0,
            Marks::LostOnClear | Marks::ReturnedOnClear => self.max_marks,
        }
    }
}

/// Who called, and how the sound is coded.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// The carrier's id of the call.
    pub call_id: String,
    /// The carrier's id of this stream of its sound.
    pub stream_id: String,
    /// The number or address of the caller, where the carrier tells.
    pub caller: Option<String>,
    /// The one that was called, where the carrier tells.
    pub callee: Option<String>,
    /// `inbound` or `outbound`, where the carrier tells.
    pub direction: Option<String>,
    /// What the application gave the call on its way.
    pub parameters: Map<String, Value>,
    /// Of both directions. PCM is little endian here, whatever it is on the wire.
    pub format: AudioFormat,
}

impl Started {
    /// Adds the parameters of the stream's URL. What the carrier itself tells goes before.
    pub fn add(&mut self, query: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in query {
            let told = match name.as_str() {
                "from" => Some(&mut self.caller),
                "to" => Some(&mut self.callee),
                "direction" => Some(&mut self.direction),
                _ => None,
            };
            if let Some(told) = told
                && !value.is_empty()
            {
                told.get_or_insert_with(|| value.clone());
            }
            self.parameters.entry(name).or_insert_with(|| value.into());
        }
    }
}

/// A packet of the caller's sound.
#[derive(Debug, Clone, Copy)]
pub struct Media<'a> {
    /// In the format of the leg.
    pub sound: &'a [u8],
    /// Counts the packets, where the carrier does.
    pub number: Option<u64>,
    /// Milliseconds since the stream began, where the carrier tells.
    pub at_ms: Option<u64>,
}

/// Why a frame has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Ignored {
    #[error("a frame is no JSON of this carrier")]
    NotOfTheProtocol,
    #[error("a frame of the kind {0:?} is unknown")]
    UnknownKind(String),
    #[error("a frame belongs to another stream than the one that started")]
    ForeignStream,
    #[error("a frame came before the start of the stream")]
    BeforeStart,
    #[error("the stream was started a second time")]
    SecondStart,
    #[error("sound is not base64, or no whole samples")]
    BadSound,
    #[error("{0} is too long")]
    TooLong(&'static str),
    #[error("the far end sends more than in real time")]
    TooFast,
    #[error("a frame lacks {0}")]
    Lacks(&'static str),
    #[error("the carrier reports: {0}")]
    Reported(String),
}

/// What a frame of the carrier says.
#[derive(Debug)]
pub enum LegMessage<'a> {
    Started(Box<Started>),
    /// The stream cannot be used: the call ends.
    Unusable(String),
    Media(Media<'a>),
    /// A piece of the caller's sound in Opus, for a model that takes it as it is, and its time in milliseconds
    /// since the stream began.
    Packet(Passed, u64),
    Dtmf {
        digit: char,
        duration: Option<Duration>,
    },
    /// The sound before a mark was played, or cleared.
    Mark(u64),
    /// Of the sound that was sent so much was still to be played, in milliseconds.
    Unplayed(f64),
    /// A message for the application, as JSON.
    Message(&'a str),
    /// The far buffer takes no more, or takes more again.
    Full(bool),
    /// The caller was put on hold, or taken back.
    Held(bool),
    /// The caller has hung up, or the carrier has ended the stream.
    Stopped(String),
    Ignored(Ignored),
}

/// What the carrier is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegCommand<'a> {
    /// Plays sound, in the format of the leg, after all sound before.
    Sound(&'a [u8]),
    /// Plays a piece of Opus, after all sound before.
    Packet(&'a Passed),
    /// Comes back when the sound before was played.
    Mark(u64),
    /// Drops the sound that was not played.
    Clear,
    Dtmf(char),
    Pause,
    Resume,
    /// The call stands; `resumed`: it stood before, over another line.
    Started {
        resumed: bool,
    },
    /// A message of the application, as JSON.
    Message(&'a str),
    /// The call ends, for this reason.
    HangUp(&'a str),
}

/// The codec of one carrier, for one stream. It knows no socket and no clock.
///
/// [`write`](Self::write) is called after [`LegMessage::Started`] only, and with a command that
/// [`capabilities`](Self::capabilities) allow.
pub trait Carrier: fmt::Debug + Send + 'static {
    /// The carrier's name, for people.
    fn name(&self) -> &'static str;

    fn capabilities(&self) -> Capabilities;

    /// Reads a frame, or a piece of a byte stream, and passes on what it says.
    fn read(&mut self, frame: Frame<'_>, take: &mut dyn FnMut(LegMessage<'_>));

    /// Appends the messages that say a command.
    fn write(&mut self, command: LegCommand<'_>, out: &mut Vec<Outgoing>);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_tells_who_calls_where_the_carrier_does_not() {
        let query = |names: &[(&str, &str)]| {
            let owned = names
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            owned.collect::<Vec<_>>()
        };
        let mut told = Started {
            call_id: "call".to_owned(),
            stream_id: "stream".to_owned(),
            caller: None,
            callee: Some("+1".to_owned()),
            direction: None,
            parameters: Map::new(),
            format: AudioFormat::Mulaw,
        };
        told.add(query(&[
            ("from", ""),
            ("to", "+2"),
            ("direction", "inbound"),
            ("tenant", "7"),
        ]));
        assert_eq!(told.caller, None, "nothing is nobody's number");
        assert_eq!(told.callee.as_deref(), Some("+1"), "the carrier knows");
        assert_eq!(told.direction.as_deref(), Some("inbound"));
        told.add(query(&[("from", "+3"), ("tenant", "8")]));
        assert_eq!(told.caller.as_deref(), Some("+3"));
        assert_eq!(told.parameters["tenant"], "7");
    }
}
