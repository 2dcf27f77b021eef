//! Words of the hub as Python objects: tuples `(kind, sequence, ...)`.
//!
//! `kind` is a small number; `stapes._core.WORDS` names them in order.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use stapes_core::conversation::{Event, GuardSource, ResponseDone, Speaker, Timings, Trouble};

use crate::errors;
use crate::history::{self, History};
use crate::hub::Word;

/// The names of the kinds, in the order of their numbers.
pub const WORDS: [&str; 30] = [
    "raw",
    "connection_changed",
    "response_started",
    "response_done",
    "audio_started",
    "audio",
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
    "to_carry",
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
    ($py:expr, $kind:expr, $sequence:expr $(, $field:expr)* $(,)?) => {
        PyTuple::new($py, [
            kind($kind).into_bound_py_any($py)?,
            $sequence.into_bound_py_any($py)?,
            $($field.into_bound_py_any($py)?),*
        ])
    };
}

pub fn word(py: Python<'_>, sequence: u64, word: Word) -> PyResult<Bound<'_, PyTuple>> {
    match word {
        Word::Event(event) => convert_event(py, sequence, event),
        Word::Opened { generation } => tuple!(py, "opened", sequence, generation),
        Word::NotOpened { generation, error } => {
            let error = errors::connect_error(py, &error);
            tuple!(py, "not_opened", sequence, generation, error.into_value(py))
        }
        Word::Abandoned { generation } => {
            tuple!(py, "not_opened", sequence, generation, py.None())
        }
        Word::Drained => tuple!(py, "drained", sequence),
        Word::Streamed { token, streamed } => {
            let failure = streamed
                .failure
                .map(|failure| errors::not_taken(py, &failure).into_value(py));
            let sent = streamed.sent.as_secs_f64();
            tuple!(py, "streamed", sequence, token, sent, failure)
        }
        Word::ToCarry => tuple!(py, "to_carry", sequence),
        Word::Lagging(dropped) => {
            tuple!(
                py,
                "lagging",
                sequence,
                dropped.audio,
                dropped.raw,
                dropped.transcripts
            )
        }
        Word::TooSlow { waiting } => tuple!(py, "too_slow", sequence, waiting),
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one short arm for each kind of event"
)]
fn convert_event(py: Python<'_>, sequence: u64, event: Event) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        Event::Raw { text } => tuple!(py, "raw", sequence, text),
        Event::ConnectionChanged { status, reason } => {
            tuple!(py, "connection_changed", sequence, status.as_str(), reason)
        }
        Event::ResponseStarted { response_id, epoch } => {
            tuple!(
                py,
                "response_started",
                sequence,
                response_id.as_deref(),
                epoch
            )
        }
        Event::ResponseDone(done) => response_done(py, sequence, &done),
        Event::AudioStarted { epoch } => tuple!(py, "audio_started", sequence, epoch),
        Event::Audio {
            response_id,
            item_id,
            content_index,
            data,
        } => tuple!(
            py,
            "audio",
            sequence,
            PyBytes::new(py, &data),
            &*response_id,
            &*item_id,
            content_index
        ),
        Event::AudioStopped { epoch } => tuple!(py, "audio_stopped", sequence, epoch),
        Event::AudioInterrupted { epoch, response_id } => {
            tuple!(py, "audio_interrupted", sequence, epoch, &*response_id)
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
                sequence,
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
            epoch,
            response_generation,
            generation,
        } => tuple!(
            py,
            "guardrail_due",
            sequence,
            &*response_id,
            &*item_id,
            text,
            source(from),
            epoch,
            response_generation,
            generation
        ),
        Event::FunctionCall(call) => tuple!(
            py,
            "function_call",
            sequence,
            &*call.call_id,
            &call.name,
            &call.arguments,
            &*call.item_id,
            &*call.response_id,
            call.epoch,
            call.generation
        ),
        Event::HistoryAdded { item } => {
            tuple!(py, "history_added", sequence, history::item(py, &item)?)
        }
        Event::HistoryUpdated { history } => {
            tuple!(py, "history_updated", sequence, History(history))
        }
        Event::McpToolsListed {
            server_label,
            tools,
        } => {
            tuple!(
                py,
                "mcp_tools_listed",
                sequence,
                server_label,
                tools.to_string()
            )
        }
        Event::McpApprovalRequested {
            item,
            epoch,
            generation,
        } => {
            let item = history::item(py, &item)?;
            tuple!(
                py,
                "mcp_approval_requested",
                sequence,
                item,
                epoch,
                generation
            )
        }
        Event::McpCallCompleted { item, epoch } => {
            tuple!(
                py,
                "mcp_call_completed",
                sequence,
                history::item(py, &item)?,
                epoch
            )
        }
        Event::Trouble(trouble) => convert_trouble(py, sequence, trouble),
        Event::Local { token } => tuple!(py, "local", sequence, token),
        Event::Outgoing { text } => tuple!(py, "outgoing", sequence, text),
        _ => tuple!(
            py,
            "protocol_error",
            sequence,
            "an event that this version does not know"
        ),
    }
}

fn convert_trouble(
    py: Python<'_>,
    sequence: u64,
    trouble: Trouble,
) -> PyResult<Bound<'_, PyTuple>> {
    match trouble {
        Trouble::Server(event) => tuple!(py, "server_error", sequence, event.to_string()),
        Trouble::Protocol(what) => tuple!(py, "protocol_error", sequence, what),
        Trouble::Model(what) => tuple!(py, "model_error", sequence, what),
        Trouble::Unanswered(what) => tuple!(py, "unanswered", sequence, what),
        Trouble::NotSent(what) => tuple!(py, "not_sent", sequence, what),
        _ => tuple!(
            py,
            "protocol_error",
            sequence,
            "trouble that this version does not know"
        ),
    }
}

fn response_done<'py>(
    py: Python<'py>,
    sequence: u64,
    done: &ResponseDone,
) -> PyResult<Bound<'py, PyTuple>> {
    let Timings {
        created,
        first_audio,
        done: over,
    } = done.timings;
    let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
    tuple!(
        py,
        "response_done",
        sequence,
        done.response_id.as_deref(),
        done.epoch,
        done.item_id.as_deref(),
        &done.output,
        source(done.source),
        done.status.as_deref(),
        done.status_details.as_ref().map(ToString::to_string),
        done.usage.as_ref().map(ToString::to_string),
        (seconds(created), seconds(first_audio), seconds(over)),
        done.response_generation,
        done.generation,
    )
}
