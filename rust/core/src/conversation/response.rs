//! The records of recent responses, and of the parts that were cut.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::audio::format::AudioFormat;

use super::event::Timings;
use super::item::{ContentPart, HeardExtent, Item, ItemKind};

/// How many responses, and how many cut parts, are remembered.
const MEMORY: usize = 32;

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts that are independent of each other"
)]
struct Response {
    /// The agent that was active when the response began.
    agent_version: u64,
    /// The format of its audio, if it was stated: by the response, or by the session when it began.
    format: Option<AudioFormat>,
    /// When the user's turn before it ended.
    since: Duration,
    timings: Timings,
    /// A tool call of this response asked for another response.
    wants_next: bool,
    /// A guardrail has tripped on it.
    tripped: bool,
    /// It was interrupted: its late audio is dropped.
    silenced: bool,
    done: bool,
}

#[derive(Debug, Default)]
pub(super) struct Responses {
    known: HashMap<Arc<str>, Response>,
    order: VecDeque<Arc<str>>,
    active: Option<Arc<str>>,
    /// The agent of a response that began without an id.
    unnamed: Option<u64>,
    /// Counts responses.
    index: u64,
    /// The item that is being spoken, and its transcript so far.
    speaking: Option<(Arc<str>, String)>,
    /// Parts that were cut, for items that the server has not announced yet.
    cuts: VecDeque<(Arc<str>, usize, HeardExtent)>,
}

impl Responses {
    fn entry(&mut self, id: &str, agent_version: u64) -> &mut Response {
        if !self.known.contains_key(id) {
            let id: Arc<str> = id.into();
            self.order.push_back(Arc::clone(&id));
            while self.order.len() > MEMORY {
                if let Some(oldest) = self.order.pop_front() {
                    self.known.remove(&oldest);
                }
            }
            self.known.insert(
                id,
                Response {
                    agent_version,
                    format: None,
                    since: Duration::ZERO,
                    timings: Timings::default(),
                    wants_next: false,
                    tripped: false,
                    silenced: false,
                    done: false,
                },
            );
        }
        self.known.get_mut(id).expect("it is known by now")
    }

    pub(super) fn begin(
        &mut self,
        id: Option<&str>,
        agent_version: u64,
        format: Option<AudioFormat>,
        since: Duration,
        now: Duration,
    ) {
        self.index += 1;
        self.active = id.map(Arc::from);
        self.unnamed = id.is_none().then_some(agent_version);
        if let Some(id) = id {
            let response = self.entry(id, agent_version);
            if std::mem::take(&mut response.done) {
                // The server reused an id: this is a new response.
                response.agent_version = agent_version;
                response.silenced = false;
            }
            response.format = format;
            response.since = since;
            response.timings.created = Some(now.saturating_sub(since));
        }
    }

    /// Makes a response active whose text arrived without a `response.created`.
    pub(super) fn adopt(&mut self, id: &str, agent_version: u64) {
        if self.active.is_none() && !self.is_done(id) {
            self.active = Some(id.into());
            self.capture(id, agent_version);
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
            self.active = None;
            return Some((agent_version, Timings::default()));
        };
        if self.is_done(id) {
            return None;
        }
        if self.active.as_deref() == Some(id) {
            self.active = None;
        }
        let agent_version = self.capture(id, agent_version);
        let response = self.entry(id, agent_version);
        response.done = true;
        if response.timings.created.is_some() {
            response.timings.done = Some(now.saturating_sub(response.since));
        }
        Some((response.agent_version, response.timings))
    }

    pub(super) fn index(&self) -> u64 {
        self.index
    }

    pub(super) fn active(&self) -> Option<&Arc<str>> {
        self.active.as_ref()
    }

    pub(super) fn is_active(&self, id: &str) -> bool {
        self.active.as_deref() == Some(id)
    }

    fn is_done(&self, id: &str) -> bool {
        self.known.get(id).is_some_and(|response| response.done)
    }

    /// The agent of a response that has not ended.
    pub(super) fn agent_version(&self, id: &str) -> Option<u64> {
        let response = self.known.get(id).filter(|response| !response.done)?;
        Some(response.agent_version)
    }

    /// The agent that serves a response. A response without a `response.created` belongs from now
    /// on to the active agent (`agent_version`). Events after the end of a response belong to that
    /// agent, too.
    pub(super) fn capture(&mut self, id: &str, agent_version: u64) -> u64 {
        if self.is_done(id) {
            return agent_version;
        }
        if !self.known.contains_key(id) {
            let agent_version = self.unnamed.take().unwrap_or(agent_version);
            self.entry(id, agent_version);
        }
        self.agent_version(id).unwrap_or(agent_version)
    }

    pub(super) fn format(&self, id: &str) -> Option<AudioFormat> {
        self.known.get(id).and_then(|response| response.format)
    }

    pub(super) fn first_audio(&mut self, id: &str, now: Duration) {
        if let Some(response) = self.known.get_mut(id) {
            let since = response.since;
            response
                .timings
                .first_audio
                .get_or_insert(now.saturating_sub(since));
        }
    }

    /// Whether audio of it was passed on for playback.
    pub(super) fn had_audio(&self, id: &str) -> bool {
        self.known
            .get(id)
            .is_some_and(|response| response.timings.first_audio.is_some())
    }

    pub(super) fn want_next(&mut self, id: &str, agent_version: u64) {
        self.entry(id, agent_version).wants_next = true;
    }

    pub(super) fn take_wants_next(&mut self, id: &str) -> bool {
        self.known
            .get_mut(id)
            .is_some_and(|response| std::mem::take(&mut response.wants_next))
    }

    /// Marks a response as tripped by a guardrail. Returns false if it was marked already.
    pub(super) fn trip(&mut self, id: &str, agent_version: u64) -> bool {
        !std::mem::replace(&mut self.entry(id, agent_version).tripped, true)
    }

    pub(super) fn silence(&mut self, id: &str, agent_version: u64) {
        self.entry(id, agent_version).silenced = true;
    }

    pub(super) fn silence_active(&mut self, agent_version: u64) {
        if let Some(id) = self.active.clone() {
            self.silence(&id, agent_version);
        }
    }

    pub(super) fn is_silenced(&self, id: &str) -> bool {
        self.known.get(id).is_some_and(|response| response.silenced)
    }

    /// Adds a delta to the transcript of the item that is being spoken.
    pub(super) fn spoke(&mut self, item_id: &str, delta: &str) {
        match &mut self.speaking {
            Some((known, transcript)) if **known == *item_id => transcript.push_str(delta),
            speaking => *speaking = Some((item_id.into(), delta.to_owned())),
        }
    }

    /// The transcript of that item so far; empty if another item is being spoken.
    pub(super) fn transcript(&self, item_id: &str) -> &str {
        match &self.speaking {
            Some((known, transcript)) if **known == *item_id => transcript,
            _ => "",
        }
    }

    pub(super) fn cut(&mut self, item_id: &Arc<str>, content_index: usize, heard: HeardExtent) {
        self.cuts
            .push_back((Arc::clone(item_id), content_index, heard));
        if self.cuts.len() > MEMORY {
            self.cuts.pop_front();
        }
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
