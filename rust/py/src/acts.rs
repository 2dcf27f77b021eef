//! The acts of the session layer: what it does for an event that it has been given. Each is one
//! transaction on the core, and is refused as a whole where the event is out of date.

#![allow(
    clippy::needless_pass_by_value,
    reason = "arguments of Python calls are extracted by value"
)]

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use serde_json::{Map, Value};
use stapes_core::conversation::{AgentSwitch, Conversation, GuardSource, Rejected};
use stapes_core::dispatch::DispatchedSession;

use crate::errors::Outcome;

/// A JSON object in an argument of that name.
pub fn object(json: &str, argument: &str) -> PyResult<Map<String, Value>> {
    match serde_json::from_str(json) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(PyTypeError::new_err(format!(
            "{argument} must be a JSON object"
        ))),
        Err(error) => Err(PyValueError::new_err(format!(
            "{argument} is not JSON: {error}"
        ))),
    }
}

fn guard_source(source: &str) -> PyResult<GuardSource> {
    GuardSource::parse(source).ok_or_else(|| {
        PyValueError::new_err(format!("source is {source:?}: give \"audio\" or \"text\""))
    })
}

/// The base of `Session`: the conversation, and the acts on it.
#[pyclass(frozen, subclass, module = "stapes._core")]
#[derive(Debug)]
pub struct Acts(pub Arc<DispatchedSession>);

impl Acts {
    /// Runs an act; false where what it belongs to is over.
    fn act(
        &self,
        act: impl FnOnce(&mut Conversation, Duration) -> Result<(), Rejected>,
    ) -> Outcome<bool> {
        Ok(self.answer(act)?.is_some())
    }

    /// Runs an act, and returns its result; `None` where what it belongs to is over.
    fn answer<T>(
        &self,
        act: impl FnOnce(&mut Conversation, Duration) -> Result<T, Rejected>,
    ) -> Outcome<Option<T>> {
        match self.0.session()?.act(act) {
            Ok(result) => Ok(Some(result)),
            Err(Rejected::Stale | Rejected::NotConnected) => Ok(None),
            Err(rejected) => Err(rejected.into()),
        }
    }
}

#[pymethods]
impl Acts {
    /// Puts an event that the session layer holds under `token` into the order.
    fn local_event(&self, token: u64) -> Outcome<()> {
        let session = self.0.session()?;
        session.act(|conversation, _| conversation.local_event(token));
        Ok(())
    }

    fn call_event(&self, call_id: &str, connection_id: u64, token: u64) -> Outcome<bool> {
        self.act(|conversation, _| conversation.call_event(call_id, connection_id, token))
    }

    fn await_approval(&self, call_id: &str, connection_id: u64, token: u64) -> Outcome<bool> {
        self.act(|conversation, now| {
            conversation.await_approval(call_id, connection_id, token, now)
        })
    }

    fn resume_call(&self, call_id: &str, connection_id: u64) -> Outcome<bool> {
        self.act(|conversation, _| conversation.resume_call(call_id, connection_id))
    }

    /// Answers a call; `None` where the call is over, false where its connection was lost.
    fn tool_output(
        &self,
        call_id: &str,
        connection_id: u64,
        output: &str,
        respond: bool,
        tokens: Vec<u64>,
    ) -> Outcome<Option<bool>> {
        self.answer(|conversation, now| {
            conversation.tool_output(call_id, connection_id, output, respond, &tokens, now)
        })
    }

    /// Puts another agent in charge; raises where the connection is another one than that of
    /// `connection_id`, which `session_update` was made for.
    fn switch_agent(
        &self,
        connection_id: u64,
        agent_version: u64,
        session_update: Option<String>,
        before: Vec<u64>,
        after: Vec<u64>,
    ) -> Outcome<()> {
        let switch = AgentSwitch {
            agent_version,
            session_update,
            before,
            after,
        };
        let session = self.0.session()?;
        session.act(|conversation, _| conversation.switch_agent(connection_id, &switch))?;
        Ok(())
    }

    /// Switches the agent and answers the call; `None` and false as [`Self::tool_output`].
    fn hand_off(
        &self,
        call_id: &str,
        connection_id: u64,
        agent_version: u64,
        session_update: String,
        after: Vec<u64>,
        output: &str,
    ) -> Outcome<Option<bool>> {
        let switch = AgentSwitch {
            agent_version,
            session_update: Some(session_update),
            before: Vec::new(),
            after,
        };
        self.answer(|conversation, now| {
            conversation.hand_off(call_id, connection_id, &switch, output, now)
        })
    }

    fn answer_mcp_approval(
        &self,
        connection_id: u64,
        item_id: &str,
        approve: bool,
        reason: Option<&str>,
    ) -> Outcome<bool> {
        self.act(|conversation, _| {
            conversation.answer_mcp_approval(connection_id, item_id, approve, reason)
        })
    }

    /// A guardrail tripped; false where the response is over, or another guardrail was first.
    fn guardrail_tripped(
        &self,
        connection_id: u64,
        response_index: u64,
        response_id: Option<&str>,
        source: &str,
        token: u64,
        feedback: &str,
    ) -> Outcome<bool> {
        let feedback = object(feedback, "feedback")?;
        let source = guard_source(source)?;
        self.act(|conversation, now| {
            conversation.guardrail_tripped(
                connection_id,
                response_index,
                response_id,
                source,
                token,
                &feedback,
                now,
            )
        })
    }
}
