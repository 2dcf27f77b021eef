//! The acts of the session layer on function calls, each of which is one transaction.
//!
//! Every act names the call and its connection. A stale act is refused as a whole, so the session
//! layer need not check again after an `await`.

use std::sync::Arc;
use std::time::Duration;

use super::client_event::ClientEvent;
use super::commands::Rejected;
use super::core_error::CoreError;
use super::event::Event;
use super::item::{Item, ItemKind, ItemPosition, Progress};
use super::tool_calls::{Arrival, FunctionCall};
use super::{Conversation, Status};

/// A switch to another agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSwitch {
    /// The version of the new agent.
    pub agent_version: u64,
    /// The whole `session.update` for the server; `None` if there is no connection yet.
    pub session_update: Option<String>,
    /// Tokens of the local events to emit before the update is sent.
    pub before: Vec<u64>,
    /// Tokens of the local events to emit after that.
    pub after: Vec<u64>,
}

impl AgentSwitch {
    pub fn new(
        agent_version: u64,
        session_update: Option<String>,
        before: Vec<u64>,
        after: Vec<u64>,
    ) -> Self {
        Self {
            agent_version,
            session_update,
            before,
            after,
        }
    }
}

impl Conversation {
    fn open_call(&self, call_id: &str, connection_id: u64) -> Result<Arc<FunctionCall>, Rejected> {
        if connection_id != self.connection_id {
            return Err(Rejected::Stale);
        }
        let call = self
            .tool_calls
            .open(call_id, connection_id)
            .ok_or(Rejected::Stale)?;
        if !self.status.is_standing() {
            return Err(Rejected::NotConnected);
        }
        Ok(Arc::clone(call))
    }

    /// Whether a call is of a connection that was lost, and that the user has not closed since: its
    /// answer goes nowhere, and that must be said.
    fn is_lost(&self, call_id: &str, connection_id: u64) -> bool {
        let is_over = if connection_id == self.connection_id {
            !self.status.is_standing() && self.tool_calls.open(call_id, connection_id).is_some()
        } else {
            // What was known of its calls is forgotten.
            connection_id < self.connection_id
        };
        is_over && connection_id > self.closed_connection
    }

    /// Handles a function call of the model.
    pub(super) fn call_arrived(&mut self, call: FunctionCall, now: Duration) {
        let call = Arc::new(call);
        match self.tool_calls.arrive(&call) {
            Arrival::Run => self.outbox.event(Event::FunctionCall(call)),
            Arrival::AnswerAgain { output, respond } => {
                self.put_output(&call, &output);
                if respond {
                    self.request_response_after(&call.response_id, now);
                }
            }
            Arrival::Known => {}
            Arrival::IdReused(when) => self.report(CoreError::Model(format!(
                "tool call id {} was reused for a different call {when}",
                call.call_id
            ))),
        }
    }

    fn put_output(&mut self, call: &FunctionCall, output: &str) {
        let answer = ClientEvent::function_call_output(&call.call_id, output);
        let mut in_words = false;
        match &mut self.survival {
            // A new connection is told the call with its output.
            Some(survival) if self.status == Status::Reconnecting => survival.answered(answer),
            _ => {
                in_words = self.take_told_call(&call.call_id);
                if !in_words {
                    self.outbox.message(answer);
                }
            }
        }
        self.put_item(Item {
            id: Arc::clone(&call.item_id),
            position: ItemPosition::Unstated,
            kind: ItemKind::FunctionCall {
                call_id: Some(call.call_id.to_string()),
                name: call.name.clone(),
                arguments: call.arguments.clone(),
                output: Some(output.to_owned()),
                status: Progress::Completed,
            },
        });
        if in_words {
            self.tell_again();
        }
    }

    /// Emits a local event (`token`) of a call, such as the start of its tool. Fails if the call is
    /// no longer open.
    pub fn call_event(
        &mut self,
        call_id: &str,
        connection_id: u64,
        token: u64,
    ) -> Result<(), Rejected> {
        self.open_call(call_id, connection_id)?;
        self.local_event(token);
        Ok(())
    }

    /// Marks the call as awaiting approval, and emits the local event (`token`) that asks for it.
    /// The next response does not wait for such a call.
    pub fn await_approval(
        &mut self,
        call_id: &str,
        connection_id: u64,
        token: u64,
        now: Duration,
    ) -> Result<(), Rejected> {
        let call = self.open_call(call_id, connection_id)?;
        self.tool_calls.await_approval(call_id);
        self.local_event(token);
        self.settle_response(&call.response_id, now);
        Ok(())
    }

    /// Marks the call as running again, after a decision about its approval.
    pub fn resume_call(&mut self, call_id: &str, connection_id: u64) -> Result<(), Rejected> {
        self.open_call(call_id, connection_id)?;
        self.tool_calls.resume(call_id);
        Ok(())
    }

    /// Answers a call: sends the output, completes the item, asks for a response if `respond` and
    /// one is due, and emits the local events (`tokens`), in that order. Returns false if the
    /// connection of the call was lost: then only the events are emitted.
    pub fn tool_output(
        &mut self,
        call_id: &str,
        connection_id: u64,
        output: &str,
        respond: bool,
        tokens: &[u64],
        now: Duration,
    ) -> Result<bool, Rejected> {
        if self.is_lost(call_id, connection_id) {
            self.tool_calls.answer(call_id, output, respond);
            self.local_events(tokens);
            return Ok(false);
        }
        let call = self.open_call(call_id, connection_id)?;
        let repeats = self.tool_calls.answer(call_id, output, respond);
        self.answer_once(&call, output, respond, now);
        self.local_events(tokens);
        // The same call arrived again while it was running.
        for _ in 0..repeats {
            self.answer_once(&call, output, respond, now);
        }
        Ok(true)
    }

    fn answer_once(&mut self, call: &FunctionCall, output: &str, respond: bool, now: Duration) {
        self.put_output(call, output);
        if respond {
            self.request_response_after(&call.response_id, now);
        } else {
            // Other calls of the response may have asked, and waited for this one.
            self.settle_response(&call.response_id, now);
        }
    }

    /// Switches to another agent, on the connection that the switch was made for.
    pub fn switch_agent(
        &mut self,
        connection_id: u64,
        switch: &AgentSwitch,
    ) -> Result<(), Rejected> {
        if connection_id != self.connection_id {
            return Err(Rejected::Stale);
        }
        if switch.session_update.is_some() && !self.status.is_standing() {
            return Err(Rejected::NotConnected);
        }
        self.local_events(&switch.before);
        if let Some(session_update) = &switch.session_update {
            if let Ok(update) = serde_json::from_str(session_update) {
                self.note_update(&update);
            }
            if self.status == Status::Connected {
                self.outbox.message(session_update.clone());
            }
        }
        self.local_events(&switch.after);
        self.agent_version = switch.agent_version;
        Ok(())
    }

    /// Answers a call that is a handoff: switches the agent, then sends the output. Returns false if the
    /// connection of the call was lost: then nothing happens.
    pub fn hand_off(
        &mut self,
        call_id: &str,
        connection_id: u64,
        switch: &AgentSwitch,
        output: &str,
        now: Duration,
    ) -> Result<bool, Rejected> {
        if self.is_lost(call_id, connection_id) {
            self.tool_calls.answer(call_id, output, true);
            return Ok(false);
        }
        self.open_call(call_id, connection_id)?;
        self.switch_agent(connection_id, switch)?;
        self.tool_output(call_id, connection_id, output, true, &[], now)
    }
}
