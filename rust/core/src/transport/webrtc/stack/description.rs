//! Reads and adapts session descriptions (SDP) where the stack does not.

/// The longest message if the description names none (RFC 8841, section 6.1), in bytes.
const DEFAULT_MAX_MESSAGE: usize = 65_536;

/// Attributes of the far side's description that the stack does not expose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limits {
    /// The longest message that it accepts, in bytes.
    pub message: usize,
    /// The SSRCs that it names.
    pub streams: Vec<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: DEFAULT_MAX_MESSAGE,
            streams: Vec::new(),
        }
    }
}

impl Limits {
    pub fn of(description: &str) -> Self {
        let said = description
            .lines()
            .find_map(|line| line.strip_prefix("a=max-message-size:"))
            .and_then(|size| size.trim().parse::<usize>().ok());
        Self {
            message: match said {
                Some(0) => usize::MAX,
                Some(size) => size,
                None => DEFAULT_MAX_MESSAGE,
            },
            streams: description.lines().filter_map(ssrc).collect(),
        }
    }
}

/// The SSRC that an attribute is about (RFC 5576, section 4.1).
fn ssrc(line: &str) -> Option<u32> {
    let (ssrc, _) = line.strip_prefix("a=ssrc:")?.split_once(' ')?;
    ssrc.parse().ok()
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

/// The `mid` of the audio section.
pub(super) fn audio_mid(description: &str) -> Option<&str> {
    let mut lines = description.lines().map(str::trim_end);
    lines.find(|line| line.starts_with("m=audio "))?;
    lines
        .take_while(|line| !line.starts_with("m="))
        .find_map(|line| line.strip_prefix("a=mid:"))
}

/// Adds `end-of-candidates` to the description (RFC 8840, section 8.2), because candidates are not
/// trickled.
pub(super) fn with_end_of_candidates(description: &str) -> String {
    let Some(last) = description.rfind("a=candidate:") else {
        return description.to_owned();
    };
    let end = description[last..]
        .find('\n')
        .map_or(description.len(), |at| last + at + 1);
    let (before, after) = description.split_at(end);
    format!("{before}a=end-of-candidates\r\n{after}")
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
    fn the_last_address_is_said_to_be_the_last() {
        let two = "v=0\r\na=candidate:1 x\r\na=candidate:2 y\r\na=setup:active\r\n";
        assert_eq!(
            with_end_of_candidates(two),
            "v=0\r\na=candidate:1 x\r\na=candidate:2 y\r\na=end-of-candidates\r\na=setup:active\r\n"
        );
        assert_eq!(with_end_of_candidates("v=0\r\n"), "v=0\r\n");
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
    fn sound_is_found_by_its_name() {
        let two = "v=0\r\na=mid:x\r\nm=application 9\r\na=mid:1\r\nm=audio 9\r\na=mid:0\r\n";
        assert_eq!(audio_mid(two), Some("0"));
        assert_eq!(
            audio_mid("v=0\r\nm=audio 9\r\nm=video 9\r\na=mid:2\r\n"),
            None
        );
    }

    #[test]
    fn limits_are_what_the_far_side_says_or_else_what_the_standard_does() {
        let said = |text| Limits::of(text).message;
        assert_eq!(said("v=0\r\na=max-message-size:262144\r\n"), 262_144);
        assert_eq!(said("a=max-message-size:0\r\n"), usize::MAX);
        assert_eq!(said("v=0\r\n"), 65_536);
        let named = |text| Limits::of(text).streams;
        assert_eq!(named("m=audio\r\na=ssrc:1 cname:x\r\n"), [1]);
        assert!(named("m=audio\r\na=ssrc-group:FID 1\r\na=ssrc:x y\r\n").is_empty());
    }
}
