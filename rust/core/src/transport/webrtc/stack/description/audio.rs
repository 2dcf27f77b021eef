//! Which audio of a description a call has.

use super::Refusal;
use super::sections::{Description, Section};

/// The directions of a section (RFC 8866, section 6.7).
pub(super) const DIRECTIONS: [&str; 4] = ["sendrecv", "recvonly", "sendonly", "inactive"];

/// How many payload types there are (RFC 3550, section 5.1).
const PAYLOAD_TYPES: usize = 128;

/// Its mapping begins so, whatever the case (RFC 7587, section 7; RFC 8866, section 6.6).
const OPUS: &str = "opus/48000";

/// The index of the first audio that takes sound as Opus; else why the first one does not.
pub(super) fn taken(description: &Description) -> Result<usize, Refusal> {
    let mut first = None;
    for (index, section) in description.media.iter().enumerate() {
        if section.field(0) != "audio" {
            continue;
        }
        match refusal(section, &description.session) {
            None => return Ok(index),
            Some(why) => first = first.or(Some(why)),
        }
    }
    Err(first.unwrap_or(Refusal::NoAudio))
}

/// Why a section lets no sound of the user through, if it does not.
fn refusal(section: &Section, session: &Section) -> Option<Refusal> {
    if !section.is_live() {
        return Some(Refusal::AudioRefused);
    }
    match direction(section, session) {
        "inactive" => return Some(Refusal::Inactive),
        "sendonly" => return Some(Refusal::SendOnly),
        _ => {}
    }
    let has_opus = !opus_formats(section).is_empty();
    (!has_opus).then_some(Refusal::NoOpus)
}

/// Whether a section of an answer of ours carries sound.
pub(super) fn is_answered(section: &Section) -> bool {
    let is_audio = section.field(0) == "audio" && section.is_live();
    is_audio && !section.has("inactive") && !opus_formats(section).is_empty()
}

/// The direction of a section: what stands before all sections holds for those that say nothing, and a
/// description that says nothing at all means both (RFC 8866, section 6.7).
pub(super) fn direction(section: &Section, session: &Section) -> &'static str {
    let said = |section: &Section| DIRECTIONS.into_iter().find(|it| section.has(it));
    said(section)
        .or_else(|| said(session))
        .unwrap_or("sendrecv")
}

/// The formats (payload types) of a section that are Opus, each once, in its order.
pub(super) fn opus_formats(section: &Section) -> Vec<&str> {
    let mut seen = [false; PAYLOAD_TYPES];
    let is_new = |format: &&str| {
        let number = format.parse().ok().and_then(|it: usize| seen.get_mut(it));
        number.is_some_and(|seen| !std::mem::replace(seen, true))
    };
    let formats = section.formats().filter(is_new);
    formats.filter(|it| is_opus(section, it)).collect()
}

/// A format without a mapping may be one of those that need none (RFC 3551, section 6): none of them is Opus.
fn is_opus(section: &Section, format: &str) -> bool {
    let mut maps = section.values("rtpmap").filter_map(|it| {
        let mut words = it.split_ascii_whitespace();
        let mapping = (words.next()?, words.next()?);
        words.next().is_none().then_some(mapping)
    });
    let map = maps.find(|(mapped, _)| *mapped == format);
    map.is_some_and(|(_, codec)| codec.to_ascii_lowercase().starts_with(OPUS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(session: &str, port: &str, audio: &str) -> Option<Refusal> {
        let text = format!(
            "v=0\r\n{session}m=audio {port} UDP/TLS/RTP/SAVPF 111\r\n\
             a=rtpmap:111 opus/48000/2\r\n{audio}m=application 9\r\na=sendonly\r\n"
        );
        taken(&Description::read(&text)).err()
    }

    #[test]
    fn audio_that_is_not_taken_is_refused_audio() {
        for (session, port, audio) in [
            ("", "9", ""),
            ("", "9", "a=sendrecv\r\n"),
            ("", "9", "a=recvonly\r\n"),
            ("", "0", "a=bundle-only\r\n"),
            ("a=inactive\r\n", "9", "a=sendrecv\r\n"),
        ] {
            assert_eq!(
                refused(session, port, audio),
                None,
                "{session} {port} {audio}"
            );
        }
        for (session, port, audio, why) in [
            ("", "0", "", Refusal::AudioRefused),
            ("", "9", "a=inactive\r\n", Refusal::Inactive),
            ("", "9", "a=sendonly\r\n", Refusal::SendOnly),
            ("a=inactive\r\n", "9", "", Refusal::Inactive),
        ] {
            assert_eq!(refused(session, port, audio), Some(why));
        }
        let none = Description::read("v=0\r\nm=application 9\r\n");
        assert_eq!(taken(&none), Err(Refusal::NoAudio));
    }

    #[test]
    fn the_first_audio_that_is_live_is_taken() {
        let section = |port: u16, codec: &str, said: &str| {
            format!("m=audio {port} X 96 9\r\na=rtpmap:96 {codec}\r\na={said}\r\n")
        };
        let (opus, other) = ("OPUS/48000/2", "L16/48000");
        let live = section(9, opus, "sendrecv");
        for dead in [
            section(0, opus, "sendrecv"),
            section(9, opus, "inactive"),
            section(9, other, "sendrecv"),
        ] {
            let text = format!("v=0\r\n{dead}m=video 9 X 96\r\n{live}{live}");
            assert_eq!(taken(&Description::read(&text)), Ok(2), "{text}");
        }
        let none = section(9, other, "sendrecv") + &section(0, opus, "sendrecv");
        assert_eq!(
            taken(&Description::read(&none)),
            Err(Refusal::NoOpus),
            "the first one is told of"
        );
    }

    #[test]
    fn formats_are_opus_by_their_mapping_alone() {
        let text = "m=audio 9 X 8 111 x 300 111 96 13 97\r\na=rtpmap:111 opus/48000/2\r\n\
                    a=rtpmap:96 red/48000/2\r\na=rtpmap:97 opus/48000/2 more\r\n\
                    a=rtpmap:300 opus/48000/2\r\n";
        assert_eq!(opus_formats(&Description::read(text).media[0]), ["111"]);
    }
}
