//! `stapes.events.Audio` events, made without the cost of their `__init__`.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyInt, PyString, PyType};

/// Makes the audio events of a session.
#[derive(Debug, Default)]
pub struct AudioEvents(Mutex<Option<Part>>);

/// The part that audio belongs to, as Rust and as Python have it: many events in a row share it.
#[derive(Debug)]
struct Part {
    response: Arc<str>,
    item: Arc<str>,
    index: usize,
    response_id: Py<PyString>,
    item_id: Py<PyString>,
    content_index: Py<PyInt>,
}

impl Part {
    fn new(py: Python<'_>, response: &Arc<str>, item: &Arc<str>, index: usize) -> Self {
        Self {
            response: Arc::clone(response),
            item: Arc::clone(item),
            index,
            response_id: PyString::new(py, response).unbind(),
            item_id: PyString::new(py, item).unbind(),
            content_index: PyInt::new(py, index).unbind(),
        }
    }

    fn is(&self, response: &Arc<str>, item: &Arc<str>, index: usize) -> bool {
        Arc::ptr_eq(&self.response, response)
            && Arc::ptr_eq(&self.item, item)
            && self.index == index
    }
}

impl AudioEvents {
    pub fn event<'py>(
        &self,
        py: Python<'py>,
        response: &Arc<str>,
        item: &Arc<str>,
        index: usize,
        data: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        let audio = Audio::class(py)?;
        let event = audio.bare(py)?;
        let mut part = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !part
            .as_ref()
            .is_some_and(|part| part.is(response, item, index))
        {
            *part = None;
        }
        let part = part.get_or_insert_with(|| Part::new(py, response, item, index));
        Audio::set(&event, &audio.data, &PyBytes::new(py, data))?;
        Audio::set(&event, &audio.response_id, part.response_id.bind(py))?;
        Audio::set(&event, &audio.item_id, part.item_id.bind(py))?;
        Audio::set(&event, &audio.content_index, part.content_index.bind(py))?;
        Ok(event)
    }
}

/// The class, a frozen dataclass with slots, and the names of its slots.
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

    /// An instance with empty slots.
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
