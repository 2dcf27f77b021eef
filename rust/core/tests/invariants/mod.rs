//! The invariants of a conversation: drives a conversation by any acts, and checks its outputs. The
//! property tests and the fuzz targets share it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use stapes_core::conversation::{
    AgentSwitch, Capabilities, ConnectionEnd, Conversation, CoreError, Event, FunctionCall,
    GuardSource, Interest, ItemKind, Options, Output, Profile, Progress, Rejected, ServerEvent,
    Status, TrackAudio, Truncation, WrittenItem,
};

/// An input of the conversation.
#[derive(Debug, Clone)]
pub enum Act {
    /// A text frame of the server.
    Frame(String),
    Binary(usize),
    SendMessage,
    /// A raw `response.create`.
    Create,
    Interrupt,
    /// Milliseconds pass.
    Wait(u32),
    /// The n-th of the open calls is answered.
    Answer {
        call: usize,
        respond: bool,
    },
    Ask {
        call: usize,
    },
    Resume {
        call: usize,
    },
    HandOff {
        call: usize,
    },
    /// A guardrail stops the newest response.
    Trip {
        text: bool,
    },
    /// The history is cleared, or a message is inserted at its beginning.
    Rewrite {
        clear: bool,
    },
    /// Milliseconds of audio arrive on the media track.
    TrackAudio(u32),
    /// All audio of the last segment of the media track has been passed on.
    SegmentEnds,
    /// The connection is lost, closed by the client, made again.
    Lose,
    Close,
    Connect,
}

/// A conversation under observation.
pub struct Watched {
    conversation: Conversation,
    capabilities: Capabilities,
    /// The last segment of the media track.
    segment: u64,
    now: Duration,
    sequence: u64,
    agent_version: u64,
    tokens: u64,
    open: Vec<Arc<FunctionCall>>,
    answered: HashSet<Arc<str>>,
    deliveries: HashMap<String, usize>,
    outputs: HashMap<String, usize>,
    active: bool,
    requested: bool,
    newest: Option<(Option<Arc<str>>, u64)>,
    responses: u64,
    /// Bytes of audio, by item and part.
    audio: HashMap<(String, u64), usize>,
    /// Whether the audio format is the default, so that bytes can be converted to milliseconds.
    plain_format: bool,
    interrupted: HashSet<Arc<str>>,
}

fn bytes_of_delta(frame: &Value) -> Option<((String, u64), usize)> {
    if frame.get("type")? != "response.output_audio.delta" {
        return None;
    }
    let item = frame.get("item_id")?.as_str()?.to_owned();
    let part = frame
        .get("content_index")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let delta = frame.get("delta")?.as_str()?;
    let engine = base64::engine::general_purpose::STANDARD;
    Some(((item, part), engine.decode(delta).ok()?.len()))
}

/// The id of the completed call that a frame delivers, if it does.
fn delivered_call(frame: &Value) -> Option<String> {
    let kind = frame.get("type")?.as_str()?;
    let item = frame.get("item")?;
    let whole = matches!(
        kind,
        "response.output_item.added" | "response.output_item.done"
    ) && item.get("type")? == "function_call"
        && item.get("status")? == "completed";
    let text = |key: &str| {
        item.get(key)
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty())
    };
    whole.then(|| {
        text("call_id")
            .or_else(|| item.get("id")?.as_str())
            .map(str::to_owned)
    })?
}

impl Watched {
    pub fn new() -> Self {
        Self::over(Capabilities::default())
    }

    /// A conversation over a transport with these capabilities.
    pub fn over(capabilities: Capabilities) -> Self {
        let mut conversation = Conversation::new(Options::default());
        conversation.set_interest(Interest::ALL);
        conversation.follow_profile(Profile {
            binary_audio: capabilities == Capabilities::default(),
            ..Profile::default()
        });
        let mut watched = Self {
            conversation,
            capabilities,
            segment: 0,
            now: Duration::ZERO,
            sequence: 0,
            agent_version: 0,
            tokens: 0,
            open: Vec::new(),
            answered: HashSet::new(),
            deliveries: HashMap::new(),
            outputs: HashMap::new(),
            active: false,
            requested: false,
            newest: None,
            responses: 0,
            audio: HashMap::new(),
            plain_format: true,
            interrupted: HashSet::new(),
        };
        watched.act(&Act::Connect);
        watched
    }

    /// Whether a response has been requested and has not begun.
    pub fn is_requested(&self) -> bool {
        self.requested
    }

    fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    fn call(&self, at: usize) -> Option<Arc<FunctionCall>> {
        (!self.open.is_empty()).then(|| Arc::clone(&self.open[at % self.open.len()]))
    }

    fn forget_connection(&mut self) {
        self.open.clear();
        self.answered.clear();
        self.deliveries.clear();
        self.outputs.clear();
        self.interrupted.clear();
        self.newest = None;
        (self.active, self.requested, self.responses) = (false, false, 0);
    }

    /// Performs an act, and checks the outputs.
    pub fn act(&mut self, act: &Act) {
        let now = self.now;
        let connection_id = self.conversation.connection_id();
        match act {
            Act::Frame(text) => {
                let frame = ServerEvent::parse(text, Interest::ALL);
                self.conversation.handle_server(connection_id, frame, now);
            }
            Act::Binary(length) => {
                let part = self.conversation.part_of_frame();
                let frame = vec![7; *length];
                let frame = ServerEvent::binary(&frame, part, Interest::ALL, Vec::new);
                self.conversation.handle_server(connection_id, frame, now);
            }
            Act::SendMessage => {
                let message =
                    json!({"type": "conversation.item.create", "item": {"type": "message"}});
                let message = message.as_object().cloned().unwrap_or_default();
                let sent = self.conversation.send_message(&message, true, now);
                assert_eq!(
                    sent.is_ok(),
                    self.conversation.status() == Status::Connected
                );
            }
            Act::Create => {
                let create = json!({"type": "response.create", "response": {}});
                let _ = self
                    .conversation
                    .send_event(create.as_object().cloned().unwrap_or_default(), now);
            }
            Act::Interrupt => self.conversation.interrupt(now),
            Act::Wait(ms) => {
                self.now += Duration::from_millis(u64::from(*ms));
                self.conversation.handle_timeout(self.now);
            }
            Act::Answer { call, respond } => self.answer(*call, *respond),
            Act::Ask { call } => {
                if let Some(call) = self.call(*call) {
                    let token = self.token();
                    let _ = self.conversation.await_approval(
                        &call.call_id,
                        call.connection_id,
                        token,
                        now,
                    );
                }
            }
            Act::Resume { call } => {
                if let Some(call) = self.call(*call) {
                    let _ = self
                        .conversation
                        .resume_call(&call.call_id, call.connection_id);
                }
            }
            Act::HandOff { call } => self.hand_off(*call),
            Act::Trip { text } => {
                if let Some((id, count)) = self.newest.clone() {
                    let token = self.token();
                    let source = if *text {
                        GuardSource::Text
                    } else {
                        GuardSource::Audio
                    };
                    let feedback = json!({"type": "conversation.item.create", "item": {}});
                    let feedback = feedback.as_object().cloned().unwrap_or_default();
                    let _ = self.conversation.guardrail_tripped(
                        connection_id,
                        count,
                        id.as_deref(),
                        source,
                        token,
                        &feedback,
                        now,
                    );
                }
            }
            Act::Rewrite { clear } => self.rewrite(*clear),
            Act::TrackAudio(ms) => self.track_audio(*ms),
            Act::SegmentEnds => self.conversation.segment_ended(connection_id, self.segment),
            Act::Lose => self
                .conversation
                .ended(connection_id, ConnectionEnd::lost("lost")),
            Act::Close => {
                self.conversation.close(1000, "");
                self.forget_connection();
            }
            Act::Connect => {
                if let Ok(connection_id) = self.conversation.connecting(self.capabilities) {
                    self.forget_connection();
                    let update = r#"{"type":"session.update"}"#.to_owned();
                    self.conversation
                        .opened(connection_id, self.agent_version, update, json!("auto"))
                        .expect("the connection was begun just now");
                }
            }
        }
        self.look();
    }

    fn track_audio(&mut self, ms: u32) {
        let current = self.conversation.segment();
        if current != 0 {
            self.segment = current;
        }
        let audio = TrackAudio::Pcm {
            data: vec![0; ms as usize * 48],
            samples: ms as usize * 24,
            rate: 24_000,
        };
        let connection_id = self.conversation.connection_id();
        self.conversation
            .track_audio(connection_id, self.segment, audio, self.now);
    }

    fn answer(&mut self, at: usize, respond: bool) {
        let Some(call) = self.call(at) else { return };
        let token = self.token();
        let connected = self.conversation.status() == Status::Connected;
        let result = self.conversation.tool_output(
            &call.call_id,
            call.connection_id,
            "ok",
            respond,
            &[token],
            self.now,
        );
        if connected {
            assert_eq!(
                result,
                Ok(true),
                "an open call of a live connection can be answered"
            );
            self.closed(&call);
            let again = self.conversation.tool_output(
                &call.call_id,
                call.connection_id,
                "2",
                true,
                &[],
                self.now,
            );
            assert_eq!(again, Err(Rejected::Stale), "a call is answered once");
        } else {
            assert_ne!(result, Ok(true), "nobody is there to be answered");
        }
    }

    fn hand_off(&mut self, at: usize) {
        let Some(call) = self.call(at) else { return };
        self.agent_version += 1;
        let switch = AgentSwitch {
            agent_version: self.agent_version,
            session_update: Some(r#"{"type":"session.update"}"#.to_owned()),
            before: vec![],
            after: vec![self.token()],
        };
        let done =
            self.conversation
                .hand_off(&call.call_id, call.connection_id, &switch, "{}", self.now);
        if done.is_ok() {
            self.closed(&call);
        }
    }

    fn closed(&mut self, call: &Arc<FunctionCall>) {
        self.open.retain(|open| open.call_id != call.call_id);
        self.answered.insert(Arc::clone(&call.call_id));
    }

    fn rewrite(&mut self, clear: bool) {
        let mut items: Vec<Value> = Vec::new();
        if !clear {
            items.push(json!({"item_id": "new", "type": "message", "role": "user",
                              "content": [{"type": "input_text", "text": "x"}]}));
            let history = self.conversation.history();
            let kept = history.iter().filter(|item| &*item.id != "new");
            items.extend(kept.map(|item| item.to_value()));
        }
        let items: Result<Vec<_>, _> = items.iter().map(WrittenItem::read).collect();
        let items = items.expect("what the history writes can be read");
        let _ = self.conversation.update_history(&items);
    }

    fn look(&mut self) {
        while let Some(next) = self.conversation.poll_output() {
            assert!(next.sequence >= self.sequence, "the order goes forward");
            self.sequence = next.sequence;
            match next.output {
                Output::Message(event) => self.message(&event.text),
                Output::Event(event) => self.event(event),
                Output::Close { .. } | Output::Caller(_) => {}
            }
        }
        self.history();
    }

    fn message(&mut self, text: &str) {
        let message: Value = serde_json::from_str(text).expect("client messages are JSON");
        match message["type"]
            .as_str()
            .expect("client messages have a type")
        {
            "response.create" => {
                assert!(!self.active, "a response is requested while one is active");
                assert!(
                    !self.requested,
                    "a response is requested while one is requested"
                );
                self.requested = true;
            }
            "conversation.item.create" if message["item"]["type"] == "function_call_output" => {
                let id = message["item"]["call_id"]
                    .as_str()
                    .expect("an output names its call");
                *self.outputs.entry(id.to_owned()).or_default() += 1;
                let given = self.outputs[id];
                let asked = self.deliveries.get(id).copied().unwrap_or(0);
                assert!(
                    given <= asked,
                    "call {id} came {asked} times and is answered {given} times"
                );
            }
            "conversation.item.truncate" if self.capabilities.truncation == Truncation::Server => {
                panic!("the server knows what it has played, and is told to cut");
            }
            "output_audio_buffer.clear" => {
                let server = self.capabilities.truncation == Truncation::Server;
                assert!(server, "a server that plays nothing is told to stop");
            }
            "conversation.item.truncate" if self.plain_format => {
                let item = message["item_id"].as_str().unwrap_or_default().to_owned();
                let part = message["content_index"].as_u64().unwrap_or(0);
                let cut = message["audio_end_ms"]
                    .as_u64()
                    .expect("whole milliseconds");
                let received = self.audio.get(&(item, part)).copied().unwrap_or(0) as u64 / 48;
                assert!(cut <= received, "cut at {cut} ms of {received} ms");
            }
            _ => {}
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Raw { text, .. } => self.raw(&text),
            Event::ResponseStarted { response_id, .. } => {
                (self.active, self.requested) = (true, false);
                self.responses += 1;
                if let Some(id) = &response_id {
                    self.interrupted.remove(id);
                }
                self.newest = Some((response_id, self.responses));
            }
            Event::ResponseEnded(ended) if !ended.out_of_band => {
                (self.active, self.requested) = (false, false);
            }
            Event::CoreError(CoreError::Server(error)) => {
                self.requested = false;
                if error["error"]["code"] == "response_cancel_not_active" {
                    self.active = false;
                }
            }
            Event::CoreError(CoreError::Unanswered(_)) => {
                (self.active, self.requested) = (false, false);
            }
            Event::FunctionCall(call) => {
                let twice = self.open.iter().any(|open| open.call_id == call.call_id);
                assert!(!twice, "call {} is given out twice", call.call_id);
                self.open.push(call);
            }
            Event::AudioInterrupted { response_id, .. } => {
                self.interrupted.insert(response_id);
            }
            Event::Audio { response_id, .. } => {
                let late = !response_id.is_empty() && self.interrupted.contains(&response_id);
                assert!(!late, "audio of {response_id} comes after its interruption");
            }
            Event::HistoryAdded { item } => {
                let history = self.conversation.history();
                assert!(
                    history.iter().any(|known| known.id == item.id),
                    "what was added is there"
                );
            }
            _ => {}
        }
    }

    fn raw(&mut self, text: &str) {
        let frame: Value = serde_json::from_str(text).expect("raw events are JSON");
        self.plain_format &= !text.contains("format");
        if let Some((key, bytes)) = bytes_of_delta(&frame) {
            *self.audio.entry(key).or_default() += bytes;
        }
        if let Some(id) = delivered_call(&frame) {
            *self.deliveries.entry(id).or_default() += 1;
        }
    }

    fn history(&self) {
        let mut seen = HashSet::new();
        for item in self.conversation.history().iter() {
            assert!(
                seen.insert(Arc::clone(&item.id)),
                "{} stands in the history twice",
                item.id
            );
            if let ItemKind::FunctionCall { output, status, .. } = &item.kind {
                let complete = *status == Progress::Completed;
                assert_eq!(complete, output.is_some(), "{} is left dangling", item.id);
            }
        }
        let over = self.conversation.status() != Status::Connected;
        for call in &self.answered {
            let given = self.outputs.get(&**call).copied().unwrap_or(0);
            assert!(
                over || given >= 1,
                "call {call} was answered, and the model does not know"
            );
        }
    }
}
