//! The user's audio on its way into a session.

use std::borrow::Cow;

use pyo3::prelude::*;
use stapes_core::audio::AudioFormat;
use stapes_core::delivery::process::Process;
use stapes_core::session::{AudioInput, Recording, Stream};

use crate::audio::samples::{self, Samples};

/// Audio that was read out of a Python object.
#[derive(Debug)]
pub enum PyAudio<'a> {
    Samples(Cow<'a, [i16]>),
    /// In the format of the wire.
    Wire(Cow<'a, [u8]>),
}

impl<'a> PyAudio<'a> {
    /// Reads PCM where there is a `sample_rate` or the wire has PCM, else bytes of the wire's `format`.
    ///
    /// It is read outside of every lock: reading a buffer may run Python code, and who waits for the lock
    /// may hold the GIL meanwhile.
    pub fn read(
        audio: &'a Bound<'_, PyAny>,
        sample_rate: Option<u32>,
        format: AudioFormat,
    ) -> PyResult<Self> {
        if sample_rate.is_some() || matches!(format, AudioFormat::Pcm { .. }) {
            Samples::mono(audio, "audio").map(|samples| Self::Samples(samples.into_int16()))
        } else {
            samples::bytes(audio, "audio").map(Self::Wire)
        }
    }

    pub fn input(&self, sample_rate: Option<u32>) -> AudioInput<'_> {
        match self {
            Self::Samples(samples) => AudioInput::Samples(samples, sample_rate),
            Self::Wire(bytes) => AudioInput::Wire(bytes),
        }
    }

    pub fn into_recording(self, sample_rate: Option<u32>) -> Recording {
        match self {
            Self::Samples(samples) => Recording::Samples(samples.into(), sample_rate),
            Self::Wire(bytes) => Recording::Wire(bytes.into()),
        }
    }
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
