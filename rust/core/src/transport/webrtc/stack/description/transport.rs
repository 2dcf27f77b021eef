//! The transport that all sections of a call share: where it goes, and with which keys.
//!
//! A section says it for itself, or leaves it to the one that its group is tagged by, or to what stands before
//! all sections (RFC 9143, section 7.1.3; RFC 8839, section 5.4; RFC 8122, section 5). The stack has it from
//! one place.

use super::sections::{Description, Section};
use super::{Refusal, candidates};

const USER: &str = "ice-ufrag";
const PASSWORD: &str = "ice-pwd";
const FINGERPRINT: &str = "fingerprint";
const SETUP: &str = "setup";
const CANDIDATE: &str = "candidate";

/// The hash whose fingerprints the stack can check. Every implementation has it (RFC 8122, section 5).
const KNOWN_HASH: &str = "sha-256";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transport {
    user: Option<String>,
    password: Option<String>,
    fingerprint: Option<String>,
    /// Who begins the handshake (RFC 8842, section 5.1).
    pub setup: Option<String>,
    candidates: Vec<String>,
}

impl Transport {
    /// What the first of `sources` says that says it, with the best `most` candidates of `sections`.
    pub fn of<'a>(
        sources: &[&'a Section],
        sections: impl Iterator<Item = &'a Section>,
        most: usize,
    ) -> Result<Self, Refusal> {
        let said =
            |section: &'a Section, name: &'static str| section.value(name).map(str::to_owned);
        let first = |name| sources.iter().find_map(|it| said(it, name));
        // Name and password are of one section.
        let shown = sources.iter().find(|it| it.has(USER));
        let mut transport = Self {
            user: shown.and_then(|it| said(it, USER)),
            password: shown.and_then(|it| said(it, PASSWORD)),
            fingerprint: fingerprint(sources)?,
            setup: first(SETUP),
            candidates: Vec::new(),
        };
        if transport.password.is_none() {
            transport.password = first(PASSWORD);
        }
        let ours = sections.filter(|it| transport.is_of(it));
        let offered: Vec<_> = ours.flat_map(|it| it.values(CANDIDATE)).collect();
        transport.candidates = candidates::usable(offered.into_iter(), most);
        Ok(transport)
    }

    /// Whether a section says nothing else.
    pub fn is_of(&self, section: &Section) -> bool {
        let agrees = |name: &'static str, ours: &Option<String>| {
            let said = section.value(name);
            said.is_none_or(|said| ours.as_deref() == Some(said))
        };
        agrees(USER, &self.user) && agrees(PASSWORD, &self.password)
    }

    /// Has a description say it in the section at `index`, and nowhere else.
    pub fn move_to(&self, description: &mut Description, index: usize) {
        let names = [USER, PASSWORD, FINGERPRINT, SETUP, CANDIDATE];
        description.session.remove(&names);
        for section in &mut description.media {
            section.remove(&names);
        }
        let Some(section) = description.media.get_mut(index) else {
            return;
        };
        let values = [
            (USER, &self.user),
            (PASSWORD, &self.password),
            (FINGERPRINT, &self.fingerprint),
            (SETUP, &self.setup),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                section.set(name, value);
            }
        }
        for candidate in &self.candidates {
            section.push(format!("a={CANDIDATE}:{candidate}"));
        }
    }
}

/// The fingerprint of the certificate by the known hash, whose name the stack knows in lower case alone (RFC
/// 8122, section 5: it is case-insensitive).
fn fingerprint(sources: &[&Section]) -> Result<Option<String>, Refusal> {
    let Some(source) = sources.iter().find(|it| it.has(FINGERPRINT)) else {
        return Ok(None);
    };
    let mut fingerprints = source.values(FINGERPRINT).filter_map(|it| {
        let mut words = it.split_ascii_whitespace();
        Some((words.next()?, words.next()?))
    });
    let known = fingerprints.find(|(hash, _)| hash.eq_ignore_ascii_case(KNOWN_HASH));
    let (_, value) = known.ok_or(Refusal::UnknownHash)?;
    Ok(Some(format!("{KNOWN_HASH} {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(text: &str) -> Description {
        Description::read(text)
    }

    fn fingerprint_of(text: &str) -> Result<Option<String>, Refusal> {
        let description = sections(text);
        let media = description.media.iter();
        let sources: Vec<_> = media.chain([&description.session]).collect();
        fingerprint(&sources)
    }

    #[test]
    fn the_fingerprint_is_read_whatever_the_case_of_its_hash() {
        let known = Ok(Some("sha-256 22:AA".to_owned()));
        for text in [
            "v=0\r\na=fingerprint:SHA-256 22:AA\r\nm=audio\r\n",
            "v=0\r\na=fingerprint:sha-512 11\r\na=fingerprint:Sha-256  22:AA\r\nm=audio\r\n",
            "v=0\r\na=fingerprint:sha-256 33\r\nm=audio\r\na=fingerprint:sha-256 22:AA\r\n",
        ] {
            assert_eq!(fingerprint_of(text), known, "{text}");
        }
        for text in [
            "v=0\r\na=fingerprint:sha-512 11\r\n",
            "v=0\r\na=fingerprint:sha-256\r\n",
            "v=0\r\na=fingerprint\r\n",
        ] {
            assert_eq!(fingerprint_of(text), Err(Refusal::UnknownHash), "{text}");
        }
        assert_eq!(fingerprint_of("v=0\r\n"), Ok(None));
    }

    #[test]
    fn what_one_section_says_holds_for_all() {
        let mut description = sections(
            "v=0\r\na=ice-ufrag:s\r\na=ice-pwd:sp\r\na=setup:active\r\nm=audio 9 X 0\r\n\
             a=ice-ufrag:a\r\na=ice-pwd:ap\r\na=candidate:1 1 udp 9 192.0.2.1 5 typ host\r\n\
             m=application 9 X y\r\na=ice-ufrag:d\r\na=ice-pwd:dp\r\n\
             a=candidate:1 1 udp 9 192.0.2.2 5 typ host\r\n",
        );
        let of = |description: &Description| {
            let audio = &description.media[0];
            let all = description.media.iter();
            Transport::of(&[audio, &description.session], all, 9).unwrap()
        };
        let transport = of(&description);
        assert!(!transport.is_of(&description.media[1]));
        transport.move_to(&mut description, 1);
        assert_eq!(
            description.write(),
            "v=0\r\nm=audio 9 X 0\r\nm=application 9 X y\r\na=ice-ufrag:a\r\na=ice-pwd:ap\r\n\
             a=setup:active\r\na=candidate:1 1 udp 9 192.0.2.1 5 typ host\r\n"
        );
    }
}
