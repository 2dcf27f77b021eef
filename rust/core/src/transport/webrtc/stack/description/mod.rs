//! Reads session descriptions (SDP), and adapts them to what the stack reads.
//!
//! A call has one audio and at most one data channel, which share a transport. The stack gets these two sections
//! of an offer, with all that it has to be told in the place where it looks for it, and nothing else. Its
//! answer is then completed: every section of the offer has one in the answer (RFC 3264, section 6).

mod answer;
mod audio;
mod candidates;
mod limits;
mod sections;
mod transport;

use thiserror::Error;

pub(super) use self::answer::Offered;
pub(super) use self::candidates::most as most_candidates;
pub(super) use self::limits::Limits;

use self::answer::Part;
use self::limits::MAX_MESSAGE;
use self::sections::{Description, Section};
use self::transport::Transport;
use super::config;

/// The most sections of a description. A call takes two.
const MAX_SECTIONS: usize = 64;

/// Attributes of audio that the stack refuses a description for where it cannot read them. It has no header
/// extensions (RFC 8285) and takes no simulcast (RFC 8853): an answer without them declines them.
const UNUSED: [&str; 4] = ["extmap", "rid", "simulcast", "bundle-only"];

/// Why a description does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error("it has no audio in it")]
    NoAudio,
    #[error("it refuses audio (its port is 0)")]
    AudioRefused,
    #[error("its audio is inactive: it takes and sends none")]
    Inactive,
    #[error("it sends audio and takes none (sendonly)")]
    SendOnly,
    #[error("it has no Opus in it")]
    NoOpus,
    #[error("its certificate is named by no SHA-256 fingerprint")]
    UnknownHash,
    #[error("one of its sections begins with half a line (m=)")]
    Malformed,
    #[error("two of its sections have the same name (a=mid)")]
    SameName,
    #[error("its sections do not share a transport (BUNDLE)")]
    Unbundled,
    #[error("it has more than {MAX_SECTIONS} sections")]
    TooManySections,
    #[error("its audio is in a form that is not understood")]
    NotAnswered,
}

/// An answer to our offer, as the stack is to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub text: String,
    pub limits: Limits,
}

/// Reads an offer. At most `most` of its candidates are used.
pub(super) fn offered(text: &str, most: usize) -> Result<Offered, Refusal> {
    let offer = read(text)?;
    let audio = audio::taken(&offer)?;
    let name = offer.media[audio].mid();
    let group = name.and_then(|name| offer.bundle_of(name));
    let has_name = |name: &str| group.iter().flatten().any(|it| *it == name);
    let is_grouped = |section: &Section| section.mid().is_some_and(has_name);
    // What has a transport of its own is refused: there is one.
    let channel = offer
        .media
        .iter()
        .position(|it| is_channel(it) && it.is_live() && is_grouped(it));
    let is_taken = |index| index == audio || Some(index) == channel;
    let taken: Vec<_> = (0..offer.media.len()).filter(|it| is_taken(*it)).collect();
    // The transport is that of the section which ours is tagged by, the first that is taken; where it says
    // nothing, that of the one which the offer is tagged by (RFC 9143, sections 7.1.3 and 7.3.1).
    let tag = group
        .as_deref()
        .and_then(|names| offer.named(names.first()?));
    let mut sources: Vec<_> = taken.iter().map(|it| &offer.media[*it]).collect();
    sources.extend(tag);
    sources.push(&offer.session);
    let sections = offer.media.iter().enumerate();
    let sections = sections.filter(|(index, it)| is_taken(*index) || is_grouped(it));
    let transport = Transport::of(&sources, sections.map(|(_, it)| it), most)?;

    let mut adapted = Description {
        session: offer.session.clone(),
        media: taken.iter().map(|it| offer.media[*it].clone()).collect(),
    };
    let at = taken.iter().position(|it| *it == audio).unwrap_or_default();
    let limits = Limits::of(&adapted, &adapted.media[at]);
    name_sections(&mut adapted, &[]);
    normalise(&mut adapted);
    transport.move_to(&mut adapted, at);
    bundle(&mut adapted);
    let part = |(index, section): (usize, &Section)| {
        let is_named = section.mid().is_some();
        if is_taken(index) {
            return Part::Kept { is_named };
        }
        let is_tag = is_named && section.mid() == tag.and_then(Section::mid);
        let idle = Some(section).filter(|_| is_tag).and_then(Part::idling);
        idle.unwrap_or_else(|| Part::refusing(section))
    };
    Ok(Offered {
        text: adapted.write(),
        limits,
        parts: offer.media.iter().enumerate().map(part).collect(),
        is_bundled: group.is_some(),
        setup: transport.setup,
    })
}

/// Reads an answer to our offer. At most `most` of its candidates are used.
pub(super) fn answered(text: &str, offer: &str, most: usize) -> Result<Answered, Refusal> {
    let mut answer = read(text)?;
    let audio = audio::taken(&answer)?;
    let limits = Limits::of(&answer, &answer.media[audio]);
    // An answer names its sections as the offer does, by their place if not by their names (RFC 3264,
    // section 6).
    let offer = Description::read(offer);
    let names: Vec<_> = offer.media.iter().filter_map(Section::mid).collect();
    name_sections(&mut answer, &names);
    let name = answer.media[audio].mid().unwrap_or_default();
    let tag = answer
        .bundle_of(name)
        .and_then(|names| answer.named(names.first()?));
    let mut sources: Vec<_> = tag.into_iter().collect();
    sources.extend([&answer.media[audio], &answer.session]);
    sources.extend(&answer.media);
    let transport = Transport::of(&sources, answer.media.iter(), most)?;
    if !answer.media.iter().all(|section| transport.is_of(section)) {
        return Err(Refusal::Unbundled);
    }
    normalise(&mut answer);
    transport.move_to(&mut answer, audio);
    let text = answer.write();
    Ok(Answered { text, limits })
}

fn read(text: &str) -> Result<Description, Refusal> {
    let description = Description::read(text);
    let media = &description.media;
    if media.len() > MAX_SECTIONS {
        return Err(Refusal::TooManySections);
    }
    if !media.iter().all(Section::is_formed) {
        return Err(Refusal::Malformed);
    }
    for (index, section) in media.iter().enumerate() {
        let name = section.mid();
        if name.is_some() && media[..index].iter().any(|it| it.mid() == name) {
            return Err(Refusal::SameName);
        }
    }
    Ok(description)
}

/// Whether it is a data channel (RFC 8841, section 4).
fn is_channel(section: &Section) -> bool {
    section.field(0) == "application" && section.formats().eq(["webrtc-datachannel"])
}

/// Gives the sections without a name those of `names` in their places, or else any: the stack takes none
/// without (RFC 8829, section 5.10, has one made up).
fn name_sections(description: &mut Description, names: &[&str]) {
    for index in 0..description.media.len() {
        if description.media[index].mid().is_some() {
            continue;
        }
        let is_free = |name: &String| description.named(name).is_none();
        let given = names.get(index).map(|it| (*it).to_owned()).filter(is_free);
        let mut others = (index..).map(|it| it.to_string());
        if let Some(name) = given.or_else(|| others.find(is_free)) {
            description.media[index].set("mid", &name);
        }
    }
}

/// Says in the sections themselves what the stack looks for in them.
fn normalise(description: &mut Description) {
    description.session.remove(&UNUSED);
    for section in &mut description.media {
        if is_channel(section) {
            // The stack takes no longer messages than the far side takes: these are two limits (RFC 8841,
            // section 6.1). `Limits` has that of the far side.
            section.set(MAX_MESSAGE, &config::MAX_MESSAGE.to_string());
            section.remove(&["bundle-only"]);
            continue;
        }
        if section.field(0) != "audio" {
            continue;
        }
        let direction = audio::direction(section, &description.session);
        section.remove(&UNUSED);
        section.remove(&audio::DIRECTIONS);
        section.push(format!("a={direction}"));
        // It refuses formats without a mapping, which some need not have (RFC 8866, section 6.6), and it has
        // Opus alone.
        let formats = audio::opus_formats(section);
        let formats: Vec<_> = formats.into_iter().map(str::to_owned).collect();
        section.describe(DISCARD, &formats);
    }
}

/// The port of a section whose address is among its candidates (RFC 8839, section 4.2.1.2).
const DISCARD: u16 = 9;

/// Puts all sections into one group: the stack refuses what is in none.
fn bundle(description: &mut Description) {
    let mut group = "BUNDLE".to_owned();
    for name in description.media.iter().filter_map(Section::mid) {
        group += " ";
        group += name;
    }
    description.session.set("group", &group);
}
