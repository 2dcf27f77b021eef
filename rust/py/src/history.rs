//! Versions of the history, and their items as the classes of `stapes.items`.

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PySlice, PyTuple};
use stapes_core::conversation::{
    ContentPart, History as Version, Item, ItemKind, ItemPosition, Progress,
};

/// The classes of `stapes.items`.
struct Classes {
    message: Py<PyAny>,
    function_call: Py<PyAny>,
    mcp_call: Py<PyAny>,
    mcp_approval_request: Py<PyAny>,
    input_text: Py<PyAny>,
    input_audio: Py<PyAny>,
    input_image: Py<PyAny>,
    output_text: Py<PyAny>,
    output_audio: Py<PyAny>,
    other: Py<PyAny>,
    unset: Py<PyAny>,
}

static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();

fn classes(py: Python<'_>) -> PyResult<&Classes> {
    CLASSES.get_or_try_init(py, || {
        let module = py.import("stapes.items")?;
        let class = |name: &str| module.getattr(name).map(Bound::unbind);
        Ok(Classes {
            message: class("MessageItem")?,
            function_call: class("FunctionCallItem")?,
            mcp_call: class("McpCallItem")?,
            mcp_approval_request: class("McpApprovalRequestItem")?,
            input_text: class("InputText")?,
            input_audio: class("InputAudio")?,
            input_image: class("InputImage")?,
            output_text: class("OutputText")?,
            output_audio: class("OutputAudio")?,
            other: class("OtherPart")?,
            unset: class("UNSET")?,
        })
    })
}

fn json(py: Python<'_>, text: &str) -> PyResult<Py<PyAny>> {
    Ok(py.import("json")?.call_method1("loads", (text,))?.unbind())
}

fn part(py: Python<'_>, part: &ContentPart) -> PyResult<Py<PyAny>> {
    let classes = classes(py)?;
    match part {
        ContentPart::InputText { text } => classes.input_text.call1(py, (text,)),
        ContentPart::InputAudio { audio, transcript } => {
            classes.input_audio.call1(py, (transcript, audio))
        }
        ContentPart::InputImage { image_url, detail } => {
            classes.input_image.call1(py, (image_url, detail))
        }
        ContentPart::OutputText { text } => classes.output_text.call1(py, (text,)),
        ContentPart::OutputAudio {
            audio,
            transcript,
            heard,
        } => classes.output_audio.call1(
            py,
            (
                transcript,
                audio,
                heard.as_ref().map(|heard| heard.audio_end_ms),
                heard.as_ref().map(|heard| &heard.transcript),
            ),
        ),
        ContentPart::Other { raw } => classes.other.call1(py, (json(py, &raw.to_string())?,)),
    }
}

/// An item as its Python class.
pub fn item(py: Python<'_>, item: &Item) -> PyResult<Py<PyAny>> {
    let classes = classes(py)?;
    let id = &*item.id;
    match &item.kind {
        ItemKind::Message {
            role,
            status,
            content,
        } => {
            let parts: Vec<_> = content
                .iter()
                .map(|p| part(py, p))
                .collect::<PyResult<_>>()?;
            let position = match &item.position {
                ItemPosition::Unstated => classes.unset.clone_ref(py),
                ItemPosition::First => py.None(),
                ItemPosition::After(previous) => {
                    (**previous).into_pyobject(py)?.into_any().unbind()
                }
            };
            let status = status.map(Progress::as_str);
            let parts = PyTuple::new(py, parts)?;
            classes
                .message
                .call1(py, (id, role.as_str(), parts, status, position))
        }
        ItemKind::FunctionCall {
            call_id,
            name,
            arguments,
            output,
            status,
        } => classes
            .function_call
            .call1(py, (id, name, arguments, output, status.as_str(), call_id)),
        ItemKind::McpCall {
            wire_type,
            name,
            arguments,
            output,
            status,
        } => classes.mcp_call.call1(
            py,
            (id, name, arguments, output, status.as_str(), *wire_type),
        ),
        ItemKind::McpApprovalRequest {
            server_label,
            name,
            arguments,
            approved,
        } => {
            let arguments = serde_json::to_string(arguments).unwrap_or_default();
            classes.mcp_approval_request.call1(
                py,
                (id, server_label, name, json(py, &arguments)?, approved),
            )
        }
    }
}

/// One version of the history: a sequence of items, made when they are looked at.
#[pyclass(frozen, sequence, module = "stapes._core")]
#[derive(Debug)]
pub struct History(pub Version);

#[pymethods]
impl History {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__(&self, py: Python<'_>, index: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        if let Ok(slice) = index.cast::<PySlice>() {
            let bounds = slice.indices(self.0.len() as isize)?;
            let list = PyList::empty(py);
            let mut at = bounds.start;
            for _ in 0..bounds.slicelength {
                if let Some(found) = self.0.get(at as usize) {
                    list.append(item(py, found)?)?;
                }
                at += bounds.step;
            }
            return Ok(list.into_any().unbind());
        }
        let index: isize = index.extract()?;
        let at = if index < 0 {
            index + self.0.len() as isize
        } else {
            index
        };
        usize::try_from(at)
            .ok()
            .and_then(|at| self.0.get(at))
            .map_or_else(
                || Err(PyIndexError::new_err("history index out of range")),
                |found| item(py, found),
            )
    }

    /// It is copied and pickled as a list of its items.
    fn __reduce__(slf: Bound<'_, Self>) -> PyResult<(Bound<'_, PyAny>, (Bound<'_, PyAny>,))> {
        let list = slf.py().get_type::<PyList>().into_any();
        Ok((list.clone(), (list.call1((slf,))?,)))
    }

    fn __iter__(&self) -> HistoryIterator {
        HistoryIterator {
            history: self.0.clone(),
            at: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        if let Ok(other) = other.cast::<Self>() {
            return Ok(self.0 == other.get().0);
        }
        let Ok(other) = other.cast::<PyList>() else {
            return Ok(false);
        };
        if other.len() != self.0.len() {
            return Ok(false);
        }
        for (ours, theirs) in self.0.iter().zip(other.iter()) {
            if !theirs.eq(item(py, ours)?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let items = PyList::empty(py);
        for found in self.0.iter() {
            items.append(item(py, found)?)?;
        }
        Ok(format!("History({})", items.repr()?))
    }
}

/// Goes through one version.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct HistoryIterator {
    history: Version,
    at: std::sync::atomic::AtomicUsize,
}

#[pymethods]
impl HistoryIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let at = self.at.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.history
            .get(at)
            .map(|found| item(py, found))
            .transpose()
    }
}
