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

/// Declares acts, each by the method that runs it, and the methods beside them.
macro_rules! acts {
    ($(
        $(#[$doc:meta])*
        fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty =
            $run:ident(|$conversation:ident, $now:pat_param| $act:expr);
    )* besides { $($methods:tt)* }) => {
        #[pymethods]
        impl Acts {
            $( $(#[$doc])* fn $name(&self, $($arg: $type),*) -> Outcome<$result> {
                self.$run(|$conversation, $now| $act)
            } )*

            $($methods)*
        }
    };
}

acts! {
    fn call_event(call_id: &str, connection_id: u64, token: u64) -> bool =
        act(|conversation, _| conversation.call_event(call_id, connection_id, token));
    fn await_approval(call_id: &str, connection_id: u64, token: u64) -> bool =
        act(|conversation, now| conversation.await_approval(call_id, connection_id, token, now));
    fn resume_call(call_id: &str, connection_id: u64) -> bool =
        act(|conversation, _| conversation.resume_call(call_id, connection_id));
    /// Answers a call; `None` where the call is over, false where its connection was lost.
    fn tool_output(call_id: &str, connection_id: u64, output: &str, respond: bool,
        tokens: Vec<u64>) -> Option<bool> =
        answer(|conversation, now| {
            conversation.tool_output(call_id, connection_id, output, respond, &tokens, now)
        });
    /// Switches the agent and answers the call; `None` and false as [`Self::tool_output`].
    fn hand_off(call_id: &str, connection_id: u64, agent_version: u64, session_update: String,
        after: Vec<u64>, output: &str) -> Option<bool> =
        answer(|conversation, now| {
            let switch = AgentSwitch::new(agent_version, Some(session_update), Vec::new(), after);
            conversation.hand_off(call_id, connection_id, &switch, output, now)
        });
    fn answer_mcp_approval(connection_id: u64, item_id: &str, approve: bool,
        reason: Option<&str>) -> bool =
        act(|conversation, _| {
            conversation.answer_mcp_approval(connection_id, item_id, approve, reason)
        });
    /// Stops the playback of a response, its generation, or both; `cancel`: `None`: unless the server does.
    fn stop_response(response_id: &str, playback: bool, cancel: Option<bool>) -> bool =
        act(|conversation, now| conversation.stop_response(response_id, playback, cancel, now));
    /// Whether a response was asked for that has not begun.
    fn awaits_response() -> Option<bool> = answer(|conversation, _| Ok(conversation.awaits_response()));
    besides {
        /// Puts an event that the session layer holds under `token` into the order.
        fn local_event(&self, token: u64) -> Outcome<()> {
            self.0.session()?.act(|conversation, _| conversation.local_event(token));
            Ok(())
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
            let switch = AgentSwitch::new(agent_version, session_update, before, after);
            let session = self.0.session()?;
            Ok(session.act(|conversation, _| conversation.switch_agent(connection_id, &switch))?)
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
            let (feedback, source) = (object(feedback, "feedback")?, GuardSource::read(source)?);
            self.act(|conversation, now| {
                conversation.guardrail_tripped(
                    connection_id, response_index, response_id, source, token, &feedback, now,
                )
            })
        }
    }
}
