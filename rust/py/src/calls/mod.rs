//! `stapes._core.calls`: the bindings of the caller's end.

#![allow(
    clippy::doc_markdown,
    reason = "the exported items have Python docstrings"
)]

mod call;
pub mod options;
mod origins;
mod security;
mod server;

pub use call::Call;

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use stapes_core::calls::security::upgrades;
use stapes_core::calls::{CallEvent, carriers};
use stapes_core::conversation::Record as _;
use stapes_core::dispatch::DispatchProgress;

use crate::hub::Hub;
use crate::message_objects;
use crate::route::Route;

/// Has `hub` dispatch the messages of a call, or of a server, which it knows by that number.
fn dispatch(
    hub: &Hub,
    id: u64,
    progress: &Arc<DispatchProgress>,
    dispatcher: &Bound<'_, PyAny>,
    listeners: &Bound<'_, PyAny>,
) -> PyResult<()> {
    message_objects::call_kinds(dispatcher.py())?;
    hub.register(id, Route::new(progress, dispatcher, listeners)?);
    Ok(())
}

/// Adds the submodule `calls` and makes it importable by its full name.
pub fn register(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = parent.py();
    let module = PyModule::new(py, "calls")?;
    security::register(&module)?;
    module.add_class::<call::Call>()?;
    module.add_class::<server::CallServer>()?;
    module.add_class::<origins::Origins>()?;
    let types = CallEvent::TYPES.iter();
    module.add("HAS_WEBRTC", cfg!(feature = "webrtc"))?;
    module.add("MESSAGES", message_objects::table(py, types)?)?;
    module.add("CARRIERS", PyTuple::new(py, carriers::NAMES)?)?;
    module.add("PAUSING_CARRIERS", PyTuple::new(py, carriers::pausing())?)?;
    module.add("BROWSER_SUBPROTOCOL", carriers::BROWSER_SUBPROTOCOL)?;
    module.add("CHECKED_UPGRADES", PyTuple::new(py, upgrades::CARRIERS)?)?;
    parent.add_submodule(&module)?;
    // The import system finds no submodules of an extension module: it has no `__path__`.
    let name = format!("{}.calls", parent.name()?);
    module.setattr("__name__", &name)?;
    py.import("sys")?.getattr("modules")?.set_item(name, module)
}
