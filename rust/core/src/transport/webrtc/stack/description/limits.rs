//! What the far side takes, as its description says.

use super::audio::opus_formats;
use super::sections::{Description, Section};
use crate::audio::passthrough::PacketLimits;

/// The longest message if the description names none (RFC 8841, section 6.1), in bytes.
const DEFAULT_MAX_MESSAGE: usize = 65_536;

/// The least and the highest bitrate that Opus is told (RFC 7587, section 6.1).
const MIN_BITRATE: u32 = 6_000;
const MAX_BITRATE: u32 = 510_000;

pub(super) const MAX_MESSAGE: &str = "max-message-size";

/// Attributes of the far side's description that the stack does not expose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Limits {
    /// The longest message that it accepts, in bytes.
    pub message: usize,
    /// Which packets of Opus it accepts.
    pub packets: PacketLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: DEFAULT_MAX_MESSAGE,
            packets: PacketLimits::default(),
        }
    }
}

impl Limits {
    /// Those of a description with this audio.
    pub(super) fn of(description: &Description, audio: &Section) -> Self {
        let mut sections = description.media.iter();
        let said = sections
            .find_map(|section| section.value(MAX_MESSAGE))
            .and_then(|size| size.trim().parse::<usize>().ok());
        Self {
            message: match said {
                Some(0) => usize::MAX,
                Some(size) => size,
                None => DEFAULT_MAX_MESSAGE,
            },
            packets: packet_limits(audio),
        }
    }
}

/// Which packets of Opus a section takes (RFC 7587, section 6.1; RFC 8866, section 6.4).
fn packet_limits(audio: &Section) -> PacketLimits {
    let mut limits = PacketLimits::default();
    if let Some(ms) = audio.value("maxptime") {
        let ticks = ms.parse::<u32>().ok().map(|ms| ms.saturating_mul(48));
        limits.max_ticks = ticks.map_or(limits.max_ticks, |it| it.min(limits.max_ticks));
    }
    let Some(opus) = opus_formats(audio).into_iter().next() else {
        return limits;
    };
    let said = audio.values("fmtp").filter_map(|it| it.split_once(' '));
    for (_, parameters) in said.filter(|(format, _)| *format == opus) {
        for parameter in parameters.split(';') {
            match parameter.trim().split_once('=') {
                Some(("stereo", value)) => limits.stereo = value == "1",
                Some(("maxaveragebitrate", value)) => {
                    let said = value.parse::<u32>().ok();
                    let said = said.map(|it| it.clamp(MIN_BITRATE, MAX_BITRATE));
                    limits.max_bitrate = said.unwrap_or(limits.max_bitrate);
                }
                _ => {}
            }
        }
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Limits {
        let description = Description::read(text);
        let audio = description.media.first().cloned().unwrap_or_default();
        Limits::of(&description, &audio)
    }

    #[test]
    fn packets_are_those_that_the_far_side_says_it_takes() {
        let limits = |said: &str| {
            let text = format!(
                "m=audio 9 X 0 111\r\na=rtpmap:0 PCMU/8000\r\na=fmtp:0 stereo=1\r\n\
                 a=rtpmap:111 opus/48000/2\r\n{said}m=video 9 X 111\r\n\
                 a=fmtp:111 maxaveragebitrate=9000\r\n"
            );
            limits(&text).packets
        };
        assert_eq!(limits(""), PacketLimits::default());
        assert_eq!(
            limits("a=fmtp:111 minptime=10\r\n"),
            PacketLimits::default()
        );
        let said = "a=fmtp:111 minptime=10; stereo=1;maxaveragebitrate=40000\r\na=maxptime:60\r\n";
        let expected = PacketLimits {
            stereo: true,
            max_ticks: 2_880,
            max_bitrate: 40_000,
        };
        assert_eq!(limits(said), expected);
        let odd = limits("a=fmtp:111 maxaveragebitrate=x\r\na=maxptime:4000000000\r\n");
        assert_eq!(odd, PacketLimits::default());
        let none = limits("a=fmtp:111 maxaveragebitrate=0\r\n");
        assert_eq!(none.max_bitrate, MIN_BITRATE);
    }

    #[test]
    fn limits_are_what_the_far_side_says_or_else_what_the_standard_does() {
        let said = |text: &str| {
            limits(&format!(
                "v=0\r\nm=audio 9 X 0\r\nm=application 9 X y\r\n{text}"
            ))
        };
        assert_eq!(said("a=max-message-size:262144\r\n").message, 262_144);
        assert_eq!(said("a=max-message-size:0\r\n").message, usize::MAX);
        assert_eq!(said("").message, 65_536);
        assert_eq!(limits("v=0\r\n"), Limits::default());
    }
}
