//! The `Audio` events of a session: made many times a second, so what stays the same is kept.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString};
use stapes_core::conversation::Event;

use crate::message_objects;

/// The ids of one part of an answer, as Rust and as Python has them: all of its audio has the same.
#[derive(Debug)]
struct PartIds {
    response: Arc<str>,
    item: Arc<str>,
    part: usize,
    response_id: Py<PyString>,
    item_id: Py<PyString>,
    content_index: Py<PyInt>,
}

/// Makes `stapes.events.Audio` events, and keeps the ids of the last part.
#[derive(Debug, Default)]
pub struct AudioEvents {
    last: Mutex<Option<PartIds>>,
}

impl AudioEvents {
    pub fn make<'py>(&self, py: Python<'py>, audio: &Event) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Event::Audio {
            response_id,
            item_id,
            content_index,
            data,
        } = audio
        else {
            return Ok(None);
        };
        let class = message_objects::kinds(py)?.events.of(audio);
        let event = class.empty(py)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let same = last.as_ref().is_some_and(|ids| {
            Arc::ptr_eq(&ids.response, response_id)
                && Arc::ptr_eq(&ids.item, item_id)
                && ids.part == *content_index
        });
        if !same {
            *last = None;
        }
        let ids = last.get_or_insert_with(|| PartIds {
            response: Arc::clone(response_id),
            item: Arc::clone(item_id),
            part: *content_index,
            response_id: PyString::new(py, response_id).unbind(),
            item_id: PyString::new(py, item_id).unbind(),
            content_index: PyInt::new(py, *content_index).unbind(),
        });
        // The order of the fields in the table of events.
        class.set(&event, 0, ids.response_id.bind(py))?;
        class.set(&event, 1, ids.item_id.bind(py))?;
        class.set(&event, 2, ids.content_index.bind(py))?;
        class.set(&event, 3, &PyBytes::new(py, data))?;
        Ok(Some(event))
    }
}
