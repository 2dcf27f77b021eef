//! The Python object of each message: every kind is the frozen dataclass of the same name in
//! `stapes.session.dispatch.messages`, or in `stapes.events` where it is public as it is.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use stapes_core::conversation::{Event, FieldValue, RecordType};
use stapes_core::dispatch::{Message, Notice};

use crate::history;
use crate::record::Classes;

/// The classes of all kinds. They are looked up once, when the first session is registered.
struct Kinds {
    events: Classes,
    notices: Classes,
}

static KINDS: PyOnceLock<Kinds> = PyOnceLock::new();

fn kinds(py: Python<'_>) -> PyResult<&Kinds> {
    KINDS.get_or_try_init(py, || {
        let modules = [
            py.import("stapes.session.dispatch.messages")?,
            py.import("stapes.events")?,
        ];
        Ok(Kinds {
            events: Classes::find::<Event>(&modules)?,
            notices: Classes::find::<Notice>(&modules)?,
        })
    })
}

/// Looks all classes up, so that what does not fit is said before there are messages.
pub fn check(py: Python<'_>) -> PyResult<()> {
    history::check(py)?;
    kinds(py).map(drop)
}

/// The classes of the conversation's events.
pub fn events(py: Python<'_>) -> PyResult<&Classes> {
    Ok(&kinds(py)?.events)
}

/// Names and types of these kinds' fields, for the test that holds Python's classes against them.
pub fn table(
    py: Python<'_>,
    types: impl IntoIterator<Item = &'static RecordType>,
) -> PyResult<Bound<'_, PyDict>> {
    let table = PyDict::new(py);
    for record in types {
        let fields = PyDict::new(py);
        for (name, kind) in record.fields {
            fields.set_item(name, kind)?;
        }
        table.set_item(record.name, fields)?;
    }
    Ok(table)
}

pub fn message<'py>(py: Python<'py>, message: &Message) -> PyResult<Bound<'py, PyAny>> {
    let kinds = kinds(py)?;
    let convert = |value: FieldValue<'_>| history::value(py, value);
    match message {
        Message::Event(event) => kinds.events.make(py, event, convert),
        Message::Notice(notice) => kinds.notices.make(py, notice, convert),
    }
}
