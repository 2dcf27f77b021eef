//! The options of calls over WebRTC, each with its default.

use std::net::IpAddr;
use std::time::Duration;

use super::line::{PipelineError, Pipelines};
use crate::audio::opus::EncoderSettings;
use crate::audio::rtp::jitter::JitterOptions;
use crate::transport::webrtc::{IceServer, WebRtcOptions};

/// How pages call over WebRTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRtcCallOptions {
    /// The local addresses that pages are answered from. None by default: the one that the offer came to.
    pub local_addresses: Vec<IpAddr>,
    /// The addresses under which those are known outside, where a router or a cloud translates them one to
    /// one. They stand in the answer in place of the local ones of the same family.
    pub public_addresses: Vec<IpAddr>,
    /// Whether an answer may name addresses of private networks, of the link and of this machine: true.
    pub private_addresses: bool,
    /// STUN and TURN servers of ours. None by default: a server can be reached.
    pub ice_servers: Vec<IceServer>,
    /// How long those have to answer, all of them together: 1 s.
    pub ice_server_timeout: Duration,
    /// Silence of the page after which its sound stands still: 2 s.
    pub disconnected_after: Duration,
    /// How long it may be silent besides before its line counts as lost: 10 s.
    pub disconnected_grace: Duration,
    /// At the end of a call: how long the page has to take the last messages: 2 s.
    pub close_timeout: Duration,
    /// Bytes in the data channel that the page has not acknowledged. Further messages wait: 256 KiB.
    pub channel_buffer: usize,
    /// How many offers may be answered whose calls have not started. Past it offers are refused: 100.
    pub max_pending: usize,
    /// How the sound for the page is encoded.
    pub encoder: EncoderSettings,
    /// The least bitrate of that sound, however narrow the network is, in bits per second: 16,000.
    pub min_bitrate: u32,
    /// The delay of the page's sound: 40 ms at first, then 20 to 200 ms as the network requires.
    pub jitter: JitterOptions,
}

impl WebRtcCallOptions {
    /// Refuses by name what the encoder or the jitter buffer would refuse.
    pub fn check(&self) -> Result<(), PipelineError> {
        Pipelines::new(self).map(drop)
    }
}

impl Default for WebRtcCallOptions {
    fn default() -> Self {
        Self {
            local_addresses: Vec::new(),
            public_addresses: Vec::new(),
            private_addresses: true,
            ice_servers: Vec::new(),
            ice_server_timeout: Duration::from_secs(1),
            disconnected_after: Duration::from_secs(2),
            disconnected_grace: Duration::from_secs(10),
            close_timeout: Duration::from_secs(2),
            channel_buffer: 256 << 10,
            max_pending: 100,
            encoder: WebRtcOptions::encoder(false),
            min_bitrate: WebRtcOptions::default().min_bitrate,
            jitter: JitterOptions::default(),
        }
    }
}
