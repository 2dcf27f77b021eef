//! `stapes._core.audio`: the bindings of the audio core. Conversion only; the core does the processing.

#![allow(
    clippy::doc_markdown,
    reason = "the exported items have Python docstrings"
)]

mod base64;
mod g711;
mod level;
mod opus;
mod output;
pub mod recording;
mod resampler;
pub mod samples;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// Adds the submodule `audio` and makes it importable by its full name.
pub fn register(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = parent.py();
    let module = PyModule::new(py, "audio")?;
    module.add_class::<recording::Recording>()?;
    module.add_class::<resampler::Resampler>()?;
    module.add_class::<opus::OpusEncoder>()?;
    module.add_class::<opus::OpusDecoder>()?;
    module.add_class::<level::Level>()?;
    module.add_class::<level::LevelMeter>()?;
    module.add_function(wrap_pyfunction!(level::level, &module)?)?;
    module.add_function(wrap_pyfunction!(g711::mulaw_encode, &module)?)?;
    module.add_function(wrap_pyfunction!(g711::mulaw_decode, &module)?)?;
    module.add_function(wrap_pyfunction!(g711::alaw_encode, &module)?)?;
    module.add_function(wrap_pyfunction!(g711::alaw_decode, &module)?)?;
    module.add_function(wrap_pyfunction!(base64::base64_encode, &module)?)?;
    module.add_function(wrap_pyfunction!(base64::base64_decode, &module)?)?;
    parent.add_submodule(&module)?;
    // The import system finds no submodules of an extension module: it has no `__path__`.
    let name = format!("{}.audio", parent.name()?);
    module.setattr("__name__", &name)?;
    py.import("sys")?.getattr("modules")?.set_item(name, module)
}

/// Up to this many samples the work takes less time than releasing and taking the GIL.
const DETACH_ABOVE: usize = 4096;

/// Runs `work` on `samples` samples, without the GIL if there are many.
fn detached<R: Send>(py: Python<'_>, samples: usize, work: impl FnOnce() -> R + Send) -> R {
    if samples > DETACH_ABOVE {
        py.detach(work)
    } else {
        work()
    }
}

/// An integer argument that must fit `u32`, with errors that name it.
fn unsigned(value: &Bound<'_, PyAny>, argument: &str) -> PyResult<u32> {
    match value.extract::<i128>() {
        Ok(number) => u32::try_from(number)
            .map_err(|_| PyValueError::new_err(format!("{argument} is {number}: out of range"))),
        Err(error) if error.is_instance_of::<PyTypeError>(value.py()) => Err(PyTypeError::new_err(
            format!("{argument} must be an int, not {}", kind(value)?),
        )),
        Err(_) => Err(PyValueError::new_err(format!(
            "{argument} is {value}: out of range"
        ))),
    }
}

/// The name of an object's type, for messages.
fn kind(value: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(value.get_type().name()?.to_string())
}
