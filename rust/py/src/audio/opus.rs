//! Opus.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt as _;
use pyo3::types::PyBytes;
use stapes_core::audio::opus::{
    Application, EncoderSettings, MAX_PACKET, OpusDecoder as CoreDecoder,
    OpusEncoder as CoreEncoder, OpusError,
};

use super::output::{self, Output};
use super::samples::{self, Samples};
use super::unsigned;

/// Encodes one stream of mono sound to Opus packets.
///
/// The codec resamples internally: a peer that negotiated opus/48000 accepts packets of all
/// five rates. Use one object per stream; calls from several threads are serialised.
///
/// Args:
///     sample_rate: Samples per second of the input: 8000, 12000, 16000, 24000 or 48000.
///     application: The goal: "voip" (intelligible speech), "audio" (fidelity) or
///         "lowdelay" (the lowest delay, without the speech modes).
///     bitrate: Bits per second, 500 to 512000. None lets the codec choose.
///     complexity: Effort, 0 to 10. None is the codec's default.
///     fec: Whether packets carry a coarse copy of the previous packet, for
///         `OpusDecoder.recover`. It requires an `expected_loss` above zero.
///     expected_loss: The expected share of lost packets, 0 to 100 percent.
///     dtx: Whether silence is sent as packets of a byte or two.
///
/// Raises:
///     ValueError: An argument has another value.
#[pyclass(frozen, module = "stapes.audio")]
#[derive(Debug)]
pub struct OpusEncoder(Mutex<CoreEncoder>);

#[pymethods]
impl OpusEncoder {
    #[new]
    #[pyo3(signature = (
        sample_rate, *, application = "voip", bitrate = None, complexity = None, fec = false,
        expected_loss = None, dtx = false
    ))]
    fn new(
        sample_rate: &Bound<'_, PyAny>,
        application: &str,
        bitrate: Option<&Bound<'_, PyAny>>,
        complexity: Option<&Bound<'_, PyAny>>,
        fec: bool,
        expected_loss: Option<&Bound<'_, PyAny>>,
        dtx: bool,
    ) -> PyResult<Self> {
        let application = match application {
            "voip" => Application::Voip,
            "audio" => Application::Audio,
            "lowdelay" => Application::LowDelay,
            other => {
                return Err(PyValueError::new_err(format!(
                    "application is {other:?}: expected \"voip\", \"audio\" or \"lowdelay\""
                )));
            }
        };
        let settings = EncoderSettings {
            application,
            bitrate: bitrate
                .map(|value| unsigned(value, "bitrate"))
                .transpose()?,
            complexity: complexity
                .map(|value| unsigned(value, "complexity"))
                .transpose()?,
            fec,
            expected_loss: expected_loss.map_or(Ok(0), |value| unsigned(value, "expected_loss"))?,
            dtx,
        };
        let encoder = CoreEncoder::new(unsigned(sample_rate, "sample_rate")?, settings);
        Ok(Self(Mutex::new(encoder.map_err(refusal)?)))
    }

    /// Encodes a frame of 2.5, 5, 10, 20, 40 or 60 ms to one packet.
    ///
    /// Args:
    ///     samples: Bytes-like 16-bit little-endian PCM, or an `(n,)` or `(n, 1)` array of int16 or
    ///         of float32 in -1.0..=1.0.
    ///
    /// Returns:
    ///     The packet, without any framing.
    ///
    /// Raises:
    ///     TypeError: `samples` has another type.
    ///     ValueError: It has another duration, an odd number of bytes, another shape, NaN or
    ///         infinity.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        samples: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let samples = Samples::mono(samples, "samples")?;
        let mut encoder = lock(py, &self.0);
        let encoder = &mut *encoder;
        // A frame takes long enough to be worth releasing the GIL.
        let packet = py.detach(|| {
            let mut packet = Vec::with_capacity(MAX_PACKET);
            match &samples {
                Samples::Int16(samples) => encoder.encode_i16(samples, &mut packet),
                Samples::Float32(samples) => encoder.encode_f32(samples, &mut packet),
            }
            .map(|()| packet)
        });
        let packet = packet.map_err(|error| PyValueError::new_err(format!("samples: {error}")))?;
        Ok(PyBytes::new(py, &packet))
    }

    /// Samples per second of the input.
    #[getter]
    fn sample_rate(&self, py: Python<'_>) -> u32 {
        lock(py, &self.0).rate()
    }

    /// The delay of the codec, in seconds, in addition to the duration of a frame.
    #[getter]
    fn delay(&self, py: Python<'_>) -> f64 {
        lock(py, &self.0).delay()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("OpusEncoder({})", lock(py, &self.0).rate())
    }
}

/// Decodes one stream of Opus packets to mono sound.
///
/// Packets of any rate and of one or two channels are decoded to mono at `sample_rate`. Use one
/// object per stream; calls from several threads are serialised.
///
/// Args:
///     sample_rate: Samples per second of the output: 8000, 12000, 16000, 24000 or 48000.
///     output: The output of the methods: "bytes" (16-bit little-endian PCM), "int16" or
///         "float32" (numpy arrays; floats in -1.0..=1.0, which may overshoot).
///
/// Raises:
///     ValueError: An argument has another value.
#[pyclass(frozen, generic, module = "stapes.audio")]
#[derive(Debug)]
pub struct OpusDecoder {
    core: Mutex<CoreDecoder>,
    output: Output,
}

#[pymethods]
impl OpusDecoder {
    #[new]
    #[pyo3(signature = (sample_rate, *, output = "bytes"))]
    fn new(sample_rate: &Bound<'_, PyAny>, output: &str) -> PyResult<Self> {
        let decoder = CoreDecoder::new(unsigned(sample_rate, "sample_rate")?).map_err(refusal)?;
        Ok(Self {
            core: Mutex::new(decoder),
            output: Output::parse(output)?,
        })
    }

    /// Decodes one packet.
    ///
    /// Args:
    ///     packet: Bytes-like, without any framing.
    ///
    /// Returns:
    ///     Its 2.5 to 120 ms of sound, in the type chosen by `output`.
    ///
    /// Raises:
    ///     TypeError: `packet` is not bytes-like.
    ///     ValueError: `packet` is not valid Opus. The stream continues with the next packet.
    fn decode<'py>(
        &self,
        py: Python<'py>,
        packet: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let packet = samples::bytes(packet, "packet")?;
        self.run(
            py,
            |decoder, out| decoder.decode_i16(&packet, out),
            |decoder, out| decoder.decode_f32(&packet, out),
        )
    }

    /// Conceals a lost packet.
    ///
    /// Args:
    ///     duration: Its duration, in seconds: 0.0025 to 0.12 in steps of 0.0025. None takes the
    ///         duration of the previous packet.
    ///
    /// Raises:
    ///     ValueError: `duration` has another value.
    #[pyo3(signature = (duration = None))]
    fn conceal<'py>(&self, py: Python<'py>, duration: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        self.run(
            py,
            |decoder, out| decoder.conceal_i16(lost(decoder, duration), out),
            |decoder, out| decoder.conceal_f32(lost(decoder, duration), out),
        )
    }

    /// Decodes a lost packet from the copy in the next one, or conceals it without one.
    ///
    /// Args:
    ///     next_packet: The packet after the lost one. Decode it afterwards as usual.
    ///     duration: The duration of the lost packet, in seconds, as for `conceal`.
    ///
    /// Raises:
    ///     TypeError: `next_packet` is not bytes-like.
    ///     ValueError: `next_packet` is not valid Opus, or `duration` has another value.
    #[pyo3(signature = (next_packet, duration = None))]
    fn recover<'py>(
        &self,
        py: Python<'py>,
        next_packet: &Bound<'py, PyAny>,
        duration: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let next = samples::bytes(next_packet, "next_packet")?;
        self.run(
            py,
            |decoder, out| decoder.recover_i16(lost(decoder, duration), &next, out),
            |decoder, out| decoder.recover_f32(lost(decoder, duration), &next, out),
        )
    }

    /// Samples per second of the output.
    #[getter]
    fn sample_rate(&self, py: Python<'_>) -> u32 {
        lock(py, &self.core).rate()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!(
            "OpusDecoder({}, output='{}')",
            lock(py, &self.core).rate(),
            self.output.name()
        )
    }
}

impl OpusDecoder {
    fn run<'py>(
        &self,
        py: Python<'py>,
        integers: impl FnOnce(&mut CoreDecoder, &mut Vec<i16>) -> Result<(), OpusError> + Send,
        floats: impl FnOnce(&mut CoreDecoder, &mut Vec<f32>) -> Result<(), OpusError> + Send,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut decoder = lock(py, &self.core);
        let decoder = &mut *decoder;
        match self.output {
            Output::Float32 => {
                let mut out = Vec::new();
                py.detach(|| floats(decoder, &mut out)).map_err(refusal)?;
                output::array::<f32>(py, out.len(), |place| place.copy_from_slice(&out))
            }
            Output::Bytes | Output::Int16 => {
                let mut out: Vec<i16> = Vec::new();
                py.detach(|| integers(decoder, &mut out)).map_err(refusal)?;
                let fill = |place: &mut [i16]| place.copy_from_slice(&out);
                match self.output {
                    Output::Bytes => output::pcm_bytes(py, out.len(), fill),
                    _ => output::array::<i16>(py, out.len(), fill),
                }
            }
        }
    }
}

/// The duration of a lost packet in samples. An invalid duration becomes a length that the decoder
/// refuses.
fn lost(decoder: &CoreDecoder, duration: Option<f64>) -> usize {
    duration.map_or(decoder.last_duration(), |seconds| {
        (seconds * f64::from(decoder.rate())).round() as usize
    })
}

fn lock<'m, T: Send>(py: Python<'_>, mutex: &'m Mutex<T>) -> MutexGuard<'m, T> {
    mutex
        .lock_py_attached(py)
        .unwrap_or_else(PoisonError::into_inner)
}

fn refusal(error: OpusError) -> PyErr {
    PyValueError::new_err(match error {
        OpusError::LossLength { samples, rate } => {
            let seconds = samples as f64 / f64::from(rate);
            format!("duration is {seconds} s: expected 0.0025 to 0.12 in steps of 0.0025")
        }
        error => error.to_string(),
    })
}
