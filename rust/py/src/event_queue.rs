//! The queue of one reader of a session's events.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use pyo3::exceptions::PyIndexError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};
use stapes_core::delivery::queue::{PastBound, Queue, QueueSettings};
use stapes_core::delivery::{DropPolicy, Dropped, Message};

/// The classes of `stapes.events` that a queue treats in a way of their own.
struct Classes {
    audio: Py<PyType>,
    raw: Py<PyType>,
    delta: Py<PyType>,
    history_updated: Py<PyType>,
    audio_interrupted: Py<PyType>,
    lagging: Py<PyType>,
}

static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();

fn classes(py: Python<'_>) -> PyResult<&Classes> {
    CLASSES.get_or_try_init(py, || {
        let module = py.import("stapes.events")?;
        let class = |name: &str| -> PyResult<Py<PyType>> {
            Ok(module.getattr(name)?.cast_into::<PyType>()?.unbind())
        };
        Ok(Classes {
            audio: class("Audio")?,
            raw: class("TransportEvent")?,
            delta: class("TranscriptDelta")?,
            history_updated: class("HistoryUpdated")?,
            audio_interrupted: class("AudioInterrupted")?,
            lagging: class("Lagging")?,
        })
    })
}

/// What the drop policy must know of an event, read when it is put into the queue.
#[derive(Debug)]
enum Kind {
    Other,
    HistoryUpdated,
    Audio {
        response_id: Py<PyString>,
        size: usize,
    },
    AudioInterrupted {
        response_id: Py<PyString>,
    },
    Raw {
        size: usize,
    },
    Delta(Box<Delta>),
}

/// A transcript delta: the part that it belongs to, and the text of earlier deltas that goes before its own.
#[derive(Debug)]
struct Delta {
    role: Py<PyAny>,
    item_id: Py<PyAny>,
    content_index: Py<PyAny>,
    response_id: Py<PyAny>,
    text: Py<PyString>,
    /// Characters.
    size: usize,
    earlier: Vec<Py<PyString>>,
}

impl Delta {
    fn read(event: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = event.py();
        let text = event
            .getattr(intern!(py, "delta"))?
            .cast_into::<PyString>()?;
        Ok(Self {
            role: event.getattr(intern!(py, "role"))?.unbind(),
            item_id: event.getattr(intern!(py, "item_id"))?.unbind(),
            content_index: event.getattr(intern!(py, "content_index"))?.unbind(),
            response_id: event.getattr(intern!(py, "response_id"))?.unbind(),
            size: text.len()?,
            text: text.unbind(),
            earlier: Vec::new(),
        })
    }

    /// Texts in their order, where there are several.
    fn texts(&self, py: Python<'_>) -> Vec<Py<PyString>> {
        if self.earlier.is_empty() {
            return Vec::new();
        }
        let texts = self.earlier.iter().chain([&self.text]);
        texts.map(|text| text.clone_ref(py)).collect()
    }
}

/// An event; with these texts joined, where it is a delta that others were merged into.
fn joined(py: Python<'_>, event: Py<PyAny>, texts: Vec<Py<PyString>>) -> PyResult<Py<PyAny>> {
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

/// What a queue holds.
#[derive(Debug)]
enum Entry {
    Event { event: Py<PyAny>, kind: Kind },
    Lagging(Dropped),
    TooSlow,
}

/// Whether two ids are equal. They are strings, numbers or `None`: no code of the user's runs.
fn equal(py: Python<'_>, one: &Py<PyAny>, other: &Py<PyAny>) -> bool {
    one.is(other) || one.bind(py).eq(other.bind(py)).unwrap_or(false)
}

impl Entry {
    fn kind(&self) -> &Kind {
        match self {
            Self::Event { kind, .. } => kind,
            Self::Lagging(_) | Self::TooSlow => &Kind::Other,
        }
    }
}

impl Message for Entry {
    fn policy(&self) -> DropPolicy {
        match self.kind() {
            Kind::Other => DropPolicy::Keep,
            Kind::HistoryUpdated => DropPolicy::Version,
            Kind::Audio { .. } => DropPolicy::Audio,
            Kind::AudioInterrupted { .. } => DropPolicy::Interruption,
            Kind::Raw { .. } => DropPolicy::Raw,
            Kind::Delta(_) => DropPolicy::Delta,
        }
    }

    fn size(&self) -> usize {
        match self.kind() {
            Kind::Audio { size, .. } | Kind::Raw { size } => *size,
            Kind::Delta(delta) => delta.size,
            _ => 0,
        }
    }

    /// A reader gets each version as an event: nothing looks at the last one behind its back.
    fn observes_version(&self) -> bool {
        false
    }

    fn purges(&self, audio: &Self) -> bool {
        match (self.kind(), audio.kind()) {
            (
                Kind::AudioInterrupted { response_id },
                Kind::Audio {
                    response_id: of, ..
                },
            ) => Python::attach(|py| equal(py, response_id.as_any(), of.as_any())),
            _ => false,
        }
    }

    fn continues(&self, earlier: &Self) -> bool {
        let (Kind::Delta(later), Kind::Delta(earlier)) = (self.kind(), earlier.kind()) else {
            return false;
        };
        Python::attach(|py| {
            equal(py, &later.item_id, &earlier.item_id)
                && equal(py, &later.content_index, &earlier.content_index)
                && equal(py, &later.response_id, &earlier.response_id)
                && equal(py, &later.role, &earlier.role)
        })
    }

    fn prepend(&mut self, earlier: Self) {
        if let (
            Self::Event {
                kind: Kind::Delta(later),
                ..
            },
            Self::Event {
                kind: Kind::Delta(mut earlier),
                ..
            },
        ) = (self, earlier)
        {
            later.size += earlier.size;
            earlier.earlier.push(earlier.text);
            earlier.earlier.append(&mut later.earlier);
            later.earlier = earlier.earlier;
        }
    }

    fn lagging(dropped: Dropped) -> Self {
        Self::Lagging(dropped)
    }

    fn too_slow(_: usize) -> Self {
        Self::TooSlow
    }
}

/// The events that one reader has not read yet.
///
/// Where the reader lags, audio and raw events are dropped oldest first, and a `Lagging` event says so if
/// the reader is to be `told`; a transcript delta is merged into the next one of its part; of several
/// history updates the last is kept. Other events are kept up to the bound. Past it, a `lossy` queue drops
/// the oldest of them; any other gives up all that it holds and takes no more: its reader is too slow.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct EventQueue(Mutex<State>);

#[derive(Debug)]
struct State {
    queue: Queue<Entry>,
    /// How many events were waiting when there were too many.
    overflown: usize,
}

impl EventQueue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kind(event: &Bound<'_, PyAny>, classes: &Classes) -> PyResult<Kind> {
    let py = event.py();
    let class = event.get_type();
    let response_id = || -> PyResult<Py<PyString>> {
        let id = event.getattr(intern!(py, "response_id"))?;
        Ok(id.cast_into::<PyString>()?.unbind())
    };
    Ok(if class.is(&classes.audio) {
        Kind::Audio {
            response_id: response_id()?,
            size: event.getattr(intern!(py, "data"))?.len()?,
        }
    } else if class.is(&classes.raw) {
        let size = event.getattr(intern!(py, "size"))?.extract()?;
        Kind::Raw { size }
    } else if class.is(&classes.delta) {
        Kind::Delta(Box::new(Delta::read(event)?))
    } else if class.is(&classes.history_updated) {
        Kind::HistoryUpdated
    } else if class.is(&classes.audio_interrupted) {
        let response_id = response_id()?;
        Kind::AudioInterrupted { response_id }
    } else {
        Kind::Other
    })
}

fn dropped_of(lagging: &Bound<'_, PyAny>) -> PyResult<Dropped> {
    let py = lagging.py();
    Ok(Dropped {
        audio: lagging.getattr(intern!(py, "audio"))?.extract()?,
        raw: lagging
            .getattr(intern!(py, "transport_events"))?
            .extract()?,
        deltas: lagging
            .getattr(intern!(py, "transcript_deltas"))?
            .extract()?,
    })
}

impl Entry {
    fn texts(&self, py: Python<'_>) -> Vec<Py<PyString>> {
        match self.kind() {
            Kind::Delta(delta) => delta.texts(py),
            _ => Vec::new(),
        }
    }

    fn into_event(self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let texts = self.texts(py);
        match self {
            Self::Event { event, .. } => joined(py, event, texts).map(Some),
            Self::Lagging(Dropped { audio, raw, deltas }) => {
                let counts = (audio, raw, deltas);
                classes(py)?.lagging.call1(py, counts).map(Some)
            }
            Self::TooSlow => Ok(None),
        }
    }
}

#[pymethods]
impl EventQueue {
    #[new]
    #[pyo3(signature = (max_events, max_bytes, *, lossy=false, told=true))]
    fn new(max_events: usize, max_bytes: usize, lossy: bool, told: bool) -> Self {
        let settings = QueueSettings {
            max_messages: max_events,
            max_bytes,
            past_bound: if lossy {
                PastBound::DropOldest
            } else {
                PastBound::GiveUp
            },
            tells: told,
        };
        Self(Mutex::new(State {
            queue: Queue::new(settings),
            overflown: 0,
        }))
    }

    fn __len__(&self) -> usize {
        self.state().queue.len()
    }

    /// How many events were waiting when there were too many; 0 before.
    #[getter]
    fn overflown(&self) -> usize {
        self.state().overflown
    }

    /// Adds an event. Returns how many were waiting where the reader is too slow, and `None` else.
    fn put(&self, event: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let classes = classes(event.py())?;
        if event.get_type().is(&classes.lagging) {
            // What was lost before it came here counts as lost here.
            let dropped = dropped_of(event)?;
            self.state().queue.add_dropped(dropped);
            return Ok(None);
        }
        let entry = Entry::Event {
            kind: kind(event, classes)?,
            event: event.clone().unbind(),
        };
        let mut evicted = Vec::new();
        let mut state = self.state();
        let has_room = state
            .queue
            .push_evicting(0, entry, |entry| evicted.push(entry));
        if !has_room && state.overflown == 0 {
            state.overflown = evicted.len();
        }
        let overflown = state.overflown;
        // Dropping events may run users' code, which may come back to this queue.
        drop(state);
        drop(evicted);
        Ok((overflown > 0).then_some(overflown))
    }

    /// The oldest event. `None` stands for those that were given up.
    fn get(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let oldest = self.state().queue.pop();
        match oldest {
            Some((_, entry)) => entry.into_event(py),
            None => Err(PyIndexError::new_err("no event waits")),
        }
    }

    /// The events that wait, oldest first, as they came: a `Lagging` event is not among them.
    fn waiting(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let state = self.state();
        let entries = state.queue.iter().filter_map(|entry| match entry {
            Entry::Event { event, .. } => Some((event.clone_ref(py), entry.texts(py))),
            Entry::Lagging(_) | Entry::TooSlow => None,
        });
        let events: Vec<_> = entries.collect();
        drop(state);
        let events = events.into_iter();
        events
            .map(|(event, texts)| joined(py, event, texts))
            .collect()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // A queue that is in use is not garbage.
        let state = match self.0.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        for entry in state.queue.iter() {
            if let Entry::Event { event, .. } = entry {
                visit.call(event)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let messages = self.state().queue.take();
        drop(messages);
    }
}
