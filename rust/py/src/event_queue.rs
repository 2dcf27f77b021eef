//! The queue of one reader of a session's events.

use pyo3::exceptions::PyIndexError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};
use stapes_core::delivery::queue::PastBound;
use stapes_core::delivery::reader_queue::{Entry, Facts, ReaderQueue};
use stapes_core::delivery::{DropPolicy, Dropped};

/// The classes of `stapes.events` that a queue treats in a way of their own.
struct Classes {
    policies: Vec<(Py<PyType>, DropPolicy)>,
    lagging: Py<PyType>,
}

const POLICIES: [(&str, DropPolicy); 5] = [
    ("Audio", DropPolicy::Audio),
    ("TransportEvent", DropPolicy::Raw),
    ("TranscriptDelta", DropPolicy::Delta),
    ("HistoryUpdated", DropPolicy::Version),
    ("AudioInterrupted", DropPolicy::Interruption),
];

static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();

fn classes(py: Python<'_>) -> PyResult<&Classes> {
    CLASSES.get_or_try_init(py, || {
        let module = py.import("stapes.events")?;
        let class = |name: &str| -> PyResult<Py<PyType>> {
            Ok(module.getattr(name)?.cast_into::<PyType>()?.unbind())
        };
        let policies = POLICIES.into_iter();
        Ok(Classes {
            policies: policies
                .map(|(name, policy)| Ok((class(name)?, policy)))
                .collect::<PyResult<_>>()?,
            lagging: class("Lagging")?,
        })
    })
}

/// An event, a text, or an id: those are strings, numbers or `None`, so no code of the user's runs where two
/// are compared.
#[derive(Debug)]
struct Object(Py<PyAny>);

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.0.is(&other.0)
            || Python::attach(|py| self.0.bind(py).eq(other.0.bind(py)).unwrap_or(false))
    }
}

fn facts(event: &Bound<'_, PyAny>, classes: &Classes) -> PyResult<Facts<Object>> {
    let (py, class) = (event.py(), event.get_type());
    let mut policies = classes.policies.iter();
    let known = policies.find(|(known, _)| class.is(known));
    let get = |name: &Bound<'_, PyString>| Ok::<_, PyErr>(Object(event.getattr(name)?.unbind()));
    let response_id = || get(intern!(py, "response_id"));
    Ok(
        match known.map_or(DropPolicy::Keep, |(_, policy)| *policy) {
            DropPolicy::Keep => Facts::Keep,
            DropPolicy::Version => Facts::Version,
            DropPolicy::Audio => Facts::Audio {
                response_id: response_id()?,
                size: event.getattr(intern!(py, "data"))?.len()?,
            },
            DropPolicy::Interruption => Facts::Interruption {
                response_id: response_id()?,
            },
            DropPolicy::Raw => Facts::Raw {
                size: event.getattr(intern!(py, "size"))?.extract()?,
            },
            DropPolicy::Delta => {
                let part = [
                    get(intern!(py, "item_id"))?,
                    get(intern!(py, "content_index"))?,
                    response_id()?,
                    get(intern!(py, "role"))?,
                ];
                let text = event.getattr(intern!(py, "delta"))?;
                let size = text.len()?;
                Facts::delta(part, Object(text.unbind()), size)
            }
        },
    )
}

fn texts(py: Python<'_>, facts: &Facts<Object>) -> Vec<Py<PyAny>> {
    let texts = facts.texts().into_iter();
    texts.map(|text| text.0.clone_ref(py)).collect()
}

/// An event; with these texts joined, where it is a delta that others were merged into.
fn joined(py: Python<'_>, event: Py<PyAny>, texts: Vec<Py<PyAny>>) -> PyResult<Py<PyAny>> {
    if texts.is_empty() {
        return Ok(event);
    }
    let text = PyString::new(py, "").call_method1(intern!(py, "join"), (texts,))?;
    let fields = PyDict::new(py);
    fields.set_item(intern!(py, "delta"), text)?;
    let dataclasses = py.import(intern!(py, "dataclasses"))?;
    let replace = dataclasses.getattr(intern!(py, "replace"))?;
    Ok(replace.call((event,), Some(&fields))?.unbind())
}

fn dropped_of(lagging: &Bound<'_, PyAny>) -> PyResult<Dropped> {
    let count = |name: &str| lagging.getattr(name)?.extract();
    Ok(Dropped {
        audio: count("audio")?,
        raw: count("transport_events")?,
        deltas: count("transcript_deltas")?,
    })
}

/// The events that one reader has not read yet.
///
/// Where the reader lags, audio and raw events are dropped oldest first, and a `Lagging` event says so if
/// the reader is to be `told`; a transcript delta is merged into the next one of its part; of several
/// history updates the last is kept. Other events are kept up to the bound. Past it, a `lossy` queue drops
/// the oldest of them; any other gives up all that it holds and takes no more: its reader is too slow.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct EventQueue(ReaderQueue<Object>);

#[pymethods]
impl EventQueue {
    #[new]
    #[pyo3(signature = (max_events, max_bytes, *, lossy=false, told=true))]
    fn new(max_events: usize, max_bytes: usize, lossy: bool, told: bool) -> Self {
        let past_bound = if lossy {
            PastBound::DropOldest
        } else {
            PastBound::GiveUp
        };
        Self(ReaderQueue::new(max_events, max_bytes, past_bound, told))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// How many events were waiting when there were too many; 0 before.
    #[getter]
    fn overflown(&self) -> usize {
        self.0.overflown()
    }

    /// Adds an event. Returns how many were waiting where the reader is too slow, and `None` else.
    fn put(&self, event: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let classes = classes(event.py())?;
        if event.get_type().is(&classes.lagging) {
            self.0.add_dropped(dropped_of(event)?);
            return Ok(None);
        }
        let facts = facts(event, classes)?;
        let overflown = self.0.put(Object(event.clone().unbind()), facts);
        Ok((overflown > 0).then_some(overflown))
    }

    /// The oldest event. `None` stands for those that were given up.
    fn get(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.0.pop() {
            Some(Entry::Event { event, facts }) => joined(py, event.0, texts(py, &facts)).map(Some),
            Some(Entry::Lagging(Dropped { audio, raw, deltas })) => {
                let lagging = &classes(py)?.lagging;
                lagging.call1(py, (audio, raw, deltas)).map(Some)
            }
            Some(Entry::TooSlow) => Ok(None),
            None => Err(PyIndexError::new_err("no event waits")),
        }
    }

    /// The events that wait, oldest first, as they came: a `Lagging` event is not among them.
    fn waiting(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let events = self
            .0
            .waiting(|event, facts| (event.0.clone_ref(py), texts(py, facts)));
        let events = events.into_iter();
        events
            .map(|(event, texts)| joined(py, event, texts))
            .collect()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.traverse(|event| visit.call(&event.0))
    }

    fn __clear__(&self) {
        self.0.clear();
    }
}
