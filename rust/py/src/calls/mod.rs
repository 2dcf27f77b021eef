//! `stapes._core.calls`: the bindings of the caller's end.

#![allow(
    clippy::doc_markdown,
    reason = "the exported items have Python docstrings"
)]

mod security;

use pyo3::prelude::*;

/// Adds the submodule `calls` and makes it importable by its full name.
pub fn register(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = parent.py();
    let module = PyModule::new(py, "calls")?;
    security::register(&module)?;
    parent.add_submodule(&module)?;
    // The import system finds no submodules of an extension module: it has no `__path__`.
    let name = format!("{}.calls", parent.name()?);
    module.setattr("__name__", &name)?;
    py.import("sys")?.getattr("modules")?.set_item(name, module)
}
