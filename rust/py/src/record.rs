//! Frozen dataclasses of Python's, made and filled here.
//!
//! An instance is made without its `__init__`, which would take longer than everything else that is
//! done for a piece of audio. That is safe only while the fields of a class are the ones that are
//! filled: [`Class::find`] refuses a class of which that is not so.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};
use stapes_core::conversation::{FieldValue, Record, RecordType};

/// The classes of all types of a record, by their index.
#[derive(Debug)]
pub struct Classes(Vec<Class>);

impl Classes {
    /// Looks them up in `modules`.
    pub fn find<R: Record>(modules: &[Bound<'_, PyModule>]) -> PyResult<Self> {
        let types = R::TYPES.iter();
        types
            .map(|record| Class::find(modules, record))
            .collect::<PyResult<_>>()
            .map(Self)
    }

    pub fn of(&self, record: &impl Record) -> &Class {
        &self.0[record.index()]
    }

    /// An instance with the values of `record`, as `convert` makes them.
    pub fn make<'py>(
        &self,
        py: Python<'py>,
        record: &impl Record,
        mut convert: impl FnMut(FieldValue<'_>) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let class = self.of(record);
        let instance = class.empty(py)?;
        let mut index = 0;
        record.visit(|value| {
            class.set(&instance, index, &convert(value)?)?;
            index += 1;
            PyResult::Ok(())
        })?;
        Ok(instance)
    }
}

/// A dataclass with slots, and the names of its fields in the order in which they are filled.
#[derive(Debug)]
pub struct Class {
    class: Py<PyType>,
    fields: Vec<Py<PyString>>,
}

impl Class {
    /// Looks the class of that name up in the first of `modules` that has it.
    fn find(modules: &[Bound<'_, PyModule>], record: &RecordType) -> PyResult<Self> {
        let found = modules
            .iter()
            .find_map(|module| module.getattr(record.name).ok());
        let Some(class) = found else {
            return Err(PyTypeError::new_err(format!(
                "the core has messages of the kind {}, and stapes.events has no class for them",
                record.name
            )));
        };
        let py = class.py();
        let declared = py
            .import("dataclasses")?
            .call_method1("fields", (&class,))?
            .try_iter()?
            .map(|field| field?.getattr("name")?.extract())
            .collect::<PyResult<Vec<String>>>()?;
        let filled: Vec<&str> = record.fields.iter().map(|(name, _)| *name).collect();
        let same = declared.len() == filled.len()
            && declared.iter().all(|name| filled.contains(&name.as_str()));
        if !same {
            return Err(PyTypeError::new_err(format!(
                "{} has the fields {declared:?}, and the core fills {filled:?}",
                record.name
            )));
        }
        Ok(Self {
            class: class.cast_into::<PyType>()?.unbind(),
            fields: filled
                .iter()
                .map(|name| PyString::intern(py, name).unbind())
                .collect(),
        })
    }

    /// An instance whose fields are still to be filled.
    pub fn empty<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: `class` is a type that is alive, the GIL is held, and instances of a dataclass are
        // allocated by the generic allocator; it gives a new reference or sets an error.
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_GenericAlloc(class, 0)) }
    }

    /// Fills the field at `index`, past the `__setattr__` that freezes the class.
    pub fn set<T>(
        &self,
        instance: &Bound<'_, PyAny>,
        index: usize,
        value: &Bound<'_, T>,
    ) -> PyResult<()> {
        let name = self.fields[index].as_ptr();
        // SAFETY: all three are alive and the GIL is held; the function takes references of its own.
        let done = unsafe { ffi::PyObject_GenericSetAttr(instance.as_ptr(), name, value.as_ptr()) };
        if done == 0 {
            Ok(())
        } else {
            Err(PyErr::fetch(instance.py()))
        }
    }
}
