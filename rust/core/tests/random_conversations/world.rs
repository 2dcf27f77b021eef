//! A conversation, its server, and the line between them, under a clock that the steps move.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stapes_core::conversation::{
    Capabilities, ConnectionEnd, Conversation, FunctionCall, Interest, ItemKind, Progress,
    ServerEvent, Status,
};

use crate::expectations::{Expectations, Interruption};
use crate::persona::Persona;
use crate::rng::Rng;
use crate::rules::{Check, Rule, Violation, broken, require};
use crate::server::Server;
use crate::watch::{Batch, Watch};
use crate::wire::{Fact, Frame, number};

/// A call that the client was given and has not answered.
#[derive(Debug, Clone)]
pub struct OpenCall {
    pub call: Arc<FunctionCall>,
    pub awaits_approval: bool,
    /// Its connection was lost.
    pub lost: bool,
    /// The user closed the session, or its connection, after the call came.
    pub closed: bool,
}

pub struct World {
    pub persona: Persona,
    pub conversation: Conversation,
    pub server: Server,
    /// Messages on their way to the server.
    pub up: VecDeque<Value>,
    pub now: u64,
    pub ids: Rc<Cell<u32>>,
    pub expect: Expectations,
    pub watch: Watch,
    pub calls: Vec<OpenCall>,
    pub agent: u64,
    pub tokens: u64,
    /// The user closed the session.
    pub closed: bool,
    /// What happened, in words, if somebody wants to know.
    pub trace: Option<Vec<String>>,
}

/// All but what would only be said twice.
fn interest() -> Interest {
    Interest(Interest::ALL.0 & !Interest::RAW.0 & !Interest::OUTGOING.0)
}

impl World {
    pub fn new(persona: &Persona, traced: bool) -> Result<Self, Violation> {
        let ids = Rc::new(Cell::new(0));
        let mut conversation = Conversation::new(persona.options());
        conversation.set_interest(interest());
        let mut world = Self {
            persona: persona.clone(),
            conversation,
            server: Server::new(persona.clone(), Rc::clone(&ids)),
            up: VecDeque::new(),
            now: 0,
            ids,
            expect: Expectations::new(persona),
            watch: Watch::default(),
            calls: Vec::new(),
            agent: 0,
            tokens: 0,
            closed: false,
            trace: traced.then(Vec::new),
        };
        world.connect()?;
        Ok(world)
    }

    pub fn time(&self) -> Duration {
        Duration::from_millis(self.now)
    }

    pub fn new_id(&self) -> u32 {
        self.ids.set(self.ids.get() + 1);
        self.ids.get()
    }

    pub fn connected(&self) -> bool {
        self.conversation.status() == Status::Connected
    }

    pub fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>7} {}", self.now, what()));
        }
    }

    /// Checks what came out of an act that interrupts nothing.
    pub fn look(&mut self) -> Result<Batch, Violation> {
        self.look_at(None, &Interruption::default())
    }

    /// Checks what came out of an act.
    pub fn look_at(
        &mut self,
        fact: Option<&Fact>,
        interruption: &Interruption,
    ) -> Result<Batch, Violation> {
        let mut batch = Batch::default();
        while let Some(next) = self.conversation.poll_output() {
            if let Some(trace) = &mut self.trace {
                crate::trace::output(trace, self.now, &next.output);
            }
            let message = self.watch.output(
                next,
                &mut batch,
                fact,
                interruption,
                &mut self.expect,
                &self.persona,
            )?;
            if let Some(message) = message {
                self.up.push_back(message);
            }
        }
        crate::outcome::interruption(&batch, interruption, &mut self.expect, self.now)?;
        for call in &batch.calls {
            let known = self
                .server
                .calls
                .contains_key(&number(&call.call_id).unwrap_or(0));
            require(known, Rule::CallIsHandedOut, || {
                format!("{call:?} was never made")
            })?;
            self.calls.push(OpenCall {
                call: Arc::clone(call),
                awaits_approval: false,
                lost: false,
                closed: false,
            });
        }
        if self.closed {
            require(batch.errors.is_empty(), Rule::NoFalseErrors, || {
                format!("after close(): {:?}", batch.errors)
            })?;
        }
        Ok(batch)
    }

    pub fn connect(&mut self) -> Check {
        let Ok(connection_id) = self.conversation.connecting(Capabilities::default()) else {
            return Ok(());
        };
        self.note(|| "client: connect".to_owned());
        self.closed = false;
        self.server = Server::new(self.persona.clone(), Rc::clone(&self.ids));
        self.up.clear();
        self.expect = Expectations::new(&self.persona);
        self.watch.new_connection();
        let update = r#"{"type":"session.update","session":{"type":"realtime"}}"#.to_owned();
        let opened = self
            .conversation
            .opened(connection_id, self.agent, update, json!("auto"));
        require(opened.is_ok(), Rule::ActsAreHonoured, || {
            "a new connection is refused".to_owned()
        })?;
        self.look().map(drop)
    }

    /// The connection is lost, or closed by the client.
    pub fn disconnect(&mut self, by_client: bool) -> Check {
        let connected = self.connected();
        if by_client {
            self.note(|| "client: close".to_owned());
            self.closed = true;
            self.conversation.close(1000, "");
        } else {
            if !connected {
                return Ok(());
            }
            self.note(|| "the connection is lost".to_owned());
            let connection_id = self.conversation.connection_id();
            self.conversation
                .ended(connection_id, ConnectionEnd::lost("lost"));
        }
        for call in &mut self.calls {
            call.closed |= by_client;
            call.lost |= !by_client;
        }
        self.up.clear();
        self.server.line.clear();
        self.server.running.clear();
        let begun = self.expect.lose_responses();
        let batch = self.look()?;
        if by_client {
            return Ok(());
        }
        let ended: Vec<u32> = batch.ended.iter().map(|(id, ..)| *id).collect();
        require(ended == begun, Rule::LossEndsWhatWasBegun, || {
            format!("{ended:?} for {begun:?}")
        })?;
        let silent = self.watch.sound_is_over();
        require(silent, Rule::LossEndsWhatWasBegun, || {
            "AudioStarted is not followed by an end".to_owned()
        })?;
        let items = self.conversation.history();
        let open = items.iter().find(|item| {
            let ItemKind::Message { status, .. } = &item.kind else {
                return false;
            };
            *status == Some(Progress::InProgress)
        });
        require(open.is_none(), Rule::LossEndsWhatWasBegun, || {
            format!("{open:?}")
        })
    }

    /// The client reads up to `count` frames.
    pub fn down(&mut self, count: usize) -> Result<bool, Violation> {
        let mut any = false;
        for _ in 0..count {
            if !self.connected() {
                return Ok(any);
            }
            let Some(Frame { text, fact }) = self.server.line.pop_front() else {
                return Ok(any);
            };
            any = true;
            if let Some(trace) = &mut self.trace {
                crate::trace::frame(trace, self.now, &text);
            }
            let interruption = self
                .expect
                .arrives(&fact, &self.persona, self.agent, self.now);
            self.settle_deferred(None);
            let event = ServerEvent::parse(&text, interest());
            let connection_id = self.conversation.connection_id();
            self.conversation
                .handle_server(connection_id, event, self.time());
            let interruption = interruption.unwrap_or_default();
            let batch = self.look_at(Some(&fact), &interruption)?;
            crate::outcome::frame(&fact, &batch, &self.expect)?;
        }
        self.compare_knowledge();
        Ok(any)
    }

    /// The client asks for what it had deferred, where nothing stands in the way; `but`: a call that is
    /// open no more.
    pub fn settle_deferred(&mut self, but: Option<usize>) {
        let calls = self.calls.iter().enumerate();
        let running = calls.filter(|(at, open)| !open.awaits_approval && Some(*at) != but);
        let open = running.filter_map(|(_, open)| number(&open.call.response_id));
        self.expect.settle_deferred(&open.collect());
    }

    /// Where nothing is on its way, both sides know which request each response was the answer to.
    fn compare_knowledge(&mut self) {
        if self.up.is_empty() && self.server.line.is_empty() {
            self.server.own_began = false;
        }
    }

    /// The server reads up to `count` messages.
    pub fn up(&mut self, count: usize, rng: &mut Rng) -> Result<bool, Violation> {
        let mut any = false;
        for _ in 0..count {
            let Some(message) = self.up.pop_front() else {
                return Ok(any);
            };
            any = true;
            self.note(|| format!("server: reads {}", message["type"]));
            self.server.read(&message, rng)?;
        }
        self.compare_knowledge();
        Ok(any)
    }

    /// The user begins or ends to speak.
    pub fn speech(&mut self, rng: &mut Rng) -> Check {
        self.catch_up(rng)?;
        self.server.speech(rng);
        Ok(())
    }

    /// Before a server whose errors name no request goes on by itself, both sides read what was sent:
    /// else nobody could tell which of two requests it refuses.
    fn catch_up(&mut self, rng: &mut Rng) -> Check {
        if !self.persona.links_errors && self.server.active().is_none() {
            self.down(usize::MAX)?;
            self.up(usize::MAX, rng)?;
        }
        Ok(())
    }

    pub fn wait(&mut self, ms: u64) -> Check {
        self.now += ms;
        self.note(|| format!("{ms} ms have passed"));
        self.conversation.handle_timeout(self.time());
        self.look().map(drop)
    }

    /// A response never ends: whoever waits for that is told, in time.
    fn stuck(&mut self) -> Check {
        self.expect.excused = false;
        let waits = self.expect.waits();
        for _ in 0..60 {
            self.wait(10_000)?;
        }
        let told = self.expect.excused;
        require(told || !waits, Rule::EndlessResponseIsTold, || {
            "a request waits for ever".to_owned()
        })?;
        self.disconnect(false)
    }

    /// Lets all that is under way come to its end, then checks that nothing is left.
    pub fn quiet(&mut self, rng: &mut Rng) -> Check {
        self.note(|| "all comes to rest".to_owned());
        self.server.calm = true;
        self.catch_up(rng)?;
        self.server.end_speech(rng);
        let mut rounds = 0;
        let mut waited = false;
        loop {
            let mut moved = self.up(usize::MAX, rng)?;
            while let Some(at) = self.server.running.iter().position(|it| !it.stuck) {
                self.server.go(at, usize::MAX);
                moved = true;
            }
            moved |= self.down(usize::MAX)?;
            moved |= self.answer_all(rng)?;
            rounds += 1;
            if rounds > 200 {
                return broken(Rule::NobodyWaits, "there is no end of it");
            }
            if moved {
                waited = false;
            } else if waited {
                break;
            } else {
                self.wait(20_000)?;
                waited = true;
            }
        }
        self.server.calm = false;
        if self.server.is_stuck() {
            return self.stuck();
        }
        if self.connected() {
            self.at_rest()?;
        }
        Ok(())
    }
}
