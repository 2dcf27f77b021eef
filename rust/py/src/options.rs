//! Options, read from the attributes of Python's frozen dataclasses.
//!
//! A table names each option once, with its place in the core, which states the default. A test holds
//! the dataclasses' fields and defaults against [`defaults`].

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use stapes_core::conversation::{PlaybackSource, Profile, Purpose, SessionLayout, SharedText};
use stapes_core::dispatch::SessionOptions;
use stapes_core::session::ReconnectOptions;
use stapes_core::transport::net::Proxy;
#[cfg(feature = "webrtc")]
use stapes_core::transport::webrtc;
use stapes_core::transport::websocket;

use crate::calls;
#[cfg(feature = "webrtc")]
use crate::errors::Outcome;

pub fn seconds(value: f64, name: &str) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|_| {
        PyValueError::new_err(format!(
            "{name} is {value}: give it as seconds, zero or more"
        ))
    })
}

/// The value of an option, which Python has in terms of its own.
pub trait OptionValue: Sized {
    fn read(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Self>;

    /// For defaults.
    fn show<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(py.None().into_bound(py))
    }
}

/// Values that are the same in Python.
macro_rules! plain {
    ($($type:ty),*) => {
        $(
            impl OptionValue for $type {
                fn read(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
                    value
                        .extract()
                        .map_err(|error| PyTypeError::new_err(format!("{name}: {error}")))
                }

                fn show<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                    self.clone().into_bound_py_any(py)
                }
            }
        )*
    };
}

plain!(bool, f64, i64, u32, usize, String, PathBuf);

impl<T: OptionValue> OptionValue for Option<T> {
    fn read(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
        (!value.is_none()).then(|| T::read(value, name)).transpose()
    }

    fn show<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let none = || Ok(py.None().into_bound(py));
        self.as_ref().map_or_else(none, |value| value.show(py))
    }
}

impl OptionValue for Duration {
    fn read(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
        seconds(f64::read(value, name)?, name)
    }

    fn show<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_secs_f64().show(py)
    }
}

/// `"environment"`, a URL, or none.
impl OptionValue for Proxy {
    fn read(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
        Option::<String>::read(value, name).map(Self::from_setting)
    }

    fn show<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.setting().into_bound_py_any(py)
    }
}

/// Values that Python has by their names.
macro_rules! by_name {
    ($($type:ty: $known:literal;)*) => {
        $(
            impl OptionValue for $type {
                fn read(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
                    let given = String::read(value, name)?;
                    Self::parse(&given).ok_or_else(|| {
                        PyValueError::new_err(format!("{name} is {given:?}: give {}", $known))
                    })
                }

                fn show<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                    self.as_str().into_bound_py_any(py)
                }
            }
        )*
    };
}

by_name! {
    PlaybackSource: "\"clock\", \"reports\" or \"caller\"";
    Purpose: "\"conversation\", \"transcription\" or \"translation\"";
    SessionLayout: "\"ga\", \"voice_at_top\" or \"flat\"";
}

impl OptionValue for SharedText {
    fn read(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
        Ok((&*String::read(value, name)?).into())
    }

    fn show<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        (**self).into_bound_py_any(py)
    }
}

/// A sequence; of none by default.
impl<T: OptionValue> OptionValue for Vec<T> {
    fn read(values: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
        values
            .try_iter()?
            .map(|value| T::read(&value?, name))
            .collect()
    }

    fn show<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let values = self.iter().map(|value| value.show(py));
        Ok(PyTuple::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_any())
    }
}

impl OptionValue for IpAddr {
    fn read(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
        let text = String::read(value, name)?;
        let usable = text.parse().ok().filter(|ip: &Self| !ip.is_unspecified());
        usable.ok_or_else(|| {
            PyValueError::new_err(format!(
                "{name} has {text:?}: give the addresses of interfaces, such as \"192.0.2.7\""
            ))
        })
    }
}

#[cfg(feature = "webrtc")]
impl OptionValue for webrtc::IceServer {
    fn read(value: &Bound<'_, PyAny>, _: &str) -> PyResult<Self> {
        let urls = value.getattr("urls")?;
        let one = urls.extract().map(|url| vec![url]);
        Ok(Self {
            urls: one.or_else(|_| urls.extract())?,
            username: attribute(value, "username")?,
            credential: attribute(value, "credential")?,
        })
    }
}

pub fn attribute<T: OptionValue>(object: &Bound<'_, PyAny>, name: &str) -> PyResult<T> {
    T::read(&object.getattr(name)?, name)
}

/// Says where the core has each option of a Python class. Those behind `unset` are `None` in Python where
/// the core is to choose.
macro_rules! options {
    ($class:ident, $core:ty {
        $($name:ident: $($field:ident).+),* $(,)?
    } unset { $($free:ident: $($at:ident).+),* }) => {
        pub struct $class;

        impl $class {
            pub fn read(object: &Bound<'_, PyAny>, mut core: $core) -> PyResult<$core> {
                $( core.$($field).+ = attribute(object, stringify!($name))?; )*
                $( if let given @ Some(_) = attribute(object, stringify!($free))? {
                    core.$($at).+ = given;
                } )*
                Ok(core)
            }

            pub fn defaults(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
                let core = <$core>::default();
                let defaults = PyDict::new(py);
                $( defaults.set_item(stringify!($name), core.$($field).+.show(py)?)?; )*
                $( defaults.set_item(stringify!($free), py.None())?; )*
                Ok(defaults)
            }
        }
    };
}

pub(crate) use options;

options! {
    CoreOptions, SessionOptions {
        purpose: conversation.purpose,
        history_store_audio: conversation.history_store_audio,
        guardrail_debounce: conversation.guardrail_debounce,
        speech_interrupts: conversation.speech_interrupts,
        resume_after: conversation.resume_after,
        playback: conversation.playback,
        respond_to_mcp_calls: conversation.respond_to_mcp_calls,
        response_timeout: conversation.response_timeout,
        waiting_responses: conversation.waiting_responses,
        answered_calls: conversation.answered_calls,
        high_water: outgoing.high_water,
        max_outgoing_bytes: outgoing.max_bytes,
        max_queued_events: queue.max_messages,
        max_queued_bytes: queue.max_bytes,
    } unset {}
}

options! {
    Dialect, stapes_core::conversation::Dialect {
        session: session,
        nested_tools: nested_tools,
        beta_parts: beta_parts,
        pcm: pcm,
        max_tokens: max_tokens,
        states_input_rate: states_input_rate,
    } unset {}
}

options! {
    Capabilities, Profile {
        truncates: truncates,
        retrieves: retrieves,
        cancels_by_id: cancels_by_id,
        traces: traces,
        messages: messages,
        ends_items: ends_items,
        resumes_by: resumes_by,
        binary_audio: binary_audio,
    } unset {}
}

options! {
    ReconnectPolicy, ReconnectOptions {
        attempts: policy.attempts,
        max_reconnects: policy.max_reconnects,
        first_delay: policy.first_delay,
        base_delay: policy.base_delay,
        max_delay: policy.max_delay,
        jitter: policy.jitter,
        max_handshakes: policy.max_handshakes,
        max_session_duration: policy.max_session_duration,
        rollover_margin: policy.rollover_margin,
        max_unsent_audio: survival.max_unsent_audio,
        max_replayed_items: survival.max_replayed_items,
        max_replayed_characters: survival.max_replayed_characters,
        go_on: survival.go_on,
        continue_answers: survival.continue_answers,
    } unset {}
}

options! {
    WebSocketTransport, websocket::WebSocketOptions {
        connect_timeout: connect_timeout,
        first_event_timeout: first_event_timeout,
        close_timeout: close_timeout,
        ping_interval: ping_interval,
        ping_timeout: ping_timeout,
        sending_ping_interval: sending_ping_interval,
        sending_ping_timeout: sending_ping_timeout,
        unacknowledged_timeout: unacknowledged_timeout,
        max_message_size: max_message_size,
        max_frame_size: max_frame_size,
        read_buffer_size: read_buffer_size,
        write_batch_size: write_batch_bytes,
        proxy: proxy,
        ca_file: tls.ca_file,
    } unset {}
}

#[cfg(feature = "webrtc")]
options! {
    WebRTCTransport, webrtc::WebRtcOptions {
        connect_timeout: connect_timeout,
        first_event_timeout: first_event_timeout,
        close_timeout: close_timeout,
        stalled_after: stalled_after,
        disconnected_after: disconnected_after,
        disconnected_grace: disconnected_grace,
        ice_servers: ice_servers,
        ice_server_timeout: ice_server_timeout,
        local_addresses: local_addresses,
        min_bitrate: min_bitrate,
        fec: encoder.fec,
        expected_loss: encoder.expected_loss,
        dtx: encoder.dtx,
        max_queue: max_queue,
        min_delay: jitter.min_delay,
        start_delay: jitter.start_delay,
        max_delay: jitter.max_delay,
        channel_buffer: channel_buffer,
        send_batch_size: send_batch_bytes,
        proxy: proxy,
        ca_file: tls.ca_file,
    } unset { complexity: encoder.complexity, bitrate: encoder.bitrate }
}

/// The defaults of all options that cross from Python, by the class that has them.
pub fn defaults(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let all = PyDict::new(py);
    calls::options::add_defaults(&all)?;
    all.set_item("Capabilities", Capabilities::defaults(py)?)?;
    all.set_item("CoreOptions", CoreOptions::defaults(py)?)?;
    all.set_item("Dialect", Dialect::defaults(py)?)?;
    all.set_item("ReconnectPolicy", ReconnectPolicy::defaults(py)?)?;
    all.set_item("WebSocketTransport", WebSocketTransport::defaults(py)?)?;
    #[cfg(feature = "webrtc")]
    all.set_item("WebRTCTransport", WebRTCTransport::defaults(py)?)?;
    Ok(all)
}

/// Limits, proxy and TLS of a WebSocket connection. Times are seconds, sizes bytes.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct WebSocketOptions(pub websocket::WebSocketOptions);

#[pymethods]
impl WebSocketOptions {
    /// Reads the attributes of a `stapes.WebSocketTransport`.
    #[new]
    fn new(transport: &Bound<'_, PyAny>) -> PyResult<Self> {
        WebSocketTransport::read(transport, websocket::WebSocketOptions::default()).map(Self)
    }
}

/// Timeouts, limits, addresses and audio of a WebRTC connection. Times are seconds, sizes bytes.
#[cfg(feature = "webrtc")]
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct WebRtcOptions(pub webrtc::WebRtcOptions);

#[cfg(feature = "webrtc")]
#[pymethods]
impl WebRtcOptions {
    /// Reads the attributes of a `stapes.WebRTCTransport`.
    #[new]
    fn new(transport: &Bound<'_, PyAny>) -> Outcome<Self> {
        // What the encoder takes where the user names nothing follows from `fec`.
        let encoder = webrtc::WebRtcOptions::encoder(attribute(transport, "fec")?);
        let usual = webrtc::WebRtcOptions {
            encoder,
            ..webrtc::WebRtcOptions::default()
        };
        let options = WebRTCTransport::read(transport, usual)?;
        options.check()?;
        Ok(Self(options))
    }
}
