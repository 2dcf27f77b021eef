//! The Python object of each message: every kind is the frozen dataclass of the same name in
//! `stapes.session.dispatch.messages`, or in `stapes.events` where it is public as it is.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};
use stapes_core::conversation::{Event, FieldValue, RecordType};

use crate::errors;
use crate::history::{self, History};
use crate::message::Message;
use crate::record::Class;

/// A message that the bindings add to the conversation's events.
#[derive(Debug, Clone, Copy)]
enum Delivery {
    Opened,
    NotOpened,
    AudioDrained,
    OutgoingReady,
    AudioStreamed,
    Lagging,
    TooSlow,
}

/// Their names and fields, in the order of the enum.
const DELIVERY: [RecordType; 7] = [
    record("Opened", &[("connection_id", "int")]),
    record(
        "NotOpened",
        &[("connection_id", "int"), ("error", "exception | None")],
    ),
    record("AudioDrained", &[]),
    record("OutgoingReady", &[]),
    record(
        "AudioStreamed",
        &[
            ("token", "int"),
            ("sent", "float"),
            ("failure", "exception | None"),
        ],
    ),
    record(
        "Lagging",
        &[
            ("audio", "int"),
            ("transport_events", "int"),
            ("transcript_deltas", "int"),
        ],
    ),
    record("TooSlow", &[("waiting", "int")]),
];

const fn record(name: &'static str, fields: &'static [(&'static str, &'static str)]) -> RecordType {
    RecordType { name, fields }
}

/// Every kind: the conversation's first.
fn types() -> impl Iterator<Item = &'static RecordType> {
    Event::TYPES.iter().chain(&DELIVERY)
}

static CLASSES: PyOnceLock<Vec<Class>> = PyOnceLock::new();

/// The classes of all kinds. They are looked up once, when the first session is registered.
fn classes(py: Python<'_>) -> PyResult<&Vec<Class>> {
    CLASSES.get_or_try_init(py, || {
        let modules = [
            py.import("stapes.session.dispatch.messages")?,
            py.import("stapes.events")?,
        ];
        types()
            .map(|record| Class::find(&modules, record))
            .collect()
    })
}

/// Looks all classes up, so that what does not fit is said before there are messages.
pub fn check(py: Python<'_>) -> PyResult<()> {
    classes(py).map(drop)
}

/// The class of that event's kind.
pub fn class_of<'a>(py: Python<'a>, event: &Event) -> PyResult<&'a Class> {
    Ok(&classes(py)?[event.index()])
}

/// Names and types of all kinds' fields, for the test that holds Python's classes against them.
pub fn table(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let table = PyDict::new(py);
    for record in types() {
        let fields = PyDict::new(py);
        for (name, kind) in record.fields {
            fields.set_item(name, kind)?;
        }
        table.set_item(record.name, fields)?;
    }
    Ok(table)
}

pub fn message(py: Python<'_>, message: Message) -> PyResult<Bound<'_, PyAny>> {
    let none = || py.None().into_bound(py);
    match message {
        Message::Event(event) => from_event(py, &event),
        Message::Opened { connection_id } => delivery(
            py,
            Delivery::Opened,
            &[connection_id.into_bound_py_any(py)?],
        ),
        Message::NotOpened {
            connection_id,
            error,
        } => {
            let error = errors::connect_error(py, &error).into_value(py);
            let fields = [
                connection_id.into_bound_py_any(py)?,
                error.into_bound_py_any(py)?,
            ];
            delivery(py, Delivery::NotOpened, &fields)
        }
        Message::Abandoned { connection_id } => {
            let fields = [connection_id.into_bound_py_any(py)?, none()];
            delivery(py, Delivery::NotOpened, &fields)
        }
        Message::Drained => delivery(py, Delivery::AudioDrained, &[]),
        Message::OutgoingReady => delivery(py, Delivery::OutgoingReady, &[]),
        Message::Streamed { token, streamed } => {
            let failure = streamed
                .failure
                .map(|failure| errors::send_audio_error(py, &failure).into_value(py));
            let fields = [
                token.into_bound_py_any(py)?,
                streamed.sent.as_secs_f64().into_bound_py_any(py)?,
                failure.into_bound_py_any(py)?,
            ];
            delivery(py, Delivery::AudioStreamed, &fields)
        }
        Message::Lagging(dropped) => {
            let counts = [dropped.audio, dropped.raw, dropped.deltas];
            let [audio, raw, transcripts] = counts.map(|count| count.into_bound_py_any(py));
            delivery(py, Delivery::Lagging, &[audio?, raw?, transcripts?])
        }
        Message::TooSlow { waiting } => {
            delivery(py, Delivery::TooSlow, &[waiting.into_bound_py_any(py)?])
        }
    }
}

fn delivery<'py, const N: usize>(
    py: Python<'py>,
    kind: Delivery,
    fields: &[Bound<'py, PyAny>; N],
) -> PyResult<Bound<'py, PyAny>> {
    let class = &classes(py)?[Event::TYPES.len() + kind as usize];
    let message = class.empty(py)?;
    for (index, value) in fields.iter().enumerate() {
        class.set(&message, index, value)?;
    }
    Ok(message)
}

fn from_event<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyAny>> {
    let class = class_of(py, event)?;
    let message = class.empty(py)?;
    let mut index = 0;
    event.visit(|value| {
        class.set(&message, index, &field(py, value)?)?;
        index += 1;
        PyResult::Ok(())
    })?;
    Ok(message)
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
    }
}
