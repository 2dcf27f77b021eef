//! Versions of the history, and the values of which records are made: their items as the classes of
//! `stapes.items`, among others.

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyIndexError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PySlice, PyString, PyTuple};
use stapes_core::conversation::{ContentPart, FieldValue, History as Version, Item};

use crate::errors;
use crate::record::Classes;

/// What `stapes.items` has.
pub struct ItemClasses {
    items: Classes,
    parts: Classes,
    unset: Py<PyAny>,
}

static ITEMS: PyOnceLock<ItemClasses> = PyOnceLock::new();

/// Looks the classes up, once.
pub fn items(py: Python<'_>) -> PyResult<&ItemClasses> {
    ITEMS.get_or_try_init(py, || {
        let module = py.import("stapes.items")?;
        let unset = module.getattr("UNSET")?.unbind();
        let modules = [module];
        Ok(ItemClasses {
            items: Classes::find::<Item>(&modules)?,
            parts: Classes::find::<ContentPart>(&modules)?,
            unset,
        })
    })
}

/// A value of a record.
pub fn value<'py>(py: Python<'py>, value: FieldValue<'_>) -> PyResult<Bound<'py, PyAny>> {
    match value {
        FieldValue::Nothing => Ok(py.None().into_bound(py)),
        FieldValue::Text(text) => Ok(PyString::new(py, text).into_any()),
        FieldValue::Bytes(bytes) => bytes.into_bound_py_any(py),
        FieldValue::Number(number) => number.into_bound_py_any(py),
        FieldValue::Flag(flag) => flag.into_bound_py_any(py),
        FieldValue::Seconds(seconds) => seconds.into_bound_py_any(py),
        FieldValue::Json(value) => value.to_string().into_bound_py_any(py),
        FieldValue::Data(value) => {
            let json = py.import("json")?;
            json.call_method1("loads", (value.to_string(),))
        }
        FieldValue::Unset => Ok(items(py)?.unset.bind(py).clone()),
        FieldValue::Item(one) => item(py, one),
        FieldValue::Parts(parts) => {
            let classes = &items(py)?.parts;
            let parts = parts.iter();
            let parts = parts.map(|part| classes.make(py, part, |field| self::value(py, field)));
            let parts = parts.collect::<PyResult<Vec<_>>>()?;
            Ok(PyTuple::new(py, parts)?.into_any())
        }
        FieldValue::History(version) => History(version.clone()).into_bound_py_any(py),
        FieldValue::Error(error) => {
            let error = errors::exception(error).into_value(py);
            error.into_bound_py_any(py)
        }
    }
}

fn item<'py>(py: Python<'py>, item: &Item) -> PyResult<Bound<'py, PyAny>> {
    items(py)?.items.make(py, item, |field| value(py, field))
}

/// One version of the history: a sequence of items, made when they are looked at.
#[pyclass(frozen, sequence, module = "stapes._core")]
#[derive(Debug)]
pub struct History(pub Version);

impl History {
    fn list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let items = self.0.iter().map(|found| item(py, found));
        PyList::new(py, items.collect::<PyResult<Vec<_>>>()?)
    }
}

#[pymethods]
impl History {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (py, len) = (index.py(), self.0.len() as isize);
        let found = |at: isize| usize::try_from(at).ok().and_then(|at| self.0.get(at));
        if let Ok(slice) = index.cast::<PySlice>() {
            let bounds = slice.indices(len)?;
            let all = (0..bounds.slicelength as isize).map(|n| bounds.start + n * bounds.step);
            let items = all.filter_map(found).map(|found| item(py, found));
            let items = PyList::new(py, items.collect::<PyResult<Vec<_>>>()?)?;
            return Ok(items.into_any());
        }
        let index: isize = index.extract()?;
        let at = if index < 0 { index + len } else { index };
        match found(at) {
            Some(found) => item(py, found),
            None => Err(PyIndexError::new_err("history index out of range")),
        }
    }

    /// It is copied and pickled as a list of its items.
    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyList>,))> {
        let list = py.get_type::<PyList>().into_any();
        Ok((list, (self.list(py)?,)))
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: it is a sequence that is alive, and the GIL is held; the function takes a reference of
        // its own, and gives a new one or sets an error.
        unsafe { Bound::from_owned_ptr_or_err(slf.py(), ffi::PySeqIter_New(slf.as_ptr())) }
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        if let Ok(other) = other.cast::<Self>() {
            return Ok(self.0 == other.get().0);
        }
        match other.cast::<PyList>() {
            Ok(other) if other.len() == self.0.len() => other.eq(self.list(other.py())?),
            _ => Ok(false),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("History({})", self.list(py)?.repr()?))
    }
}
