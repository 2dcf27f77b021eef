//! The model server: keeps to the protocol, and is otherwise as free as the protocol allows.

use std::cell::Cell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use serde_json::Value;

use crate::answers::Running;
use crate::items::{Item, Kind, Part};
use crate::persona::Persona;
use crate::rng::Rng;
use crate::rules::{Check, Rule, broken, require};
use crate::wire::{Fact, Frame, number};

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are independent of each other"
)]
pub struct Server {
    pub persona: Persona,
    /// Shared with the client, so that no id means two things.
    ids: Rc<Cell<u32>>,
    /// Frames for the client.
    pub line: VecDeque<Frame>,
    /// The conversation.
    pub order: Vec<u32>,
    pub items: HashMap<u32, Item>,
    pub running: Vec<Running>,
    /// How often each call was answered.
    pub calls: HashMap<u32, u32>,
    /// When each call was answered.
    pub answered: HashMap<u32, u64>,
    /// Calls of responses that did not complete, which the client need not answer.
    pub void: HashSet<u32>,
    /// How often each request with a payload was granted.
    pub granted: HashMap<u32, u32>,
    /// Counts what happens.
    pub tick: u64,
    /// When the last response of the conversation began.
    pub last_answer: u64,
    /// Whether there has been a response out of band.
    pub any_apart: bool,
    /// It has begun a response by itself since both sides knew the same.
    pub own_began: bool,
    speaking: bool,
    configured: bool,
    /// Whether responses that begin now make no calls.
    pub calm: bool,
}

impl Server {
    pub fn new(persona: Persona, ids: Rc<Cell<u32>>) -> Self {
        let mut server = Self {
            persona,
            ids,
            line: VecDeque::new(),
            order: Vec::new(),
            items: HashMap::new(),
            running: Vec::new(),
            calls: HashMap::new(),
            answered: HashMap::new(),
            void: HashSet::new(),
            granted: HashMap::new(),
            tick: 0,
            last_answer: 0,
            any_apart: false,
            own_began: false,
            speaking: false,
            configured: false,
            calm: false,
        };
        let session = server.persona.session();
        server.say(
            format!(r#"{{"type":"session.created","session":{session}}}"#),
            Fact::Nothing,
        );
        server
    }

    pub fn new_id(&self) -> u32 {
        self.ids.set(self.ids.get() + 1);
        self.ids.get()
    }

    pub fn say(&mut self, text: String, fact: Fact) {
        self.line.push_back(Frame { text, fact });
    }

    pub fn last_part(&mut self, item: u32) -> (usize, &mut Part) {
        let parts = &mut self.items.get_mut(&item).expect("it was added").parts;
        (parts.len() - 1, parts.last_mut().expect("it has a part"))
    }

    pub fn append_silently(&mut self, id: u32) {
        self.tick += 1;
        self.order.push(id);
        self.items.get_mut(&id).expect("it is known").added = self.tick;
    }

    /// Adds an item to the end of the conversation.
    pub fn append(&mut self, id: u32) {
        let at = self.order.len();
        self.insert(id, at);
    }

    fn insert(&mut self, id: u32, at: usize) {
        self.tick += 1;
        self.order.insert(at, id);
        self.items.get_mut(&id).expect("it is known").added = self.tick;
        let json = self.item_json(id);
        let previous = self.previous(at);
        self.say(
            format!(
                r#"{{"type":"conversation.item.added","previous_item_id":{previous},"item":{json}}}"#
            ),
            Fact::Nothing,
        );
    }

    fn previous(&self, at: usize) -> String {
        match at {
            0 => "null".to_owned(),
            _ => format!("\"item_{}\"", self.order[at - 1]),
        }
    }

    pub fn item_done(&mut self, id: u32) {
        let Some(at) = self.order.iter().position(|known| *known == id) else {
            return;
        };
        let (json, previous) = (self.item_json(id), self.previous(at));
        self.say(
            format!(
                r#"{{"type":"conversation.item.done","previous_item_id":{previous},"item":{json}}}"#
            ),
            Fact::Nothing,
        );
    }

    /// The place of the response that speaks for the conversation.
    pub fn active(&self) -> Option<usize> {
        self.running.iter().position(|response| !response.apart)
    }

    pub fn is_stuck(&self) -> bool {
        self.running.iter().any(|response| response.stuck)
    }

    /// The user begins or ends to speak.
    pub fn speech(&mut self, rng: &mut Rng) {
        if !self.configured {
            return;
        }
        if !self.speaking {
            self.speaking = true;
            self.say(
                r#"{"type":"input_audio_buffer.speech_started","audio_start_ms":0,"item_id":"x"}"#
                    .to_owned(),
                Fact::SpeechStarted,
            );
            if let (true, Some(active)) = (self.persona.interrupts, self.active()) {
                self.cancel(active, "turn_detected", rng);
            }
            return;
        }
        self.end_speech(rng);
    }

    /// A response never ends.
    pub fn stick(&mut self, at: usize) {
        if !self.running.is_empty() {
            let index = at % self.running.len();
            self.running[index].stuck = true;
        }
    }

    pub fn end_speech(&mut self, rng: &mut Rng) {
        if !std::mem::take(&mut self.speaking) {
            return;
        }
        self.say(
            r#"{"type":"input_audio_buffer.speech_stopped","audio_end_ms":0,"item_id":"x"}"#
                .to_owned(),
            Fact::Nothing,
        );
        self.commit();
        if self.persona.answers_speech && self.active().is_none() {
            self.own_began = true;
            self.begin(false, None, None, rng);
        }
    }

    fn commit(&mut self) {
        let id = self.new_id();
        self.items
            .insert(id, Item::new(Kind::User { spoken: true }, false));
        let previous = self.previous(self.order.len());
        self.say(
            format!(
                r#"{{"type":"input_audio_buffer.committed","item_id":"item_{id}","previous_item_id":{previous}}}"#
            ),
            Fact::Nothing,
        );
        self.append(id);
        self.item_done(id);
    }

    /// The server has heard what the user said.
    pub fn transcribe(&mut self, rng: &mut Rng) {
        let spoken: Vec<u32> = self
            .order
            .iter()
            .copied()
            .filter(|id| self.items[id].kind == Kind::User { spoken: true })
            .collect();
        if spoken.is_empty() {
            return;
        }
        let id = spoken[rng.below(spoken.len())];
        self.say(
            format!(
                r#"{{"type":"conversation.item.input_audio_transcription.completed","item_id":"item_{id}","content_index":0,"transcript":"said"}}"#
            ),
            Fact::Nothing,
        );
    }

    /// Reads a message of the client.
    pub fn read(&mut self, message: &Value, rng: &mut Rng) -> Check {
        let event_id = message["event_id"].as_str().map(str::to_owned);
        match message["type"].as_str().unwrap_or_default() {
            "session.update" => self.update(),
            "conversation.item.create" => return self.create_item(message),
            "conversation.item.delete" => {
                let id = message["item_id"].as_str().and_then(number);
                let Some(at) = self.order.iter().position(|known| Some(*known) == id) else {
                    self.refuse(
                        event_id.as_deref(),
                        "item_delete_invalid_item_id",
                        Fact::OtherError,
                    );
                    return Ok(());
                };
                let id = self.order.remove(at);
                self.say(
                    format!(r#"{{"type":"conversation.item.deleted","item_id":"item_{id}"}}"#),
                    Fact::Nothing,
                );
            }
            "conversation.item.retrieve" => {
                let id = message["item_id"].as_str().and_then(number);
                if let Some(id) = id.filter(|id| self.order.contains(id)) {
                    let json = self.item_json(id);
                    self.say(
                        format!(r#"{{"type":"conversation.item.retrieved","item":{json}}}"#),
                        Fact::Nothing,
                    );
                } else {
                    let code = "item_retrieve_invalid_item_id";
                    self.refuse(event_id.as_deref(), code, Fact::OtherError);
                }
            }
            "conversation.item.truncate" => return self.truncate(message),
            "input_audio_buffer.append" => {}
            "input_audio_buffer.commit" => self.commit(),
            "response.create" => self.create(message, rng),
            "response.cancel" => {
                let id = message["response_id"].as_str().and_then(number);
                let found = match id {
                    Some(id) => self.running.iter().position(|known| known.id == id),
                    None => self.active(),
                };
                match found {
                    Some(index) => self.cancel(index, "client_cancelled", rng),
                    None => self.refuse(
                        event_id.as_deref(),
                        "response_cancel_not_active",
                        Fact::NothingToCancel,
                    ),
                }
            }
            other => {
                return broken(
                    Rule::ClientKeepsToTheProtocol,
                    format!("the client sends {other}"),
                );
            }
        }
        Ok(())
    }

    fn update(&mut self) {
        let text = if std::mem::replace(&mut self.configured, true) && self.persona.partial_updates
        {
            r#"{"type":"session.updated","session":{"type":"realtime","audio":{"output":{"voice":"marin"}}}}"#
                .to_owned()
        } else {
            let session = self.persona.session();
            format!(r#"{{"type":"session.updated","session":{session}}}"#)
        };
        self.say(text, Fact::SessionUpdated);
    }

    fn create(&mut self, message: &Value, rng: &mut Rng) {
        let event_id = message["event_id"].as_str().unwrap_or_default().to_owned();
        let apart = message["response"]["conversation"] == "none";
        let metadata = message["response"]["metadata"]["n"]
            .as_str()
            .and_then(|n| n.parse().ok());
        if !apart && self.active().is_some() {
            let fact = Fact::Refused {
                event_id: event_id.clone(),
                busy: true,
            };
            self.refuse(
                Some(&event_id),
                "conversation_already_has_active_response",
                fact,
            );
            return;
        }
        // Nobody can tell which of several requests an error without an id is about, nor whether it is
        // about one that a response may have been the answer to.
        let clear = self.persona.links_errors || !(apart || self.own_began);
        if rng.chance(2) && clear {
            let fact = Fact::Refused {
                event_id: event_id.clone(),
                busy: false,
            };
            self.refuse(Some(&event_id), "response_create_overloaded", fact);
            return;
        }
        if let Some(n) = metadata {
            *self.granted.entry(n).or_default() += 1;
        }
        self.begin(apart, Some(event_id), metadata, rng);
    }

    fn refuse(&mut self, event_id: Option<&str>, code: &str, fact: Fact) {
        let event_id = match event_id.filter(|_| self.persona.links_errors) {
            Some(id) => format!("\"{id}\""),
            None => "null".to_owned(),
        };
        self.say(
            format!(
                r#"{{"type":"error","error":{{"type":"invalid_request_error","code":"{code}","message":"no","param":null,"event_id":{event_id}}}}}"#
            ),
            fact,
        );
    }

    fn create_item(&mut self, message: &Value) -> Check {
        let item = &message["item"];
        let id = item["id"].as_str().and_then(number);
        let id = id.unwrap_or_else(|| self.new_id());
        require(
            !self.order.contains(&id),
            Rule::ClientKeepsToTheProtocol,
            || format!("item_{id} is created, and exists"),
        )?;
        let kind = if item["type"] == "function_call_output" {
            let call = item["call_id"].as_str().and_then(number);
            let Some(count) = call.and_then(|call| self.calls.get_mut(&call)) else {
                return broken(
                    Rule::ClientKeepsToTheProtocol,
                    format!("an output for an unknown call: {message}"),
                );
            };
            *count += 1;
            self.answered.extend(call.map(|call| (call, self.tick + 1)));
            Kind::Output
        } else {
            Kind::User { spoken: false }
        };
        self.items.insert(id, Item::new(kind, false));
        let at = match message["previous_item_id"].as_str() {
            None => self.order.len(),
            Some("root") => 0,
            Some(previous) => {
                let previous = number(previous);
                let found = self.order.iter().position(|known| Some(*known) == previous);
                let Some(at) = found else {
                    // It may have been deleted on the way.
                    let event_id = message["event_id"].as_str();
                    let code = "item_create_invalid_previous_item_id";
                    self.refuse(event_id, code, Fact::OtherError);
                    return Ok(());
                };
                at + 1
            }
        };
        self.insert(id, at);
        self.item_done(id);
        Ok(())
    }

    fn truncate(&mut self, message: &Value) -> Check {
        let rule = Rule::ClientKeepsToTheProtocol;
        let id = message["item_id"].as_str().and_then(number);
        let part = message["content_index"].as_u64().unwrap_or(99) as usize;
        let ms = message["audio_end_ms"].as_u64();
        let event_id = message["event_id"].as_str();
        let Some((id, item)) = id.and_then(|id| Some((id, self.items.get_mut(&id)?))) else {
            return broken(rule, format!("cut of what never was: {message}"));
        };
        require(!item.apart, rule, || {
            format!("cut of an item out of band: {message}")
        })?;
        let Some(known) = item.parts.get_mut(part).filter(|part| part.sound) else {
            return broken(rule, format!("cut of a part without sound: {message}"));
        };
        let Some(ms) = ms.filter(|ms| *ms <= known.ms) else {
            return broken(rule, format!("{message}, of {} ms", known.ms));
        };
        if !self.order.contains(&id) {
            self.refuse(event_id, "item_truncate_invalid_item_id", Fact::OtherError);
            return Ok(());
        }
        if ms == 0 && self.persona.refuses_empty_cuts {
            self.refuse(
                event_id,
                "item_truncate_invalid_audio_end",
                Fact::OtherError,
            );
            return Ok(());
        }
        known.cut = Some(ms);
        self.say(
            format!(
                r#"{{"type":"conversation.item.truncated","item_id":"item_{id}","content_index":{part},"audio_end_ms":{ms}}}"#
            ),
            Fact::Nothing,
        );
        Ok(())
    }
}
