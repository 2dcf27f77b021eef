//! A sound that many sessions may send.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use stapes_core::session::Recording as Sound;

use super::samples::Samples;
use super::unsigned;

/// A sound to be streamed: mono, held once in Rust for all the sessions that stream it.
///
/// Args:
///     audio: Bytes-like 16-bit little-endian PCM, or an array of int16 or of float32 in
///         -1.0..=1.0. It is copied.
///     sample_rate: Samples per second, 4000 to 192000.
///
/// Raises:
///     ValueError: An odd number of bytes, or a rate out of range.
///     TypeError: `audio` is none of the above.
#[pyclass(frozen, module = "stapes.audio")]
#[derive(Debug)]
pub struct Recording {
    samples: Arc<[i16]>,
    rate: u32,
}

impl Recording {
    pub fn sound(&self) -> Sound {
        Sound::Samples(Arc::clone(&self.samples), Some(self.rate))
    }
}

#[pymethods]
impl Recording {
    #[new]
    #[pyo3(signature = (audio, *, sample_rate))]
    fn new(audio: &Bound<'_, PyAny>, sample_rate: &Bound<'_, PyAny>) -> PyResult<Self> {
        let rate = unsigned(sample_rate, "sample_rate")?;
        if !(4_000..=192_000).contains(&rate) {
            return Err(PyValueError::new_err(format!(
                "sample_rate is {rate} Hz: expected 4000 to 192000 samples per second"
            )));
        }
        let samples = Samples::mono(audio, "audio")?.into_int16().into();
        Ok(Self { samples, rate })
    }

    /// Samples per second.
    #[getter]
    fn sample_rate(&self) -> u32 {
        self.rate
    }

    /// How long it is, in seconds.
    #[getter]
    fn duration(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }

    fn __repr__(&self) -> String {
        let (seconds, rate) = (self.duration(), self.rate);
        format!("Recording({seconds:.3} s, sample_rate={rate})")
    }
}
