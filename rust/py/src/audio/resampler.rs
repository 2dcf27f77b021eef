//! The streaming resampler.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt as _;
use stapes_core::audio::Sample;
use stapes_core::audio::resample::{Channels, Resampler as Core};

use super::output::{self, Output};
use super::samples::Samples;
use super::{detached, unsigned};

/// Converts one stream of sound to another sample rate.
///
/// The output does not depend on how the input is split into chunks, bit for bit. It is
/// aligned with the input and, after `flush`, as long as the input; the output of the first
/// chunk is therefore shorter than its input, by `delay` seconds. Use one object per stream;
/// calls from several threads are serialised.
///
/// Args:
///     from_rate: Samples per second of the input, 4000 to 192000.
///     to_rate: Samples per second of the output, 4000 to 192000.
///     channels: 1, or 2 for interleaved stereo input, which is averaged. The output is mono.
///     output: The output of `process` and `flush`: "bytes" (16-bit little-endian PCM), "int16"
///         or "float32" (numpy arrays; floats in -1.0..=1.0). 16-bit output is rounded to
///         nearest and saturates.
///
/// Raises:
///     ValueError: A rate is out of range, the two have too small a common divisor, or
///         `channels` or `output` has another value.
#[pyclass(frozen, generic, module = "stapes.audio")]
#[derive(Debug)]
pub struct Resampler {
    core: Mutex<Core>,
    output: Output,
}

#[pymethods]
impl Resampler {
    #[new]
    #[pyo3(signature = (from_rate, to_rate, *, channels = 1, output = "bytes"))]
    fn new(
        from_rate: &Bound<'_, PyAny>,
        to_rate: &Bound<'_, PyAny>,
        channels: i64,
        output: &str,
    ) -> PyResult<Self> {
        let channels = match channels {
            1 => Channels::Mono,
            2 => Channels::Stereo,
            other => {
                return Err(PyValueError::new_err(format!(
                    "channels is {other}: expected 1 or 2"
                )));
            }
        };
        let (from, to) = (
            unsigned(from_rate, "from_rate")?,
            unsigned(to_rate, "to_rate")?,
        );
        let core = Core::with_channels(from, to, channels)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self {
            core: Mutex::new(core),
            output: Output::parse(output)?,
        })
    }

    /// Resamples a chunk of any length.
    ///
    /// Args:
    ///     samples: Bytes-like 16-bit little-endian PCM, or an array of int16 or of float32 in
    ///         -1.0..=1.0. Shape `(n,)`; with two channels interleaved `(2n,)` or `(n, 2)`.
    ///
    /// Returns:
    ///     The samples that are complete, in the type chosen by `output`.
    ///
    /// Raises:
    ///     TypeError: `samples` has another type.
    ///     ValueError: It has an odd number of bytes, half a frame, another shape, NaN or
    ///         infinity.
    fn process<'py>(
        &self,
        py: Python<'py>,
        samples: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut core = self.lock(py);
        let core = &mut *core;
        let channels = match core.channels() {
            Channels::Mono => 1,
            Channels::Stereo => 2,
        };
        let samples = Samples::extract(samples, "samples", channels)?;
        let length = core.output_len(samples.len());
        match self.output {
            Output::Bytes => output::pcm_bytes(py, length, |out| run(py, core, &samples, out)),
            Output::Int16 => output::array::<i16>(py, length, |out| {
                run(py, core, &samples, out);
            }),
            Output::Float32 => output::array::<f32>(py, length, |out| {
                run(py, core, &samples, out);
            }),
        }
    }

    /// Ends the stream and returns the samples held back. The next chunk begins a new stream.
    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut core = self.lock(py);
        let length = core.flush_len();
        match self.output {
            Output::Bytes => output::pcm_bytes(py, length, |out| core.flush_into(out)),
            Output::Int16 => output::array::<i16>(py, length, |out| core.flush_into(out)),
            Output::Float32 => output::array::<f32>(py, length, |out| core.flush_into(out)),
        }
    }

    /// Drops the stream: the next chunk begins a new one.
    fn reset(&self, py: Python<'_>) {
        self.lock(py).reset();
    }

    /// The duration of the sound that is held back until `flush`, in seconds.
    #[getter]
    fn delay(&self, py: Python<'_>) -> f64 {
        self.lock(py).delay()
    }

    /// Samples per second of the input.
    #[getter]
    #[expect(
        clippy::wrong_self_convention,
        reason = "named after the constructor's argument"
    )]
    fn from_rate(&self, py: Python<'_>) -> u32 {
        self.lock(py).from_rate()
    }

    /// Samples per second of the output.
    #[getter]
    fn to_rate(&self, py: Python<'_>) -> u32 {
        self.lock(py).to_rate()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let core = self.lock(py);
        let channels = match core.channels() {
            Channels::Mono => "",
            Channels::Stereo => ", channels=2",
        };
        let (from, to, output) = (core.from_rate(), core.to_rate(), self.output.name());
        format!("Resampler({from}, {to}{channels}, output='{output}')")
    }
}

impl Resampler {
    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, Core> {
        self.core
            .lock_py_attached(py)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn run<O: Sample>(py: Python<'_>, core: &mut Core, samples: &Samples<'_>, out: &mut [O]) {
    detached(py, samples.len().max(out.len()), || match samples {
        Samples::Int16(samples) => core.process_into(samples, out),
        Samples::Float32(samples) => core.process_into(samples, out),
    });
}
