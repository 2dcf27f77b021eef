//! Reads and adapts session descriptions (SDP) where the stack does not.

use std::fmt::Write;

use super::config;
use crate::audio::passthrough::PacketLimits;

/// The longest message if the description names none (RFC 8841, section 6.1), in bytes.
const DEFAULT_MAX_MESSAGE: usize = 65_536;

const MAX_MESSAGE: &str = "a=max-message-size:";

/// Attributes of the far side's description that the stack does not expose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limits {
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
    pub fn of(description: &str) -> Self {
        let said = description
            .lines()
            .find_map(|line| line.strip_prefix(MAX_MESSAGE))
            .and_then(|size| size.trim().parse::<usize>().ok());
        Self {
            message: match said {
                Some(0) => usize::MAX,
                Some(size) => size,
                None => DEFAULT_MAX_MESSAGE,
            },
            packets: packet_limits(description),
        }
    }
}

/// Which packets of Opus a description takes (RFC 7587, section 6.1; RFC 8866, section 6.4).
fn packet_limits(description: &str) -> PacketLimits {
    let mut limits = PacketLimits::default();
    let opus = description.lines().find_map(opus_payload_type);
    for line in description.lines().map(str::trim_end) {
        if let Some(ms) = line.strip_prefix("a=maxptime:") {
            let ticks = ms.parse::<u32>().ok().map(|ms| ms.saturating_mul(48));
            limits.max_ticks = ticks.map_or(limits.max_ticks, |it| it.min(limits.max_ticks));
            continue;
        }
        let format = line.strip_prefix("a=fmtp:");
        let Some((payload_type, parameters)) = format.and_then(|it| it.split_once(' ')) else {
            continue;
        };
        if Some(payload_type) != opus {
            continue;
        }
        for parameter in parameters.split(';') {
            match parameter.trim().split_once('=') {
                Some(("stereo", value)) => limits.stereo = value == "1",
                Some(("maxaveragebitrate", value)) => {
                    limits.max_bitrate = value.parse().unwrap_or(limits.max_bitrate);
                }
                _ => {}
            }
        }
    }
    limits
}

/// The payload type that a line gives to Opus, if it does.
fn opus_payload_type(line: &str) -> Option<&str> {
    let (payload_type, codec) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
    let is_opus = codec.to_ascii_lowercase().starts_with("opus/");
    is_opus.then_some(payload_type)
}

/// The far side's description as the stack is to read it.
pub(super) fn adapted(description: &str) -> String {
    with_max_message(&with_known_hash(description), config::MAX_MESSAGE)
}

/// Sets the longest message, because the stack takes no longer ones than the far side takes: these are two
/// limits (RFC 8841, section 6.1). [`Limits`] has that of the far side.
fn with_max_message(description: &str, bytes: u32) -> String {
    let mut out = String::with_capacity(description.len() + 32);
    for line in description.split_inclusive('\n') {
        if line.starts_with(MAX_MESSAGE) {
            continue;
        }
        out += line;
        if line.starts_with("a=sctp-port:") {
            let _ = write!(out, "{MAX_MESSAGE}{bytes}\r\n");
        }
    }
    out
}

/// Why the far side's description lets no sound of the user through, if it does not.
pub(super) fn audio_refused(description: &str) -> Option<&'static str> {
    let lines = || description.lines().map(str::trim_end);
    let direction = |line: &str| match line {
        "a=inactive" => Some("its audio is inactive: it takes and sends none"),
        "a=sendonly" => Some("it sends audio and takes none (sendonly)"),
        "a=sendrecv" | "a=recvonly" => Some(""),
        _ => None,
    };
    let mut section = lines().skip_while(|line| !line.starts_with("m=audio "));
    let Some(audio) = section.next() else {
        return Some("it has no audio in it");
    };
    // "m=audio 0 ..." (RFC 3264, section 6).
    if audio.split(' ').nth(1) == Some("0") {
        return Some("it refuses audio (its port is 0)");
    }
    // What stands before all sections holds for those that say nothing (RFC 8866, section 6.7).
    let said = section
        .take_while(|line| !line.starts_with("m="))
        .find_map(direction)
        .or_else(|| {
            lines()
                .take_while(|line| !line.starts_with("m="))
                .find_map(direction)
        });
    said.filter(|why| !why.is_empty())
}

/// Whether the description has Opus in it.
pub(super) fn has_opus(description: &str) -> bool {
    description
        .lines()
        .any(|line| opus_payload_type(line).is_some())
}

/// Removes the other fingerprints from a description that has SHA-256 fingerprints: the stack supports
/// only that hash and reads only the first fingerprint.
pub(super) fn with_known_hash(description: &str) -> String {
    const ANY: &str = "a=fingerprint:";
    const KNOWN: &str = "a=fingerprint:sha-256 ";
    let starts = |line: &str, with: &str| {
        line.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    if !description.lines().any(|line| starts(line, KNOWN)) {
        return description.to_owned();
    }
    description
        .split_inclusive('\n')
        .filter(|line| !starts(line, ANY) || starts(line, KNOWN))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_by_other_hashes_are_left_out_where_there_is_a_known_one() {
        let both = "v=0\r\na=fingerprint:sha-512 11\r\na=fingerprint:SHA-256 22\r\nm=audio\r\n";
        let one = "v=0\r\na=fingerprint:SHA-256 22\r\nm=audio\r\n";
        assert_eq!(with_known_hash(both), one);
        assert_eq!(with_known_hash(one), one);
        let unknown = "v=0\r\na=fingerprint:sha-512 11\r\n";
        assert_eq!(with_known_hash(unknown), unknown);
    }

    #[test]
    fn audio_that_is_not_taken_is_refused_audio() {
        let refused = |session: &str, port: &str, audio: &str| {
            let text = format!(
                "v=0\r\n{session}m=audio {port} UDP/TLS/RTP/SAVPF 111\r\n{audio}m=application 9\r\na=sendonly\r\n"
            );
            audio_refused(&text)
        };
        for (session, port, audio) in [
            ("", "9", ""),
            ("", "9", "a=sendrecv\r\n"),
            ("", "9", "a=recvonly\r\n"),
            ("a=inactive\r\n", "9", "a=sendrecv\r\n"),
        ] {
            assert_eq!(
                refused(session, port, audio),
                None,
                "{session} {port} {audio}"
            );
        }
        for (session, port, audio) in [
            ("", "0", ""),
            ("", "9", "a=inactive\r\n"),
            ("", "9", "a=sendonly\r\n"),
            ("a=inactive\r\n", "9", ""),
        ] {
            assert!(
                refused(session, port, audio).is_some(),
                "{session} {port} {audio}"
            );
        }
        assert!(audio_refused("v=0\r\nm=application 9\r\n").is_some());
    }

    #[test]
    fn what_we_take_does_not_depend_on_what_the_far_side_takes() {
        let takes = |said: &str| format!("m=application 9\r\na=sctp-port:5000\r\n{said}a=x\r\n");
        for said in [
            "",
            "a=max-message-size:65536\r\n",
            "a=max-message-size:0\r\n",
        ] {
            let expected = takes("a=max-message-size:262144\r\n");
            assert_eq!(with_max_message(&takes(said), 262_144), expected, "{said}");
        }
    }

    #[test]
    fn packets_are_those_that_the_far_side_says_it_takes() {
        let limits = |said: &str| {
            let text = format!(
                "m=audio 9 X 0 111\r\na=rtpmap:0 PCMU/8000\r\na=fmtp:0 stereo=1\r\n\
                 a=rtpmap:111 opus/48000/2\r\n{said}"
            );
            Limits::of(&text).packets
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
    }

    #[test]
    fn limits_are_what_the_far_side_says_or_else_what_the_standard_does() {
        let said = |text| Limits::of(text).message;
        assert_eq!(said("v=0\r\na=max-message-size:262144\r\n"), 262_144);
        assert_eq!(said("a=max-message-size:0\r\n"), usize::MAX);
        assert_eq!(said("v=0\r\n"), 65_536);
    }
}
