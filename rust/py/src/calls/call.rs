//! A call.

use std::sync::Arc;

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use stapes_core::audio::AudioFormat;
use stapes_core::calls::carriers::{self, CarrierOptions};
use stapes_core::calls::{self, UnsentMessage};
use stapes_core::dispatch::DispatchedCall;
use stapes_core::session::{Clock, Recording, SendAudioError};
use stapes_core::transport::{CloseReason, Frame, Outgoing, SoundStats};

use super::options::CallOptions;
use crate::audio_input;
use crate::errors::Outcome;
use crate::hub::Hub;
use crate::options::seconds;

/// Bytes of messages that are taken at once.
const BATCH: usize = 64 * 1024;

/// What a started call is: id, stream, caller, callee, direction, parameters as JSON, format, rate.
type About = (
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    String,
    &'static str,
    u32,
);

/// Packets sent, received, lost and late, the share that was concealed, seconds that are missing, the delay
/// aimed at and that of the last packet.
type Sound = (u64, u64, u64, u64, f64, f64, f64, f64, u32, f64, f64, u64);

/// What a carrier's wire does not tell: the format, and whether PCM is big endian.
pub type Wire = (Option<(String, Option<u32>)>, bool);

pub fn carrier_options((format, is_big_endian): Wire) -> Outcome<CarrierOptions> {
    let format = format.map(|(kind, rate)| AudioFormat::from_wire(&kind, rate));
    Ok(CarrierOptions {
        format: format.transpose()?,
        is_big_endian,
    })
}

/// The caller's end of a call.
#[pyclass(frozen, module = "stapes._core.calls")]
#[derive(Debug)]
pub struct Call(pub Arc<DispatchedCall>);

#[pymethods]
impl Call {
    /// A call whose frames somebody else carries. `options` is a `stapes.calls.CallOptions`; `wire` is what
    /// the carrier does not tell: the format, `(type, rate)`, and whether PCM is big endian. The carrier
    /// `"webrtc"` is a page whose offer `answer` answers, and whose frames Rust carries.
    #[new]
    #[pyo3(signature = (hub, carrier, options, *, wire=(None, false), virtual_clock=false))]
    fn new(
        hub: &Hub,
        carrier: &str,
        options: &Bound<'_, PyAny>,
        wire: Wire,
        virtual_clock: bool,
    ) -> Outcome<Self> {
        let wire = carrier_options(wire)?;
        let options = CallOptions::read(options, calls::CallOptions::default())?;
        let clock = virtual_clock.then(Clock::stopped).unwrap_or_default();
        #[cfg(feature = "webrtc")]
        if carrier == "webrtc" {
            let call = DispatchedCall::offered(&hub.queues, options, clock)?;
            return Ok(Self(Arc::new(call)));
        }
        let codec = carriers::by_name(carrier, wire).ok_or_else(|| unknown_carrier(carrier))?;
        let call = DispatchedCall::external(&hub.queues, codec, options, clock)?;
        Ok(Self(Arc::new(call)))
    }

    /// Answers an offer (SDP) from `local`, or the addresses of `options`, a
    /// `stapes.calls.WebRTCCallOptions`. The message `CallAnswered` has the answer.
    #[cfg(feature = "webrtc")]
    fn answer(&self, offer: String, local: &str, options: &Bound<'_, PyAny>) -> Outcome<()> {
        let ip = local.parse().map_err(|_| {
            PyValueError::new_err(format!("local is {local:?}: give an IP address"))
        })?;
        self.0.answer(offer, ip, super::options::webrtc(options)?);
        Ok(())
    }

    /// How its sound fares, as the fields of a `stapes.SoundStatistics`; `None` where the line
    /// does not tell.
    fn sound(&self) -> Outcome<Option<Sound>> {
        Ok(self.0.call()?.sound().map(SoundStats::numbers))
    }

    /// The number that the hub knows it by.
    #[getter]
    fn id(&self) -> u64 {
        self.0.id()
    }

    /// Has `hub` dispatch its messages to `dispatcher`, through `dispatcher.run`.
    fn dispatch_to(
        &self,
        hub: &Hub,
        dispatcher: &Bound<'_, PyAny>,
        listeners: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        super::dispatch(hub, self.0.id(), self.0.progress(), dispatcher, listeners)
    }

    /// What the carrier told when the stream started; `None` before that.
    fn about(&self) -> Outcome<Option<About>> {
        let started = self.0.call()?.started();
        Ok(started.map(|it| {
            let parameters = serde_json::Value::Object(it.parameters).to_string();
            let (format, rate) = (it.format.wire_name(), it.format.sample_rate());
            (
                it.call_id,
                it.stream_id,
                it.caller,
                it.callee,
                it.direction,
                parameters,
                format,
                rate,
            )
        }))
    }

    /// The carrier's name.
    #[getter]
    fn carrier(&self) -> Outcome<&'static str> {
        Ok(self.0.call()?.look(calls::Leg::carrier_name))
    }

    /// Whether it has ended.
    #[getter]
    fn is_over(&self) -> Outcome<bool> {
        Ok(self.0.call()?.look(calls::Leg::is_over))
    }

    /// `(can pause what the caller hears, can send keys, can hang up by itself)`.
    #[getter]
    fn can(&self) -> Outcome<(bool, bool, bool)> {
        let can = self.0.call()?.look(calls::Leg::capabilities);
        Ok((can.pause, can.dtmf, can.hang_up))
    }

    /// `(packets, dropped, reordered, milliseconds of silence, frames ignored)`.
    fn stats(&self) -> Outcome<(u64, u64, u64, u64, u64)> {
        Ok(self.0.call()?.look(|leg| {
            let stats = leg.intake_stats();
            let ignored = leg.ignored();
            (
                stats.packets,
                stats.dropped,
                stats.reordered,
                stats.filled_ms,
                ignored,
            )
        }))
    }

    /// Plays sound behind all that is played; without `sample_rate` in the call's format.
    fn play(
        &self,
        audio: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = audio_input::sample_rate)] sample_rate: Option<u32>,
    ) -> Outcome<()> {
        let call = self.0.call()?;
        let format = call.look(calls::Leg::format);
        let played = match audio_input::read_recording(audio, sample_rate, format)? {
            Recording::Wire(bytes) => call.play(&bytes, format),
            Recording::Samples(samples, rate) => {
                let rate = rate.unwrap_or(format.sample_rate());
                call.play(bytemuck::cast_slice(&samples), AudioFormat::Pcm { rate })
            }
        };
        Ok(played.map_err(SendAudioError::from)?)
    }

    /// Stops all that is played.
    fn clear(&self) -> Outcome<()> {
        self.0.call()?.clear();
        Ok(())
    }

    /// The message `CallPlayed` says with `token` when all that was played so far was heard.
    fn when_played(&self, token: u64) -> Outcome<()> {
        self.0.call()?.when_played(token);
        Ok(())
    }

    /// Ends the call: at once, or when all was heard.
    fn hang_up(&self, after_playback: bool) -> Outcome<()> {
        self.0.call()?.hang_up(after_playback);
        Ok(())
    }

    /// Ends a call that is not taken, and closes its line with that code.
    fn refuse(&self, close_code: u16, reason: &str) -> Outcome<()> {
        self.0.call()?.refuse(close_code, reason);
        Ok(())
    }

    /// Sends a key; false where the carrier cannot.
    fn send_dtmf(&self, digit: char) -> Outcome<bool> {
        Ok(self.0.call()?.send_dtmf(digit))
    }

    /// Sends the application at the far end a message, as JSON; false where there is none.
    ///
    /// It fails where the message is longer than the far end takes.
    fn send_message(&self, json: &str) -> Outcome<bool> {
        match self.0.call()?.send_message(json) {
            Ok(()) => Ok(true),
            Err(UnsentMessage::NobodyThere) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Drops the caller's sound, or stops dropping it.
    fn pause_input(&self, paused: bool) -> Outcome<()> {
        self.0.call()?.pause_input(paused);
        Ok(())
    }

    /// Stops what the caller hears, or lets it go on; false where the carrier cannot.
    fn pause_output(&self, paused: bool) -> Outcome<bool> {
        Ok(self.0.call()?.pause_output(paused))
    }

    /// The URL of the stream brought these parameters.
    fn set_query(&self, query: Vec<(String, String)>) -> Outcome<()> {
        self.0.call()?.set_query(query);
        Ok(())
    }

    /// A text frame has come.
    fn receive_text(&self, frame: &str) {
        self.0.receive(Frame::Text(frame));
    }

    /// A binary frame has come.
    fn receive_bytes(&self, frame: &[u8]) {
        self.0.receive(Frame::Binary(frame));
    }

    /// The frames that are to be sent now: texts, bytes, and a close code to close the line.
    fn take_outgoing(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let messages = self.0.take_outgoing(BATCH).into_iter();
        messages
            .map(|message| match message {
                Outgoing::Text(text) => text.into_py_any(py),
                Outgoing::Binary(bytes) => PyBytes::new(py, &bytes).into_py_any(py),
                Outgoing::Close { code, .. } => code.into_py_any(py),
            })
            .collect()
    }

    /// Whoever carries the frames carries no more; `code`: of the close frame, if any.
    fn line_ended(&self, code: Option<u16>, reason: String) {
        self.0.line_ended(match code {
            Some(code) => CloseReason::ClosedByPeer { code, reason },
            None => CloseReason::Lost { cause: reason },
        });
    }

    /// Advances a virtual clock, of its session too.
    fn advance_clock(&self, by: f64) -> Outcome<()> {
        self.0.call()?.advance_clock(seconds(by, "seconds")?);
        Ok(())
    }
}

pub fn unknown_carrier(name: &str) -> PyErr {
    let names = carriers::NAMES.join(", ");
    PyValueError::new_err(format!("carrier is {name:?}: use one of {names}"))
}
