//! Our answer to an offer, as whoever made the offer is to read it.

use super::sections::{Description, Section};
use super::{DISCARD, Limits, Refusal, audio};

/// An offer as the stack is to read it, and what its answer has to have besides the stack's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Offered {
    pub text: String,
    pub limits: Limits,
    /// All of its sections, in their order.
    pub(super) parts: Vec<Part>,
    /// The sections that are taken share a transport by its word.
    pub(super) is_bundled: bool,
    /// Who begins the handshake, as it has it.
    pub(super) setup: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// It is taken. The stack needs names of sections; the offer may have none.
    Kept { is_named: bool },
    /// It is refused, by this section.
    Declined(Section),
    /// It is inactive, by this section, and has the transport of those that are taken.
    Idle(Section),
}

/// What each section says of its transport, and what the one says that its group is tagged by (RFC 9143,
/// section 7.1.3).
const SHARED: [&str; 3] = ["ice-ufrag", "ice-pwd", "setup"];
const ADDRESSES: [&str; 2] = ["candidate", "end-of-candidates"];

impl Part {
    /// Refuses a section (RFC 3264, section 6; RFC 8829, section 5.3.1).
    pub fn refusing(offered: &Section) -> Self {
        let is_rtp = offered.field(2).contains("RTP");
        // Whichever formats it has, they are ignored, and one is needed.
        let format = offered.formats().next().filter(|_| !is_rtp);
        let mut section = Section::default();
        let (medium, protocol) = (offered.field(0), offered.field(2));
        let format = format.unwrap_or("0");
        section.push(format!("m={medium} 0 {protocol} {format}"));
        section.push("c=IN IP4 0.0.0.0".to_owned());
        if let Some(name) = offered.mid() {
            section.push(format!("a=mid:{name}"));
        }
        section.push("a=inactive".to_owned());
        Self::Declined(section)
    }

    /// Takes a section for its transport alone: the others have theirs from it. Where it is refused, those that
    /// have no address of their own go with it (RFC 9143, section 7.3.1), and in Chromium with the policy
    /// `max-bundle` all of them. Nothing is sent in it; it has a format of the offer's because it has to have
    /// one (RFC 3264, section 6.1).
    pub fn idling(offered: &Section) -> Option<Self> {
        let is_media = offered.field(2).ends_with("RTP/SAVPF") && offered.has_port();
        let mut formats = offered.formats().filter(|_| is_media);
        let described = |name, format: &str| {
            let mut values = offered.values(name);
            let value = values.find(|it| it.split(' ').next() == Some(format));
            value.map(|value| format!("a={name}:{value}"))
        };
        let (format, mapping) =
            formats.find_map(|it| described("rtpmap", it).map(|mapping| (it, mapping)))?;
        let mut section = Section::default();
        let (medium, protocol) = (offered.field(0), offered.field(2));
        section.push(format!("m={medium} {DISCARD} {protocol} {format}"));
        section.push("c=IN IP4 0.0.0.0".to_owned());
        section.push(format!("a=mid:{}", offered.mid()?));
        section.push("a=inactive".to_owned());
        section.push("a=rtcp-mux".to_owned());
        section.push(mapping);
        if let Some(parameters) = described("fmtp", format) {
            section.push(parameters);
        }
        Some(Self::Idle(section))
    }
}

impl Offered {
    /// The answer to it, of the one that the stack makes.
    pub fn answered(&self, stack: &str) -> Result<String, Refusal> {
        let mut answer = Description::read(stack);
        if !answer.media.iter().any(audio::is_answered) {
            return Err(Refusal::NotAnswered);
        }
        let mut taken = std::mem::take(&mut answer.media).into_iter();
        for part in &self.parts {
            let section = match part {
                Part::Declined(section) | Part::Idle(section) => section.clone(),
                Part::Kept { is_named } => {
                    let mut section = taken.next().ok_or(Refusal::NotAnswered)?;
                    // RFC 5888, section 9.1: what the offer does not use, the answer does not.
                    if !is_named {
                        section.remove(&["mid"]);
                    }
                    self.set_up(&mut section);
                    section
                }
            };
            answer.media.push(section);
        }
        if taken.next().is_some() {
            return Err(Refusal::NotAnswered);
        }
        if !self.is_bundled {
            answer.session.remove(&["group"]);
        }
        let idle = |part: &Part| matches!(part, Part::Idle(_));
        if let Some(index) = self.parts.iter().position(idle) {
            self.share_transport(&mut answer, index);
        }
        Ok(answer.write())
    }

    /// Has the idle section at `index` say where the taken ones go, and be the one that the group is tagged by.
    fn share_transport(&self, answer: &mut Description, index: usize) {
        let parts = self.parts.iter().zip(&mut answer.media);
        let taken = parts.filter(|(part, _)| matches!(part, Part::Kept { .. }));
        let (mut lines, mut names) = (Vec::new(), Vec::new());
        for (_, section) in taken {
            if lines.is_empty() {
                lines = section.lines_of(&SHARED);
            }
            lines.extend(section.lines_of(&ADDRESSES));
            section.remove(&ADDRESSES);
            names.extend(section.mid().map(str::to_owned));
        }
        let idle = &mut answer.media[index];
        names.insert(0, idle.mid().unwrap_or_default().to_owned());
        for line in lines {
            idle.push(line);
        }
        let group = format!("BUNDLE {}", names.join(" "));
        answer.session.set("group", &group);
    }

    /// Says who begins the handshake where the offer leaves no choice: the stack keeps to it, and says what it
    /// would have chosen (RFC 8842, section 5.3).
    fn set_up(&self, section: &mut Section) {
        let role = match self.setup.as_deref() {
            Some("active") => "passive",
            Some("passive") => "active",
            _ => return,
        };
        section.set("setup", role);
    }
}
