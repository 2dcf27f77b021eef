//! Levels: root mean square and peak.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt as _;
use stapes_core::audio::level as core;

use super::samples::Samples;
use super::{detached, unsigned};

/// A level: root mean square and largest magnitude, on the scale where 1.0 is full scale.
#[pyclass(frozen, eq, module = "stapes.audio")]
#[derive(Debug, PartialEq)]
pub struct Level(core::Level);

#[pymethods]
impl Level {
    /// Root mean square; a full-scale sine has 0.707.
    #[getter]
    fn rms(&self) -> f32 {
        self.0.rms
    }

    /// The largest magnitude.
    #[getter]
    fn peak(&self) -> f32 {
        self.0.peak
    }

    /// `rms` in decibels relative to full scale; minus infinity for silence.
    #[getter]
    fn rms_dbfs(&self) -> f32 {
        core::dbfs(self.0.rms)
    }

    /// `peak` in decibels relative to full scale; minus infinity for silence.
    #[getter]
    fn peak_dbfs(&self) -> f32 {
        core::dbfs(self.0.peak)
    }

    fn __repr__(&self) -> String {
        let (rms, peak) = (self.rms_dbfs(), self.peak_dbfs());
        format!("Level(rms={rms:.1} dBFS, peak={peak:.1} dBFS)")
    }
}

/// Measures the level of samples.
///
/// Args:
///     samples: Bytes-like 16-bit little-endian PCM, or an `(n,)` or `(n, 1)` array of int16 or
///         of float32 in -1.0..=1.0. No samples count as silence.
///
/// Raises:
///     TypeError: `samples` has another type.
///     ValueError: It has an odd number of bytes, another shape, NaN or infinity.
#[pyfunction]
pub fn level(samples: &Bound<'_, PyAny>) -> PyResult<Level> {
    let py = samples.py();
    let samples = Samples::mono(samples, "samples")?;
    Ok(Level(detached(py, samples.len(), || match &samples {
        Samples::Int16(samples) => core::Level::of(samples),
        Samples::Float32(samples) => core::Level::of(samples),
    })))
}

/// Measures the level of a stream, like a level meter.
///
/// The mean square is averaged over about `integration` seconds; the peak jumps up at once
/// and falls by `fall` decibels per second. The levels do not depend on how the stream is
/// split into chunks.
///
/// Args:
///     sample_rate: Samples per second.
///     integration: Time constant of the mean, in seconds.
///     fall: How fast the peak falls, in decibels per second.
///
/// Raises:
///     ValueError: `sample_rate` or `integration` is not positive, or `fall` is negative.
#[pyclass(frozen, module = "stapes.audio")]
#[derive(Debug)]
pub struct LevelMeter(Mutex<core::LevelMeter>);

#[pymethods]
impl LevelMeter {
    #[new]
    #[pyo3(signature = (sample_rate, *, integration = 0.3, fall = 20.0))]
    fn new(sample_rate: &Bound<'_, PyAny>, integration: f64, fall: f64) -> PyResult<Self> {
        let sample_rate = unsigned(sample_rate, "sample_rate")?;
        let meter = core::LevelMeter::new(sample_rate, integration, fall)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self(Mutex::new(meter)))
    }

    /// Processes a mono chunk of any length and returns the level at its end.
    ///
    /// Raises:
    ///     TypeError: `samples` is neither bytes-like nor an array of int16 or float32.
    ///     ValueError: It has an odd number of bytes, another shape, NaN or infinity.
    fn process(&self, py: Python<'_>, samples: &Bound<'_, PyAny>) -> PyResult<Level> {
        let samples = Samples::mono(samples, "samples")?;
        let mut meter = self
            .0
            .lock_py_attached(py)
            .unwrap_or_else(PoisonError::into_inner);
        let meter = &mut *meter;
        Ok(Level(detached(py, samples.len(), || match &samples {
            Samples::Int16(samples) => meter.process(samples),
            Samples::Float32(samples) => meter.process(samples),
        })))
    }
}
