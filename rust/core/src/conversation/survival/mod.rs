//! How a conversation outlives its connections.
//!
//! When a connection is lost that is to be replaced, the conversation is *suspended*: the answer that
//! was being spoken ends where it was heard to, calls and requests go on waiting, and commands are
//! held. A new connection *resumes* it: the server gets the configuration, the history as heard, what
//! it had not confirmed, the user's sound that no item holds, and the commands that waited, all at once
//! and in this order.
//!
//! To the session layer it is one connection: its id does not change, so that what was begun before the
//! loss ends after it.

mod kept_sound;
mod restore;
mod resumed_items;
mod resumption;
mod rollover;
mod shared_text;
mod sound_pieces;
mod stored;
mod suspension;
mod turn_events;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::capabilities::Media;
use super::client_event::ClientEvent;
use super::commands::Rejected;
use super::core_error::CoreError;
use super::event::{ConnectionEnd, Status};
use super::item::{Item, ItemId, at};
use super::{Conversation, History};
use crate::audio::AudioFormat;
use kept_sound::KeptSound;

pub(super) use resumed_items::ResumedItems;
pub use rollover::Replayed;
pub use shared_text::SharedText;

/// What the model of a new connection is told when the conversation has been replayed to it.
const GO_ON: &str = "The conversation so far is above, as text; yours was spoken. Go on from where it \
                     stands. Do not greet, do not introduce yourself and do not repeat what was said; \
                     do not mention that anything was interrupted. Answer by voice, in the language \
                     of the conversation so far.";

/// How a conversation goes on over another connection.
#[derive(Debug, Clone)]
pub struct SurvivalOptions {
    /// How much of the user's sound is kept: 15 s.
    pub max_unsent_audio: Duration,
    /// How many items a new connection is told, at most: 200.
    pub max_replayed_items: usize,
    /// How many bytes of text in them: 100,000.
    pub max_replayed_characters: usize,
    /// Bytes of commands that may wait for a new connection: 4 MiB.
    pub max_held_bytes: usize,
    /// What the model is told after the history: to go on, without a greeting. `None`: nothing.
    pub go_on: Option<SharedText>,
    /// Whether an answer that was cut is asked for again from there: no.
    pub continue_answers: bool,
    /// What the ids of items begin with that the server has to confirm. It is unique to the session.
    pub id_prefix: Arc<str>,
}

impl Default for SurvivalOptions {
    fn default() -> Self {
        Self {
            max_unsent_audio: Duration::from_secs(15),
            max_replayed_items: 200,
            max_replayed_characters: 100_000,
            max_held_bytes: 4 * 1024 * 1024,
            go_on: Some(GO_ON.into()),
            continue_answers: false,
            id_prefix: "stapes".into(),
        }
    }
}

/// What a conversation keeps for the next connection.
#[derive(Debug)]
pub(super) struct Surviving {
    options: SurvivalOptions,
    sound: KeptSound,
    /// Answers that still play, which the server has as text.
    text_only: HashSet<ItemId>,
    /// Calls that the server has as text, in the instructions, without their outputs.
    told_calls: HashSet<Arc<str>>,
    /// Counts ids.
    count: u64,
    suspended: Option<Suspended>,
    /// What the next conversation goes on with.
    stored: Vec<Item>,
    /// The outputs of calls that ended while there was no connection.
    answers: Vec<ClientEvent>,
}

#[derive(Debug)]
struct Suspended {
    at: Duration,
    reason: &'static str,
    /// An answer was cut that is to go on.
    continues: bool,
    /// In place of what is left out of the history.
    summary: Option<String>,
}

impl Surviving {
    pub fn new(options: SurvivalOptions) -> Self {
        let most_ms = options.max_unsent_audio.as_millis() as u64;
        Self {
            options,
            sound: KeptSound::new(most_ms),
            text_only: HashSet::new(),
            told_calls: HashSet::new(),
            count: 0,
            suspended: None,
            stored: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Takes the configuration that a connection begins with.
    pub fn begin_with(&mut self, session_update: &Value, media: Media) {
        self.sound.goes_apart(media == Media::Track);
        self.note_sound(session_update);
    }

    /// Takes what the whole configuration says of the user's sound.
    pub fn note_sound(&mut self, session_update: &Value) {
        let input = at(session_update, &["session", "audio", "input"]);
        let stated = |key: &str| input.and_then(|input| input.get(key));
        let format = stated("format").and_then(|format| {
            let name = format.get("type").and_then(Value::as_str)?;
            let rate = format.get("rate").and_then(Value::as_u64);
            AudioFormat::from_wire(name, rate.and_then(|rate| u32::try_from(rate).ok())).ok()
        });
        let is_off = |key: &str| stated(key).is_some_and(Value::is_null);
        let transcribed = !is_off("transcription") && stated("transcription").is_some();
        self.sound.configured(
            format.unwrap_or_default(),
            is_off("turn_detection"),
            transcribed,
        );
    }

    /// A call was answered while there was no connection.
    pub fn answered(&mut self, answer: ClientEvent) {
        self.answers.push(answer);
    }

    /// Forgets the conversation: another one begins.
    pub fn reset(&mut self) {
        self.sound.reset();
        self.text_only = HashSet::new();
        self.told_calls = HashSet::new();
        self.suspended = None;
        self.answers = Vec::new();
    }

    fn name(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{}_{what}_{}", self.options.id_prefix, self.count)
    }
}

impl Conversation {
    /// Has the conversation go on over another connection when one is lost.
    pub fn survive(&mut self, options: SurvivalOptions) {
        self.survival = Some(Box::new(Surviving::new(options)));
        self.outbox.remember_creations();
    }

    /// Whether the conversation can go on over another connection.
    pub fn survives(&self) -> bool {
        self.survival.is_some()
    }

    /// Whether something of a turn is under way: an answer, a request for one, a call, or speech.
    pub fn is_in_turn(&self) -> bool {
        // Sound on a track comes as it plays, after the server has ended the response.
        let plays = self.capabilities.media == Media::Track && !self.playback.is_empty();
        plays
            || self.awaits_words()
            || self.responses.is_busy()
            || !self.sequencer.is_idle()
            || self.own_response_due
            || self.tool_calls.any_open()
            || self
                .survival
                .as_ref()
                .is_some_and(|it| it.sound.is_speech_open() || it.sound.is_turn_over())
    }

    /// Whether another command may wait for the next connection.
    pub(super) fn room_to_hold(&self) -> Result<(), Rejected> {
        let limit = self
            .survival
            .as_ref()
            .map_or(0, |survival| survival.options.max_held_bytes);
        if self.outbox.held_bytes() > limit {
            return Err(Rejected::TooMuchHeld { limit });
        }
        Ok(())
    }

    /// Begins another connection of a conversation that is suspended. Returns its wire id.
    pub fn reconnecting(&mut self) -> Result<u64, Rejected> {
        if self.status != Status::Reconnecting {
            return Err(Rejected::Stale);
        }
        self.wire_id = self.new_wire();
        Ok(self.wire_id)
    }

    /// Ends a conversation that could not be resumed.
    pub fn give_up(&mut self, end: ConnectionEnd) {
        if self.status != Status::Reconnecting {
            return;
        }
        let held = self.outbox.release();
        if !held.is_empty() {
            self.report(CoreError::NotSent(format!(
                "{} messages that were given while the connection was lost are lost too",
                held.len()
            )));
        }
        if self.history.end_items(|_| false) {
            self.history_updated();
        }
        self.sequencer.reset();
        self.give_up_played();
        if let Some(survival) = &mut self.survival {
            survival.reset();
        }
        self.status_changed(Status::Disconnected, Some(end));
    }

    /// The items that a new connection is not told, because they exceed the bounds.
    pub fn left_out(&self) -> History {
        let history = self.history.version();
        let Some(survival) = &self.survival else {
            return History::default();
        };
        let is_open = |call_id: &str| self.tool_calls.is_open(call_id);
        let first = restore::first_replayed(history, &survival.sound, &survival.options, is_open);
        history.first(first)
    }

    /// Sets what a new connection is told in place of what is left out.
    pub fn summarise(&mut self, summary: String) {
        if let Some(survival) = &mut self.survival
            && let Some(suspended) = &mut survival.suspended
        {
            suspended.summary = Some(summary).filter(|summary| !summary.trim().is_empty());
        }
    }

    /// How much of the user's sound waits for another connection, at most.
    pub fn max_unsent_audio(&self) -> Duration {
        let survival = self.survival.as_ref();
        survival.map_or(Duration::ZERO, |it| it.options.max_unsent_audio)
    }

    /// Bytes of sound that are kept for another connection.
    pub fn kept_sound(&self) -> usize {
        self.survival.as_ref().map_or(0, |it| it.sound.len())
    }
}
