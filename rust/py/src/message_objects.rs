//! The Python object of each message: every kind is the frozen dataclass of the same name in
//! `stapes.session.dispatch.messages`, or in `stapes.events` where it is public as it is.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict as _, PyDict};
use stapes_core::calls::CallEvent;
use stapes_core::conversation::{Event, FieldValue, RecordType};
use stapes_core::dispatch::{Message, Notice};

use crate::history;
use crate::record::Classes;

/// The classes of all kinds. They are looked up once, when the first session is registered.
pub struct Kinds {
    pub events: Classes,
    notices: Classes,
}

static KINDS: PyOnceLock<Kinds> = PyOnceLock::new();

/// Looks all classes up, so that what does not fit is said before there are messages.
pub fn kinds(py: Python<'_>) -> PyResult<&Kinds> {
    KINDS.get_or_try_init(py, || {
        history::items(py)?;
        let modules = [
            py.import("stapes.session.dispatch.messages")?,
            py.import("stapes.events")?,
            py.import("stapes.speech_events")?,
        ];
        Ok(Kinds {
            events: Classes::find::<Event>(&modules)?,
            notices: Classes::find::<Notice>(&modules)?,
        })
    })
}

static CALL_KINDS: PyOnceLock<Classes> = PyOnceLock::new();

/// Looks the classes of calls' events up, when the first call is registered.
pub fn call_kinds(py: Python<'_>) -> PyResult<&Classes> {
    CALL_KINDS.get_or_try_init(py, || {
        let modules = [
            py.import("stapes.calls.messages")?,
            py.import("stapes.calls.events")?,
        ];
        Classes::find::<CallEvent>(&modules)
    })
}

/// Names and types of these kinds' fields, for the test that holds Python's classes against them.
pub fn table(
    py: Python<'_>,
    types: impl IntoIterator<Item = &'static RecordType>,
) -> PyResult<Bound<'_, PyDict>> {
    let table = PyDict::new(py);
    for record in types {
        let fields = record.fields.to_vec();
        table.set_item(record.name, fields.into_py_dict(py)?)?;
    }
    Ok(table)
}

pub fn message<'py>(py: Python<'py>, message: &Message) -> PyResult<Bound<'py, PyAny>> {
    let kinds = kinds(py)?;
    let convert = |value: FieldValue<'_>| history::value(py, value);
    match message {
        Message::Event(event) => kinds.events.make(py, event, convert),
        Message::Notice(notice) => kinds.notices.make(py, notice, convert),
        Message::Call(event) => call_kinds(py)?.make(py, event, convert),
    }
}
