//! Words of the hub as Python objects: tuples `(kind, ...)`.
//!
//! `kind` is a small number; `stapes._core.WORDS` names them in order.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use stapes_core::conversation::{CoreError, Event, GuardSource, ResponseDone, Speaker, Timings};

use crate::errors;
use crate::history::{self, History};
use crate::message::Message as Word;

/// The names of the kinds, in the order of their numbers.
pub const WORDS: [&str; 29] = [
    "raw",
    "connection_changed",
    "response_started",
    "response_done",
    "audio_started",
    "audio_stopped",
    "audio_interrupted",
    "transcript_delta",
    "guardrail_due",
    "function_call",
    "history_added",
    "history_updated",
    "mcp_tools_listed",
    "mcp_approval_requested",
    "mcp_call_completed",
    "server_error",
    "protocol_error",
    "model_error",
    "unanswered",
    "not_sent",
    "local",
    "outgoing",
    "opened",
    "not_opened",
    "drained",
    "outgoing_ready",
    "streamed",
    "lagging",
    "too_slow",
];

fn kind(name: &str) -> usize {
    WORDS
        .iter()
        .position(|word| *word == name)
        .expect("the name stands in WORDS")
}

fn source(source: GuardSource) -> &'static str {
    match source {
        GuardSource::Audio => "audio",
        GuardSource::Text => "text",
    }
}

macro_rules! tuple {
    ($py:expr, $kind:expr $(, $field:expr)* $(,)?) => {
        PyTuple::new($py, [
            kind($kind).into_bound_py_any($py)?,
            $($field.into_bound_py_any($py)?),*
        ])
    };
}

pub fn word(py: Python<'_>, word: Word) -> PyResult<Bound<'_, PyTuple>> {
    match word {
        Word::Event(event) => convert_event(py, event),
        Word::Opened { connection_id } => tuple!(py, "opened", connection_id),
        Word::NotOpened {
            connection_id,
            error,
        } => {
            let error = errors::connect_error(py, &error);
            tuple!(py, "not_opened", connection_id, error.into_value(py))
        }
        Word::Abandoned { connection_id } => {
            tuple!(py, "not_opened", connection_id, py.None())
        }
        Word::Drained => tuple!(py, "drained"),
        Word::Streamed { token, streamed } => {
            let failure = streamed
                .failure
                .map(|failure| errors::send_audio_error(py, &failure).into_value(py));
            let sent = streamed.sent.as_secs_f64();
            tuple!(py, "streamed", token, sent, failure)
        }
        Word::OutgoingReady => tuple!(py, "outgoing_ready"),
        Word::Lagging(dropped) => {
            tuple!(py, "lagging", dropped.audio, dropped.raw, dropped.deltas)
        }
        Word::TooSlow { waiting } => tuple!(py, "too_slow", waiting),
    }
}

fn convert_event(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        Event::Raw { text } => tuple!(py, "raw", text),
        Event::ConnectionChanged { status, reason } => {
            tuple!(py, "connection_changed", status.as_str(), reason)
        }
        Event::ResponseStarted {
            response_id,
            agent_version,
        } => {
            tuple!(
                py,
                "response_started",
                response_id.as_deref(),
                agent_version
            )
        }
        Event::ResponseDone(done) => response_done(py, &done),
        Event::AudioStarted { agent_version } => tuple!(py, "audio_started", agent_version),
        Event::AudioStopped { agent_version } => tuple!(py, "audio_stopped", agent_version),
        Event::AudioInterrupted {
            agent_version,
            response_id,
        } => {
            tuple!(py, "audio_interrupted", agent_version, &*response_id)
        }
        Event::TranscriptDelta {
            speaker,
            response_id,
            item_id,
            content_index,
            delta,
        } => {
            let role = match speaker {
                Speaker::User => "user",
                Speaker::Assistant => "assistant",
            };
            tuple!(
                py,
                "transcript_delta",
                role,
                delta,
                &*item_id,
                response_id.as_deref(),
                content_index
            )
        }
        Event::GuardrailDue {
            response_id,
            item_id,
            text,
            source: from,
            agent_version,
            response_index,
            connection_id,
        } => tuple!(
            py,
            "guardrail_due",
            &*response_id,
            &*item_id,
            text,
            source(from),
            agent_version,
            response_index,
            connection_id
        ),
        Event::FunctionCall(call) => tuple!(
            py,
            "function_call",
            &*call.call_id,
            &call.name,
            &call.arguments,
            &*call.item_id,
            &*call.response_id,
            call.agent_version,
            call.connection_id
        ),
        Event::HistoryAdded { item } => {
            tuple!(py, "history_added", history::item(py, &item)?)
        }
        Event::HistoryUpdated { history } => {
            tuple!(py, "history_updated", History(history))
        }
        Event::McpToolsListed {
            server_label,
            tools,
        } => {
            tuple!(py, "mcp_tools_listed", server_label, tools.to_string())
        }
        Event::McpApprovalRequested {
            item,
            agent_version,
            connection_id,
        } => {
            let item = history::item(py, &item)?;
            tuple!(
                py,
                "mcp_approval_requested",
                item,
                agent_version,
                connection_id
            )
        }
        Event::McpCallCompleted {
            item,
            agent_version,
        } => {
            tuple!(
                py,
                "mcp_call_completed",
                history::item(py, &item)?,
                agent_version
            )
        }
        Event::Error(error) => convert_error(py, error),
        Event::Local { token } => tuple!(py, "local", token),
        Event::Outgoing { text } => tuple!(py, "outgoing", text),
        _ => tuple!(
            py,
            "protocol_error",
            "an event that this version does not know"
        ),
    }
}

fn convert_error(py: Python<'_>, error: CoreError) -> PyResult<Bound<'_, PyTuple>> {
    match error {
        CoreError::Server(event) => tuple!(py, "server_error", event.to_string()),
        CoreError::Protocol(what) => tuple!(py, "protocol_error", what),
        CoreError::Model(what) => tuple!(py, "model_error", what),
        CoreError::Unanswered(what) => tuple!(py, "unanswered", what),
        CoreError::NotSent(what) => tuple!(py, "not_sent", what),
        _ => tuple!(
            py,
            "protocol_error",
            "an error that this version does not know"
        ),
    }
}

fn response_done<'py>(py: Python<'py>, done: &ResponseDone) -> PyResult<Bound<'py, PyTuple>> {
    let Timings {
        created,
        first_audio,
        done: over,
    } = done.timings;
    let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
    tuple!(
        py,
        "response_done",
        done.response_id.as_deref(),
        done.agent_version,
        done.item_id.as_deref(),
        &done.output,
        source(done.source),
        done.status.as_deref(),
        done.status_details.as_ref().map(ToString::to_string),
        done.usage.as_ref().map(ToString::to_string),
        (seconds(created), seconds(first_audio), seconds(over)),
        done.response_index,
        done.connection_id,
    )
}
