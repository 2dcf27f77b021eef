//! Brings what was queued for a session to its Python half: sound straight to those who listen to
//! it, everything else word by word.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyException;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyInt, PyString, PyTuple, PyType, PyWeakrefReference};
use stapes_core::conversation::{Event, History};

use crate::convert;
use crate::hub::Shared;
use crate::queue::Word;

/// How far the event loop has come with a session.
#[derive(Debug, Default)]
pub struct DispatchCursor {
    sequence: AtomicU64,
    history: Mutex<History>,
    /// Somebody listens to versions of the history; else they only have to be known here.
    wants_history: AtomicBool,
}

impl DispatchCursor {
    /// The sequence number of what was dispatched last.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// The version that was dispatched last.
    pub fn history(&self) -> History {
        lock(&self.history).clone()
    }

    pub fn want_history(&self, wanted: bool) {
        self.wants_history.store(wanted, Ordering::Release);
    }

    pub fn wants_history(&self) -> bool {
        self.wants_history.load(Ordering::Acquire)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The way to a session's Python half.
#[derive(Debug)]
pub struct Route {
    cursor: Arc<DispatchCursor>,
    /// Takes words.
    dispatcher: Py<PyAny>,
    /// Calls in the session's context.
    run: Py<PyAny>,
    /// The hub keeps no session alive, nor what users' callbacks hold.
    listeners: Py<PyWeakrefReference>,
    named: Mutex<Option<Named>>,
}

/// The ids of an answer, as Rust and as Python has them: all of its sound has the same.
#[derive(Debug)]
struct Named {
    response: Arc<str>,
    item: Arc<str>,
    part: usize,
    response_id: Py<PyString>,
    item_id: Py<PyString>,
    content_index: Py<PyInt>,
}

impl Route {
    pub fn new(
        cursor: Arc<DispatchCursor>,
        dispatcher: &Bound<'_, PyAny>,
        listeners: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Ok(Self {
            cursor,
            dispatcher: dispatcher.clone().unbind(),
            run: dispatcher.getattr("run")?.unbind(),
            listeners: PyWeakrefReference::new(listeners)?.unbind(),
            named: Mutex::new(None),
        })
    }

    /// Brings one word to where it goes.
    pub fn take(&self, py: Python<'_>, hub: &Shared, sequence: u64, word: Word) -> PyResult<()> {
        if sequence != 0 {
            self.cursor.sequence.store(sequence, Ordering::Release);
        }
        match word {
            Word::Event(Event::Audio {
                response_id,
                item_id,
                content_index,
                data,
            }) => {
                let taken = self.sound(py, &response_id, &item_id, content_index, &data);
                hub.give_back(data);
                taken
            }
            Word::Event(Event::HistoryUpdated { history }) => {
                let wanted = self.cursor.wants_history().then(|| history.clone());
                *lock(&self.cursor.history) = history;
                match wanted {
                    Some(history) => self.say(py, Word::Event(Event::HistoryUpdated { history })),
                    None => Ok(()),
                }
            }
            word => self.say(py, word),
        }
    }

    fn say(&self, py: Python<'_>, word: Word) -> PyResult<()> {
        let word = convert::word(py, word)?;
        self.run.call1(py, (&self.dispatcher, word))?;
        Ok(())
    }

    /// Gives sound to each who listens to it. No connection of Python is run but theirs.
    fn sound(
        &self,
        py: Python<'_>,
        response: &Arc<str>,
        item: &Arc<str>,
        part: usize,
        data: &[u8],
    ) -> PyResult<()> {
        let Some(listeners) = self.listeners.bind(py).upgrade() else {
            return Ok(());
        };
        let heard_by = listeners.getattr(pyo3::intern!(py, "audio"))?;
        let heard_by = heard_by.cast_into::<PyTuple>()?;
        if heard_by.is_empty() {
            return Ok(());
        }
        let event = self.event(py, response, item, part, data)?;
        for listener in &heard_by {
            let (name, what) = match self.run.call1(py, (listener, &event)) {
                Ok(result) if result.is_none(py) => continue,
                Ok(result) => ("answered", result),
                Err(error) if error.is_instance_of::<PyException>(py) => {
                    ("failed", error.into_value(py).into_any())
                }
                Err(error) => return Err(error),
            };
            self.run
                .call1(py, (listeners.getattr(name)?, &event, what))?;
        }
        Ok(())
    }

    /// An `Audio` event.
    fn event<'py>(
        &self,
        py: Python<'py>,
        response: &Arc<str>,
        item: &Arc<str>,
        part: usize,
        data: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        let audio = Audio::class(py)?;
        let event = audio.bare(py)?;
        let mut named = lock(&self.named);
        let known = named.as_ref().is_some_and(|named| {
            Arc::ptr_eq(&named.response, response)
                && Arc::ptr_eq(&named.item, item)
                && named.part == part
        });
        if !known {
            *named = None;
        }
        let named = named.get_or_insert_with(|| Named {
            response: Arc::clone(response),
            item: Arc::clone(item),
            part,
            response_id: PyString::new(py, response).unbind(),
            item_id: PyString::new(py, item).unbind(),
            content_index: PyInt::new(py, part).unbind(),
        });
        Audio::set(&event, &audio.data, &PyBytes::new(py, data))?;
        Audio::set(&event, &audio.response_id, named.response_id.bind(py))?;
        Audio::set(&event, &audio.item_id, named.item_id.bind(py))?;
        Audio::set(&event, &audio.content_index, named.content_index.bind(py))?;
        Ok(event)
    }
}

/// The class `stapes.Audio`, a frozen dataclass with slots. Its events are made here without its
/// `__init__`, which takes longer than everything else that is done for a piece of sound.
#[derive(Debug)]
struct Audio {
    class: Py<PyType>,
    data: Py<PyString>,
    response_id: Py<PyString>,
    item_id: Py<PyString>,
    content_index: Py<PyString>,
}

static AUDIO: PyOnceLock<Audio> = PyOnceLock::new();

impl Audio {
    fn class(py: Python<'_>) -> PyResult<&Self> {
        AUDIO.get_or_try_init(py, || {
            let class = py.import("stapes.events")?.getattr("Audio")?;
            let name = |name: &str| PyString::intern(py, name).unbind();
            Ok(Self {
                class: class.cast_into::<PyType>()?.unbind(),
                data: name("data"),
                response_id: name("response_id"),
                item_id: name("item_id"),
                content_index: name("content_index"),
            })
        })
    }

    /// An instance with nothing in its slots.
    fn bare<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: `class` is a type that is alive, the GIL is held, and instances of a dataclass are
        // allocated by the generic allocator; it gives a new reference or sets an error.
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_GenericAlloc(class, 0)) }
    }

    /// Fills a slot, past the `__setattr__` that freezes the class.
    fn set<T>(event: &Bound<'_, PyAny>, name: &Py<PyString>, value: &Bound<'_, T>) -> PyResult<()> {
        // SAFETY: all three are alive and the GIL is held; the function takes references of its own.
        let done =
            unsafe { ffi::PyObject_GenericSetAttr(event.as_ptr(), name.as_ptr(), value.as_ptr()) };
        if done == 0 {
            Ok(())
        } else {
            Err(PyErr::fetch(event.py()))
        }
    }
}
