//! Checks what comes out of a conversation, in its order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use stapes_core::conversation::{
    ContentPart, CoreError, Event, FunctionCall, GuardSource, History, ItemKind, Output, Sequenced,
};

use crate::expectations::{Expectations, Interruption};
use crate::persona::Persona;
use crate::rules::{Check, Rule, Violation, broken, require};
use crate::wire::{Fact, number};

/// A text that guardrails look at.
#[derive(Debug, Clone)]
pub struct Look {
    pub response_id: Option<Arc<str>>,
    pub response_index: u64,
    pub connection_id: u64,
    pub source: GuardSource,
}

/// What came out of one act.
#[derive(Debug, Default)]
pub struct Batch {
    pub truncates: Vec<(u32, usize, u64)>,
    pub cancels: Vec<u32>,
    pub interrupted: Vec<u32>,
    pub sounds: usize,
    pub outputs: Vec<u32>,
    pub errors: Vec<CoreError>,
    pub tokens: Vec<u64>,
    pub calls: Vec<Arc<FunctionCall>>,
    pub started: Vec<u32>,
    pub ended: Vec<(u32, u64, String)>,
    pub created: Vec<String>,
}

#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are independent of each other"
)]
pub struct Watch {
    sequence: u64,
    /// The history that was told last.
    pub told: History,
    /// The calls that were handed out on this connection.
    handed_out: HashSet<u32>,
    /// How often each call was answered on this connection.
    pub outputs: HashMap<u32, usize>,
    /// Sound has started; whether it has stopped or was interrupted since.
    started: bool,
    stopped: bool,
    interrupted: bool,
    /// The user sends a `response.cancel` now.
    pub raw_cancel: bool,
    /// What was heard of each response.
    pub played: HashMap<u32, u64>,
    /// What guardrails were asked to look at.
    pub looks: Vec<Look>,
}

impl Watch {
    pub fn new_connection(&mut self) {
        self.handed_out.clear();
        self.outputs.clear();
        self.looks.clear();
        self.played.clear();
        (self.started, self.stopped, self.interrupted) = (false, false, false);
    }

    /// Checks an output. Returns it if it is a message for the server.
    pub fn output(
        &mut self,
        next: Sequenced,
        batch: &mut Batch,
        fact: Option<&Fact>,
        interruption: &Interruption,
        expect: &mut Expectations,
        persona: &Persona,
    ) -> Result<Option<Value>, Violation> {
        require(next.sequence >= self.sequence, Rule::OneOrder, || {
            format!("{} after {}", next.sequence, self.sequence)
        })?;
        self.sequence = next.sequence;
        match next.output {
            Output::Message(event) => {
                let message = serde_json::from_str(&event.text);
                let Ok(message) = message else {
                    return broken(Rule::ClientKeepsToTheProtocol, event.text);
                };
                self.message(&message, batch, expect)?;
                Ok(Some(message))
            }
            Output::Event(event) => {
                self.event(event, batch, fact, interruption, expect, persona)?;
                Ok(None)
            }
            Output::Close { .. } | Output::Caller(_) => Ok(None),
        }
    }

    fn message(&mut self, message: &Value, batch: &mut Batch, expect: &mut Expectations) -> Check {
        match message["type"].as_str().unwrap_or_default() {
            "response.create" => {
                let event_id = message["event_id"].as_str().unwrap_or_default();
                let payload = message.get("response").is_some();
                let apart = message["response"]["conversation"] == "none";
                expect.create_is_sent(event_id, payload, apart)?;
                batch.created.push(event_id.to_owned());
            }
            "response.cancel" => {
                let named = message["response_id"].as_str().and_then(number);
                if self.raw_cancel {
                    expect.cancelled.extend(named.or(expect.active));
                    return Ok(());
                }
                let Some(id) = named else {
                    return broken(Rule::CancelNamesAResponse, "a cancel without an id");
                };
                let active = expect.begun.contains_key(&id) && !expect.ended.contains(&id);
                require(active, Rule::CancelNamesAResponse, || {
                    format!("resp_{id} is cancelled, and not active")
                })?;
                require(
                    expect.cancelled.insert(id),
                    Rule::CancelNamesAResponse,
                    || format!("resp_{id} is cancelled twice"),
                )?;
                batch.cancels.push(id);
            }
            "conversation.item.create" if message["item"]["type"] == "function_call_output" => {
                let call = message["item"]["call_id"].as_str().and_then(number);
                let call = call.unwrap_or_default();
                batch.outputs.push(call);
                let count = self.outputs.entry(call).or_default();
                *count += 1;
                require(*count == 1, Rule::CallIsAnswered, || {
                    format!("call_{call} is answered {count} times")
                })?;
            }
            "conversation.item.truncate" => {
                let item = message["item_id"].as_str().and_then(number);
                batch.truncates.push((
                    item.unwrap_or_default(),
                    message["content_index"].as_u64().unwrap_or(99) as usize,
                    message["audio_end_ms"].as_u64().unwrap_or(u64::MAX),
                ));
            }
            _ => {}
        }
        Ok(())
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind of event")]
    fn event(
        &mut self,
        event: Event,
        batch: &mut Batch,
        fact: Option<&Fact>,
        interruption: &Interruption,
        expect: &mut Expectations,
        persona: &Persona,
    ) -> Check {
        match event {
            Event::ResponseStarted { response_id, .. } => {
                batch
                    .started
                    .extend(response_id.as_deref().and_then(number));
            }
            Event::ResponseEnded(ended) => {
                let id = ended.response_id.as_deref().and_then(number);
                self.looks.push(Look {
                    response_id: ended.response_id.clone(),
                    response_index: ended.response_index,
                    connection_id: ended.connection_id,
                    source: ended.source,
                });
                batch
                    .ended
                    .push((id.unwrap_or_default(), ended.agent_version, ended.output));
            }
            Event::AudioStarted { .. } => {
                let open = self.started && !self.stopped && !self.interrupted;
                require(!open, Rule::SoundIsPaired, || {
                    "AudioStarted twice".to_owned()
                })?;
                (self.started, self.stopped, self.interrupted) = (true, false, false);
            }
            Event::AudioStopped { .. } => {
                require(self.started && !self.stopped, Rule::SoundIsPaired, || {
                    "AudioStopped without AudioStarted".to_owned()
                })?;
                self.stopped = true;
            }
            Event::AudioInterrupted { response_id, .. } => {
                self.interrupted = true;
                self.shows(interruption)?;
                batch.interrupted.extend(number(&response_id));
            }
            Event::Audio {
                response_id,
                item_id,
                content_index,
                data,
            } => {
                let Some(Fact::Sound {
                    response,
                    item,
                    part,
                    ms,
                }) = fact
                else {
                    return broken(Rule::SoundIsPassedOn, "sound out of nothing");
                };
                let same = number(&response_id) == Some(*response)
                    && number(&item_id) == Some(*item)
                    && content_index == *part
                    && data.len() == persona.bytes(*ms);
                require(same, Rule::SoundIsPassedOn, || {
                    format!("{response_id} {item_id} {content_index} for {fact:?}")
                })?;
                let silent = expect.silenced.contains(response);
                require(!silent, Rule::SilenceAfterInterruption, || {
                    format!("sound of {response_id}, which was interrupted")
                })?;
                batch.sounds += 1;
            }
            Event::HistoryUpdated { history } => self.told = history,
            Event::FunctionCall(call) => {
                let id = number(&call.call_id).unwrap_or_default();
                require(self.handed_out.insert(id), Rule::CallIsHandedOut, || {
                    format!("call_{id} is handed out twice")
                })?;
                let begun = number(&call.response_id).and_then(|id| expect.begun.get(&id));
                let agent = begun.map(|(agent, _)| *agent);
                require(
                    agent == Some(call.agent_version),
                    Rule::CallIsHandedOut,
                    || format!("{call:?} belongs to agent {agent:?}"),
                )?;
                batch.calls.push(call);
            }
            Event::GuardrailDue {
                response_id,
                source,
                response_index,
                connection_id,
                ..
            } => self.looks.push(Look {
                response_id: Some(response_id),
                response_index,
                connection_id,
                source,
            }),
            Event::CoreError(error) => {
                if matches!(error, CoreError::Unanswered(_)) {
                    expect.give_up();
                }
                explained(error, batch, fact)?;
            }
            Event::PlaybackEnded {
                response_id,
                played_ms,
                ..
            } => {
                let response = number(&response_id).unwrap_or_default();
                let told = self.played.insert(response, played_ms);
                require(told.is_none(), Rule::EndOfPlaybackIsTold, || {
                    format!("twice for {response_id}")
                })?;
            }
            Event::LocalEvent { token } => batch.tokens.push(token),
            _ => {}
        }
        Ok(())
    }

    /// The history that was told last shows every cut of an item that it has.
    fn shows(&self, interruption: &Interruption) -> Check {
        for cut in interruption.cuts.iter().filter(|cut| cut.required) {
            let Some(heard) = heard_of(&self.told, cut.item, cut.index) else {
                continue;
            };
            let shown = heard == Some(cut.ms);
            require(shown, Rule::HistoryShowsTheCut, || {
                format!("at AudioInterrupted: {heard:?} for {cut:?}")
            })?;
        }
        Ok(())
    }

    /// Sound has ended, where it has started.
    pub fn sound_is_over(&self) -> bool {
        !self.started || self.stopped || self.interrupted
    }
}

/// What the history says of a part of an answer: how much was heard, if it was cut; `None` if it
/// has no such part yet.
#[expect(clippy::option_option, reason = "two questions")]
pub fn heard_of(history: &History, item: u32, index: usize) -> Option<Option<u64>> {
    let item = history
        .iter()
        .find(|known| number(&known.id) == Some(item))?;
    let ItemKind::Message { content, .. } = &item.kind else {
        return None;
    };
    let ContentPart::OutputAudio { heard, .. } = content.get(index)? else {
        return None;
    };
    Some(heard.as_ref().map(|heard| heard.audio_end_ms))
}

/// An error must have a reason.
fn explained(error: CoreError, batch: &mut Batch, fact: Option<&Fact>) -> Check {
    let explained = match &error {
        CoreError::Server(_) => matches!(
            fact,
            Some(
                Fact::Refused { .. } | Fact::NothingToCancel | Fact::OtherError | Fact::Done { .. }
            )
        ),
        CoreError::Failed { .. } => matches!(fact, Some(Fact::Done { .. })),
        CoreError::NotSent(_) | CoreError::Unanswered(_) => true,
        _ => false,
    };
    require(explained, Rule::NoFalseErrors, || format!("{error:?}"))?;
    batch.errors.push(error);
    Ok(())
}
