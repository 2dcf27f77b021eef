//! The Python object of each message: every kind is the frozen dataclass of the same name in
//! `stapes.session.dispatch.messages`, or in `stapes.events` where it is public as it is.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};
use stapes_core::conversation::{Event, FieldValue, Record, RecordType};
use stapes_core::dispatch::{Message, Notice};

use crate::errors;
use crate::history::{self, History};
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

/// Every kind of message.
pub fn types() -> impl Iterator<Item = &'static RecordType> {
    Event::TYPES.iter().chain(Notice::TYPES)
}

pub fn message<'py>(py: Python<'py>, message: &Message) -> PyResult<Bound<'py, PyAny>> {
    let kinds = kinds(py)?;
    let convert = |value: FieldValue<'_>| field(py, value);
    match message {
        Message::Event(event) => kinds.events.make(py, event, convert),
        Message::Notice(notice) => kinds.notices.make(py, notice, convert),
    }
}

fn field<'py>(py: Python<'py>, value: FieldValue<'_>) -> PyResult<Bound<'py, PyAny>> {
    match value {
        FieldValue::Nothing => Ok(py.None().into_bound(py)),
        FieldValue::Text(text) => Ok(PyString::new(py, text).into_any()),
        FieldValue::Bytes(bytes) => bytes.into_bound_py_any(py),
        FieldValue::Number(number) => number.into_bound_py_any(py),
        FieldValue::Flag(flag) => flag.into_bound_py_any(py),
        FieldValue::Seconds(seconds) => seconds.into_bound_py_any(py),
        FieldValue::Json(value) => value.to_string().into_bound_py_any(py),
        FieldValue::Item(item) => Ok(history::item(py, item)?.into_bound(py)),
        FieldValue::History(version) => History(version.clone()).into_bound_py_any(py),
        FieldValue::Error(error) => errors::exception(error)
            .into_value(py)
            .into_bound_py_any(py),
    }
}
