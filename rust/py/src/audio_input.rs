//! The user's audio on its way into a session.

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use stapes_core::audio::{AudioFormat, resample};
use stapes_core::delivery::process::Process;
use stapes_core::session::{self, Sound, Stream};

use crate::audio::recording::Recording;
use crate::audio::samples::{self, Samples};

/// The argument `sample_rate`. A number that does not even fit is refused as others that are out of range.
pub fn sample_rate(value: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
    let rate = value.extract::<Option<u32>>();
    rate.map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            let (least, most) = (resample::RATES.start(), resample::RATES.end());
            PyValueError::new_err(format!(
                "sample_rate is {value} Hz: expected {least} to {most} samples per second"
            ))
        } else {
            error
        }
    })
}

/// Reads PCM where there is a `sample_rate` or the wire has PCM, else bytes of the wire's `format`.
///
/// It is read outside of every lock: reading a buffer may run Python code, and who waits for the lock
/// may hold the GIL meanwhile.
pub fn read<'a>(
    audio: &'a Bound<'_, PyAny>,
    sample_rate: Option<u32>,
    format: AudioFormat,
) -> PyResult<Sound<'a>> {
    if sample_rate.is_some() || matches!(format, AudioFormat::Pcm { .. }) {
        let samples = Samples::mono(audio, "audio")?.into_int16();
        Ok(Sound::Samples(samples, sample_rate))
    } else {
        samples::bytes(audio, "audio").map(Sound::Wire)
    }
}

/// Reads the same to be kept; a `stapes.audio.Recording` is shared.
pub fn read_recording(
    audio: &Bound<'_, PyAny>,
    sample_rate: Option<u32>,
    format: AudioFormat,
) -> PyResult<session::Recording> {
    if let Ok(recording) = audio.cast::<Recording>() {
        return Ok(recording.get().sound());
    }
    Ok(read(audio, sample_rate, format)?.into_recording())
}

/// Recorded audio that is being streamed.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct AudioStream {
    pub stream: Stream,
    pub process: Process,
}

#[pymethods]
impl AudioStream {
    /// Sends nothing more of it.
    fn cancel(&self) {
        // In a child of a fork nothing is sent of it, and its lock may be held for ever.
        if self.process.is_current() {
            self.stream.cancel();
        }
    }
}
