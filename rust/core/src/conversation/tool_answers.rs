//! What the session layer does about function calls: each act is one transaction.
//!
//! Every act names the call and its connection; one that is stale is refused as a whole, so nobody
//! above needs to look again after waiting for something.

use std::sync::Arc;
use std::time::Duration;

use super::client_event::ClientEvent;
use super::commands::Rejected;
use super::event::{CoreError, Event};
use super::item::{Item, ItemKind, ItemPosition, Progress};
use super::tool_calls::{Arrival, FunctionCall};
use super::{Conversation, Status};

/// The change to another agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSwitch {
    /// The new agent's agent version.
    pub agent_version: u64,
    /// The whole `session.update` that tells the server; `None` before there is a connection.
    pub session_update: Option<String>,
    /// Tokens of the events to emit before it is sent.
    pub before: Vec<u64>,
    /// And after.
    pub after: Vec<u64>,
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
        if self.status != Status::Connected {
            return Err(Rejected::NotConnected);
        }
        Ok(Arc::clone(call))
    }

    /// The same for a call that is to be answered: where the connection was lost meanwhile, nobody
    /// hears the answer, and the session learns that.
    fn answerable_call(
        &mut self,
        call_id: &str,
        connection_id: u64,
    ) -> Result<Arc<FunctionCall>, Rejected> {
        let call = self.open_call(call_id, connection_id);
        if call == Err(Rejected::NotConnected) {
            self.report(CoreError::NotSent(format!(
                "the output of tool call {call_id} was not sent: the connection was lost"
            )));
        }
        call
    }

    /// The model calls a function.
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
        self.outbox
            .message(ClientEvent::function_call_output(&call.call_id, output));
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
    }

    /// Whether the call is still to be answered; emits an event (`token`), such as the start of
    /// its tool or a request for approval, in that case.
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

    /// The call waits for a person's approval from here on: the event (`token`) asks for it.
    /// Responses do not wait for it.
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

    /// The person has decided: the call is at work again.
    pub fn resume_call(&mut self, call_id: &str, connection_id: u64) -> Result<(), Rejected> {
        self.open_call(call_id, connection_id)?;
        self.tool_calls.resume(call_id);
        Ok(())
    }

    /// Answers a call: sends the output, completes the item, asks for a response if that is due
    /// (`respond`), and emits the events that tell of it (`tokens`), in that order.
    pub fn tool_output(
        &mut self,
        call_id: &str,
        connection_id: u64,
        output: &str,
        respond: bool,
        tokens: &[u64],
        now: Duration,
    ) -> Result<(), Rejected> {
        let call = self.answerable_call(call_id, connection_id)?;
        let repeats = self.tool_calls.answer(call_id, output, respond);
        self.answer_once(&call, output, respond, now);
        self.local_events(tokens);
        // The same call came again while it was running.
        for _ in 0..repeats {
            self.answer_once(&call, output, respond, now);
        }
        Ok(())
    }

    fn answer_once(&mut self, call: &FunctionCall, output: &str, respond: bool, now: Duration) {
        self.put_output(call, output);
        if respond {
            self.request_response_after(&call.response_id, now);
        } else {
            // Siblings that asked may have been waiting for this one.
            self.settle_response(&call.response_id, now);
        }
    }

    /// Changes the agent.
    pub fn switch_agent(&mut self, switch: &AgentSwitch) -> Result<(), Rejected> {
        if switch.session_update.is_some() && self.status != Status::Connected {
            return Err(Rejected::NotConnected);
        }
        self.local_events(&switch.before);
        if let Some(session_update) = &switch.session_update {
            self.outbox.message(session_update.clone());
        }
        self.local_events(&switch.after);
        self.agent_version = switch.agent_version;
        Ok(())
    }

    /// A call that hands the conversation to another agent: changes the agent and answers it.
    pub fn hand_off(
        &mut self,
        call_id: &str,
        connection_id: u64,
        switch: &AgentSwitch,
        output: &str,
        now: Duration,
    ) -> Result<(), Rejected> {
        self.answerable_call(call_id, connection_id)?;
        self.switch_agent(switch)?;
        self.tool_output(call_id, connection_id, output, true, &[], now)
    }
}
