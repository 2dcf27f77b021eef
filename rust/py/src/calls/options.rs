//! The options of calls.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use stapes_core::calls;
use stapes_core::transport::listen;

use crate::options::{OptionValue, attribute, options};

options! {
    CallOptions, calls::CallOptions {
        input_batch: leg.intake.batch,
        max_gap: leg.intake.max_gap,
        inactivity_timeout: leg.intake.inactivity,
        start_timeout: leg.start_timeout,
        resume_timeout: leg.resume_timeout,
        max_call: leg.max_call,
        idle_timeout: leg.idle_timeout,
        max_ahead: leg.max_ahead,
        max_unsent: leg.max_unsent,
        session_timeout: leg.session_timeout,
        hang_up_timeout: leg.hang_up_timeout,
        max_early: max_early,
    } unset {}
}

options! {
    ListenOptions, listen::ListenOptions {
        max_connections: max_connections,
        head_timeout: head_timeout,
        max_head: max_head,
        max_body: max_body,
        max_message_size: websocket.max_message_size,
        ping_interval: websocket.ping_interval,
        ping_timeout: websocket.ping_timeout,
    } unset {}
}

#[cfg(feature = "webrtc")]
options! {
    WebRTCCallOptions, calls::webrtc::WebRtcCallOptions {
        local_addresses: local_addresses,
        public_addresses: public_addresses,
        private_addresses: private_addresses,
        ice_servers: ice_servers,
        ice_server_timeout: ice_server_timeout,
        disconnected_after: disconnected_after,
        disconnected_grace: disconnected_grace,
        close_timeout: close_timeout,
        channel_buffer: channel_buffer,
        max_pending: max_pending,
        fec: encoder.fec,
        expected_loss: encoder.expected_loss,
        dtx: encoder.dtx,
        min_bitrate: min_bitrate,
        min_delay: jitter.min_delay,
        start_delay: jitter.start_delay,
        max_delay: jitter.max_delay,
    } unset { complexity: encoder.complexity, bitrate: encoder.bitrate }
}

/// Adds the defaults of these options to those of all.
pub fn add_defaults(all: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = all.py();
    all.set_item("CallOptions", CallOptions::defaults(py)?)?;
    all.set_item("ListenOptions", ListenOptions::defaults(py)?)?;
    #[cfg(feature = "webrtc")]
    all.set_item("WebRTCCallOptions", WebRTCCallOptions::defaults(py)?)?;
    Ok(())
}

/// Reads a `stapes.calls.WebRTCCallOptions`.
#[cfg(feature = "webrtc")]
pub fn webrtc(options: &Bound<'_, PyAny>) -> PyResult<calls::webrtc::WebRtcCallOptions> {
    // What the encoder takes where the user names nothing follows from `fec`.
    let usual = calls::webrtc::WebRtcCallOptions {
        encoder: stapes_core::transport::webrtc::WebRtcOptions::encoder(attribute(options, "fec")?),
        ..calls::webrtc::WebRtcCallOptions::default()
    };
    let options = WebRTCCallOptions::read(options, usual)?;
    options
        .check()
        .map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))?;
    Ok(options)
}
