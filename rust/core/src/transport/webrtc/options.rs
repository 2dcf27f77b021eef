//! The options of a WebRTC connection.

use std::net::IpAddr;
use std::time::Duration;

use super::driver::AudioPipelines;
use super::peer::IceServer;
use crate::audio::opus::{Application, EncoderSettings};
use crate::audio::rtp::jitter::JitterOptions;
use crate::transport::endpoint::FIRST_EVENT_TIMEOUT;
use crate::transport::media::SampleRates;
use crate::transport::net::{ConnectError, Proxy, Tls};

/// Timeouts, limits, addresses and sound of a WebRTC connection. Every default is stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRtcOptions {
    /// The time limit for connecting: name lookup, TCP, proxy, TLS, the answer to the offer,
    /// ICE, DTLS and the data channel. 15 s.
    pub connect_timeout: Duration,
    /// How long the server's first event is awaited, by whoever uses the connection. 2 s; zero: not at
    /// all.
    pub first_event_timeout: Duration,
    /// On closing: how long to wait for the far side to acknowledge what was sent. 2 s.
    pub close_timeout: Duration,
    /// How long no sound may come while an answer plays, until it counts as stalled. 2 s.
    pub stalled_after: Duration,
    /// Silence of the far side after which the connection counts as disconnected. 5 s.
    pub disconnected_after: Duration,
    /// How long the connection may be disconnected before it counts as lost. 5 s.
    pub disconnected_grace: Duration,
    /// STUN and TURN servers. None by default: a server on the open internet sees our address.
    pub ice_servers: Vec<IceServer>,
    /// How long STUN and TURN servers have to answer, all of them together, before the call is offered
    /// without those that have not. 1 s.
    pub ice_server_timeout: Duration,
    /// The local addresses to use. None by default: all of this machine, with the one first from which the
    /// server is reached.
    pub local_addresses: Vec<IpAddr>,
    /// The most bytes in the data channel that the far side has not acknowledged. Further messages wait
    /// in the session. 1 MiB.
    pub channel_buffer: usize,
    /// The size of a batch of outgoing messages, in bytes. 64 KiB.
    pub send_batch_bytes: usize,
    /// How the user's sound is encoded. [`WebRtcOptions::encoder`] without FEC.
    pub encoder: EncoderSettings,
    /// The lowest bitrate of the user's sound, in bits per second, where the network carries no more. 16,000.
    pub min_bitrate: u32,
    /// The longest queue of the user's sound; beyond it, the oldest sound is dropped. 60 s.
    pub max_queue: Duration,
    /// The delay of the answer's sound in the jitter buffer: 40 ms at first, then 20 to 200 ms as the
    /// network requires.
    pub jitter: JitterOptions,
    /// The proxy for the offer; media does not use it. Default: from the environment.
    pub proxy: Proxy,
    /// How the server that answers the offer is verified.
    pub tls: Tls,
}

impl WebRtcOptions {
    /// The encoder settings with the best quality for their cost: complexity 1, the codec's transform
    /// (CELT) alone, and at most 72 kbit/s.
    ///
    /// Measured on 14.5 s of synthetic speech at 24 kHz without a pause, by PESQ (ITU-T P.862.2): 3.94
    /// at 28 us of CPU time a packet; complexity 5 has 3.90 at 64 kbit/s and 50 us. The speech mode
    /// (SILK) has 3.36 at complexity 5, 140 us, and the 26 kbit/s that the codec chooses. The transform
    /// also delays sound by 2.5 ms instead of 6.5 ms.
    ///
    /// Only SILK has FEC. With `fec`, SILK is therefore used, at complexity 5 and the bitrate that the
    /// codec chooses.
    pub fn encoder(fec: bool) -> EncoderSettings {
        let settings = EncoderSettings {
            fec,
            ..EncoderSettings::default()
        };
        if fec {
            return EncoderSettings {
                complexity: Some(5),
                ..settings
            };
        }
        EncoderSettings {
            application: Application::LowDelay,
            complexity: Some(1),
            bitrate: Some(72_000),
            ..settings
        }
    }
}

impl WebRtcOptions {
    /// Refuses by name what the encoder or the jitter buffer would refuse.
    pub fn check(&self) -> Result<(), ConnectError> {
        let rates = SampleRates {
            input: 24_000,
            output: 24_000,
        };
        AudioPipelines::new(self, rates).map(drop)
    }
}

impl Default for WebRtcOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            first_event_timeout: FIRST_EVENT_TIMEOUT,
            close_timeout: Duration::from_secs(2),
            stalled_after: Duration::from_secs(2),
            disconnected_after: Duration::from_secs(5),
            disconnected_grace: Duration::from_secs(5),
            ice_servers: Vec::new(),
            ice_server_timeout: Duration::from_secs(1),
            local_addresses: Vec::new(),
            channel_buffer: 1 << 20,
            send_batch_bytes: 64 << 10,
            encoder: Self::encoder(false),
            min_bitrate: 16_000,
            max_queue: Duration::from_secs(60),
            jitter: JitterOptions::default(),
            proxy: Proxy::FromEnvironment,
            tls: Tls::default(),
        }
    }
}
