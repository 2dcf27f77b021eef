//! The records of responses, by their ids, and of the parts that were cut.
//!
//! Several responses may be in flight: one of the conversation, and others out of band. The one of
//! the conversation is the *current* response. Everything that is known of a response is in its
//! record; a record outlives its response, so that late events are told from new ones.

mod lost;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::audio::format::AudioFormat;

use super::event::Timings;
use super::heard::Spoken;
use super::item::{ContentPart, HeardExtent, Item, ItemKind};

pub(super) use lost::Lost;

/// How many responses are remembered. Those that have ended are forgotten first.
const MAX_RESPONSES: usize = 64;

/// How many cut parts are remembered.
const MAX_CUTS: usize = 64;

/// How many parts of one response are remembered by what was said in them, or heard of them.
const MAX_PARTS: usize = 64;

/// What `response.created` says of a response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun<'a> {
    /// `None` where the server gives none.
    pub(super) id: Option<&'a str>,
    pub(super) out_of_band: bool,
    pub(super) agent_version: u64,
    /// The format of its audio, if it was stated: by the response, or by the session.
    pub(super) format: Option<AudioFormat>,
    /// When the user's turn before it ended.
    pub(super) since: Duration,
}

/// The record of a response.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are independent of each other"
)]
pub(super) struct Response {
    id: Arc<str>,
    /// The agent that was active when the response began.
    pub(super) agent_version: u64,
    /// The format of its audio, if it was stated.
    pub(super) format: Option<AudioFormat>,
    /// When the user's turn before it ended.
    since: Duration,
    timings: Timings,
    /// It belongs to no conversation: its output stays out of the history.
    pub(super) out_of_band: bool,
    /// What its request gave to know it by; it is kept of those out of band.
    pub(super) metadata: Option<Box<Value>>,
    /// A tool call of this response asked for another response.
    wants_next: bool,
    /// A guardrail has tripped on it.
    tripped: bool,
    /// It was interrupted: its late audio is dropped.
    pub(super) silenced: bool,
    /// A `response.cancel` of it was sent, and it has not ended yet.
    pub(super) cancelling: bool,
    /// Text of it came that is not spoken.
    pub(super) written: bool,
    /// All of its audio has been generated.
    pub(super) audio_generated: bool,
    pub(super) done: bool,
    /// Milliseconds of its audio that were heard.
    pub(super) heard_ms: f64,
    /// The end of its playback was told.
    pub(super) playback_over: bool,
    /// The items and indices of the parts that were heard to their end.
    heard_parts: Vec<(Arc<str>, usize)>,
    /// The transcripts of its parts so far.
    pub(super) transcripts: Vec<Spoken>,
}

impl Response {
    fn new(id: Arc<str>, agent_version: u64) -> Self {
        Self {
            id,
            agent_version,
            format: None,
            since: Duration::ZERO,
            timings: Timings::default(),
            out_of_band: false,
            metadata: None,
            wants_next: false,
            tripped: false,
            silenced: false,
            cancelling: false,
            written: false,
            audio_generated: false,
            done: false,
            heard_ms: 0.0,
            playback_over: false,
            heard_parts: Vec::new(),
            transcripts: Vec::new(),
        }
    }

    /// A part was heard to its end.
    pub(super) fn heard(&mut self, item_id: &Arc<str>, content_index: usize, length_ms: f64) {
        self.heard_ms += length_ms;
        if self.heard_parts.len() < MAX_PARTS {
            self.heard_parts.push((Arc::clone(item_id), content_index));
        }
    }

    /// Whether that part was heard to its end. Sound without an item id may belong to any part.
    pub(super) fn was_heard(&self, item_id: &str, content_index: usize) -> bool {
        self.heard_parts
            .iter()
            .any(|(id, part)| id.is_empty() || (*part == content_index && **id == *item_id))
    }

    /// Adds a delta to the transcript of a part.
    pub(super) fn spoke(&mut self, item_id: &str, content_index: usize, delta: &str) {
        let is_full = self.transcripts.len() >= MAX_PARTS;
        let mut parts = self.transcripts.iter_mut().rev();
        match parts.find(|(item, part, _)| *part == content_index && **item == *item_id) {
            Some((.., transcript)) => transcript.push_str(delta),
            None if !is_full => {
                let part = (item_id.into(), content_index, delta.to_owned());
                self.transcripts.push(part);
            }
            None => {}
        }
    }

    pub(super) fn first_audio(&mut self, now: Duration) {
        let since = self.since;
        self.timings
            .first_audio
            .get_or_insert(now.saturating_sub(since));
    }

    /// Whether audio of it was passed on for playback.
    pub(super) fn had_audio(&self) -> bool {
        self.timings.first_audio.is_some()
    }
}

/// The response of the conversation that is in progress.
#[derive(Debug)]
struct Current {
    id: Option<Arc<str>>,
    /// Whether `response.created` announced it. If not, only its text has arrived.
    created: bool,
    /// The agent, where the response has no id and so no record.
    agent_version: u64,
    /// A `response.cancel` was sent, where the response has no id and so no record.
    cancelling: bool,
    /// When an event of it arrived last.
    active_at: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Responses {
    /// Oldest first. There are few, and most events are about the newest: a search from the end takes
    /// less time than a hash.
    known: VecDeque<Response>,
    current: Option<Current>,
    /// Counts the responses of the conversation.
    index: u64,
    /// Parts that were cut, for items that the server has not announced yet.
    cuts: VecDeque<(Arc<str>, usize, HeardExtent)>,
}

impl Responses {
    /// The record of a response, made if it is not known.
    pub(super) fn entry(&mut self, id: &str, agent_version: u64) -> &mut Response {
        let at = self.position(id).unwrap_or_else(|| {
            if self.known.len() >= MAX_RESPONSES {
                self.forget_one();
            }
            // They are large: no room is kept for more.
            self.known.reserve_exact(1);
            self.known
                .push_back(Response::new(id.into(), agent_version));
            self.known.len() - 1
        });
        &mut self.known[at]
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.known.iter().rposition(|response| *response.id == *id)
    }

    /// Forgets the oldest response that has ended; if none has, the oldest.
    fn forget_one(&mut self) {
        let ended = self.known.iter().position(|response| response.done);
        self.known.remove(ended.unwrap_or(0));
    }

    pub(super) fn get(&self, id: &str) -> Option<&Response> {
        self.position(id).map(|at| &self.known[at])
    }

    /// When the turn of a response began, if `response.created` announced it.
    pub(super) fn since(&self, id: &str) -> Option<Duration> {
        let response = self.get(id)?;
        response.timings.created.map(|_| response.since)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Response> {
        self.position(id).map(|at| &mut self.known[at])
    }

    /// Begins a response. Returns the response that was current before, if it had not ended: the
    /// server has one at a time in the conversation, so it will not go on.
    pub(super) fn begin(&mut self, begun: Begun<'_>, now: Duration) -> Option<Arc<str>> {
        // What the server sent without any id belongs to the past.
        self.known.retain(|response| !response.id.is_empty());
        let mut replaced = None;
        if !begun.out_of_band {
            self.index += 1;
            let id = begun.id.map(Arc::from);
            let before = self.current.replace(Current {
                id,
                created: true,
                agent_version: begun.agent_version,
                cancelling: false,
                active_at: now,
            });
            replaced = before
                .and_then(|current| current.id)
                .filter(|before| begun.id != Some(&**before));
        }
        if let Some(id) = begun.id {
            let response = self.entry(id, begun.agent_version);
            if response.done {
                // The server reused an id: this is a new response.
                *response = Response::new(Arc::clone(&response.id), begun.agent_version);
            }
            response.out_of_band = begun.out_of_band;
            response.format = begun.format;
            response.since = begun.since;
            response.timings.created = Some(now.saturating_sub(begun.since));
        }
        replaced
    }

    /// Makes a response current whose text arrived without a `response.created`.
    pub(super) fn adopt(&mut self, id: &str, agent_version: u64, now: Duration) {
        if self.current.is_none() && self.get(id).is_none_or(|it| !it.done && !it.out_of_band) {
            self.current = Some(Current {
                id: Some(id.into()),
                created: false,
                agent_version,
                cancelling: false,
                active_at: now,
            });
            self.capture(id, agent_version);
        }
    }

    /// The id that a `response.done` means, which may state none, or one that the server never
    /// announced: then the current response has ended.
    pub(super) fn ended_id(&self, stated: Option<&str>) -> Option<Arc<str>> {
        let current = self.current.as_ref();
        match stated {
            Some(id) if self.get(id).is_some() => Some(id.into()),
            _ => current
                .filter(|current| current.created)
                .and_then(|current| current.id.clone())
                .or_else(|| stated.map(Arc::from)),
        }
    }

    /// Ends a response. Returns its agent and timings, or `None` if it had ended before.
    pub(super) fn end(
        &mut self,
        id: Option<&str>,
        agent_version: u64,
        now: Duration,
    ) -> Option<(u64, Timings)> {
        let Some(id) = id else {
            let current = self.current.take();
            let agent_version = current.map_or(agent_version, |current| current.agent_version);
            return Some((agent_version, Timings::default()));
        };
        if self.is_done(id) {
            return None;
        }
        let agent_version = self.capture(id, agent_version);
        let is_current = |current: &mut Current| current.id.as_deref().is_none_or(|it| it == id);
        let response = self.entry(id, agent_version);
        response.done = true;
        response.cancelling = false;
        if response.timings.created.is_some() {
            response.timings.done = Some(now.saturating_sub(response.since));
        }
        let ended = (response.agent_version, response.timings);
        if !response.out_of_band {
            self.current.take_if(is_current);
        }
        Some(ended)
    }

    /// Gives the current response up: its end will not come. Returns its id.
    pub(super) fn give_up(&mut self) -> Option<Arc<str>> {
        let id = self.current.take()?.id?;
        if let Some(response) = self.get_mut(&id) {
            response.cancelling = false;
        }
        Some(id)
    }

    /// Counts the responses of the conversation: the number of the newest one.
    pub(super) fn index(&self) -> u64 {
        self.index
    }

    /// The id of the current response.
    pub(super) fn current(&self) -> Option<&Arc<str>> {
        self.current.as_ref()?.id.as_ref()
    }

    /// Whether a response of the conversation is in progress, announced or not.
    pub(super) fn is_in_progress(&self) -> bool {
        self.current.is_some()
    }

    /// Whether a response of the conversation is in progress, as the server announced.
    pub(super) fn is_busy(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.created)
    }

    pub(super) fn is_current(&self, id: &str) -> bool {
        self.current().is_some_and(|current| **current == *id)
    }

    /// An event of that response arrived.
    pub(super) fn touch(&mut self, id: &str, now: Duration) {
        if let Some(current) = &mut self.current
            && current.id.as_deref().is_none_or(|current| current == id)
        {
            current.active_at = now;
        }
    }

    /// When an event of the current response arrived last.
    pub(super) fn active_at(&self) -> Option<Duration> {
        let current = self.current.as_ref().filter(|current| current.created)?;
        Some(current.active_at)
    }

    /// Marks the current response as being cancelled. Returns whether there is one to cancel that was
    /// not cancelled before.
    pub(super) fn cancel_current(&mut self) -> bool {
        let Some(current) = self.current.as_mut().filter(|current| current.created) else {
            return false;
        };
        let record = current.id.as_ref().and_then(|id| {
            let mut known = self.known.iter_mut().rev();
            known.find(|response| response.id == *id)
        });
        let cancelling = match record {
            Some(response) => &mut response.cancelling,
            None => &mut current.cancelling,
        };
        !std::mem::replace(cancelling, true)
    }

    /// Whether a `response.cancel` of the current response is on its way.
    pub(super) fn is_cancelling(&self) -> bool {
        self.current.as_ref().is_some_and(|current| {
            let record = current.id.as_ref().and_then(|id| self.get(id));
            record.map_or(current.cancelling, |response| response.cancelling)
        })
    }

    fn is_done(&self, id: &str) -> bool {
        self.get(id).is_some_and(|response| response.done)
    }

    /// The agent of a response that has not ended.
    pub(super) fn agent_version(&self, id: &str) -> Option<u64> {
        let response = self.get(id).filter(|response| !response.done)?;
        Some(response.agent_version)
    }

    /// The agent that serves a response. One without a `response.created` belongs from now on to the
    /// active agent (`agent_version`), and so do events after the end of a response.
    pub(super) fn capture(&mut self, id: &str, agent_version: u64) -> u64 {
        if self.is_done(id) {
            return agent_version;
        }
        if self.get(id).is_none() {
            let unnamed = self.current.as_ref().filter(|current| current.id.is_none());
            let agent_version = unnamed.map_or(agent_version, |current| current.agent_version);
            self.entry(id, agent_version);
        }
        self.agent_version(id).unwrap_or(agent_version)
    }

    pub(super) fn want_next(&mut self, id: &str, agent_version: u64) {
        self.entry(id, agent_version).wants_next = true;
    }

    pub(super) fn take_wants_next(&mut self, id: &str) -> bool {
        self.get_mut(id)
            .is_some_and(|response| std::mem::take(&mut response.wants_next))
    }

    /// Marks a response as tripped by a guardrail. Returns false if it was marked already.
    pub(super) fn trip(&mut self, id: &str, agent_version: u64) -> bool {
        !std::mem::replace(&mut self.entry(id, agent_version).tripped, true)
    }

    pub(super) fn silence(&mut self, id: &str, agent_version: u64) {
        self.entry(id, agent_version).silenced = true;
    }

    pub(super) fn silence_current(&mut self, agent_version: u64) {
        if let Some(id) = self.current().cloned() {
            self.silence(&id, agent_version);
        }
    }

    pub(super) fn is_silenced(&self, id: &str) -> bool {
        self.get(id).is_some_and(|response| response.silenced)
    }

    pub(super) fn is_out_of_band(&self, id: &str) -> bool {
        self.get(id).is_some_and(|response| response.out_of_band)
    }

    /// The transcript of a part so far.
    pub(super) fn transcript(
        &self,
        response_id: &str,
        item_id: &str,
        content_index: usize,
    ) -> &str {
        let parts = self.get(response_id).map(|it| &it.transcripts);
        let is_meant = |(item, part, _): &&Spoken| **item == *item_id && *part == content_index;
        let part = parts.and_then(|parts| parts.iter().find(is_meant));
        part.map_or("", |(.., transcript)| transcript)
    }

    /// Drops the transcripts of a response that has ended, but those that are `needed`.
    pub(super) fn forget_transcripts(&mut self, id: &str, needed: impl FnMut(&Spoken) -> bool) {
        if let Some(response) = self.get_mut(id).filter(|response| response.done) {
            response.transcripts.retain(needed);
            response.transcripts.shrink_to_fit();
        }
    }

    pub(super) fn cut(&mut self, item_id: &Arc<str>, content_index: usize, heard: HeardExtent) {
        self.cuts
            .push_back((Arc::clone(item_id), content_index, heard));
        if self.cuts.len() > MAX_CUTS {
            self.cuts.pop_front();
        }
    }

    /// Whether anything of an item was heard, as far as that is remembered.
    pub(super) fn was_heard(&self, item_id: &str) -> bool {
        let heard_in_part = |(id, _, heard): &(Arc<str>, usize, HeardExtent)| {
            **id == *item_id && heard.audio_end_ms > 0
        };
        let heard_whole = |response: &Response| {
            let mut parts = response.heard_parts.iter();
            parts.any(|(id, _)| **id == *item_id)
        };
        self.cuts.iter().any(heard_in_part) || self.known.iter().any(heard_whole)
    }

    /// Whether a part was cut, as far as that is remembered.
    pub(super) fn is_cut(&self, item_id: &str, content_index: usize) -> bool {
        let is_meant = |(id, part, _): &(Arc<str>, usize, HeardExtent)| {
            *part == content_index && **id == *item_id
        };
        self.cuts.iter().any(is_meant)
    }

    /// Copies the extent that was heard into an item whose parts were cut before the item arrived.
    pub(super) fn mark_heard(&self, item: &mut Item) {
        let ItemKind::Message { content, .. } = &mut item.kind else {
            return;
        };
        for (_, index, cut) in self.cuts.iter().filter(|(id, ..)| *id == item.id) {
            if let Some(ContentPart::OutputAudio { heard, .. }) = content.get_mut(*index) {
                *heard = Some(cut.clone());
            }
        }
    }
}
