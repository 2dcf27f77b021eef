//! The options of a WebRTC connection.

use std::net::IpAddr;
use std::time::Duration;

use super::peer::IceServer;
use crate::audio::opus::{Application, EncoderSettings};
use crate::audio::rtp::jitter::JitterOptions;
use crate::transport::net::{Proxy, Tls};

/// Timeouts, limits, addresses and sound of a WebRTC connection. Every default is stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRtcOptions {
    /// How long connecting may take in all: name lookup, TCP, proxy, TLS, the answer to the offer,
    /// ICE, DTLS and the data channel. 15 s.
    pub connect_timeout: Duration,
    /// How long, when we close, what was sent may take to arrive. 2 s.
    pub close_timeout: Duration,
    /// Silence of the far side after which the connection counts as disconnected. 5 s.
    pub disconnected_after: Duration,
    /// How long it may be disconnected before it is given up. 5 s.
    pub disconnected_grace: Duration,
    /// STUN and TURN servers. None: a server on the open internet sees where we are.
    pub ice_servers: Vec<IceServer>,
    /// The addresses of this machine to use. None: the one that leads to the server.
    pub local_addresses: Vec<IpAddr>,
    /// How much the data channel may hold of what the far side has not acknowledged, in bytes. What
    /// is more waits in the session. 1 MiB.
    pub channel_buffer: usize,
    /// How many messages are taken from the session at once, in bytes. 64 KiB.
    pub send_batch_bytes: usize,
    /// How the user's sound is encoded. [`WebRtcOptions::encoder`] without FEC.
    pub encoder: EncoderSettings,
    /// How much of the user's sound may wait for its time, the oldest being dropped. 60 s.
    pub max_queue: Duration,
    /// How long the answer's sound is held back. 40 ms to begin with, 20 to 200 ms as the network
    /// needs it.
    pub jitter: JitterOptions,
    /// The proxy for the offer; media goes its own way. Default: from the environment.
    pub proxy: Proxy,
    /// How the server that answers the offer is verified.
    pub tls: Tls,
}

impl WebRtcOptions {
    /// How speech is encoded best for its cost: at complexity 1, by the codec's transform alone, at
    /// 72 kbit/s at most.
    ///
    /// Measured on 14.5 s of synthetic speech at 24 kHz without a pause, by PESQ (ITU-T P.862.2): 3.94
    /// at 28 us of processor a packet; complexity 5 has 3.90 at 64 kbit/s and 50 us. The mode that is
    /// made for speech (SILK) has 3.36 at complexity 5, 140 us, and 26 kbit/s, the codec's own choice.
    /// The transform also delays sound by 2.5 ms and not by 6.5 ms.
    ///
    /// FEC is SILK's alone, which therefore is used where it is asked for, at complexity 5 and the
    /// codec's own bitrate.
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

impl Default for WebRtcOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            close_timeout: Duration::from_secs(2),
            disconnected_after: Duration::from_secs(5),
            disconnected_grace: Duration::from_secs(5),
            ice_servers: Vec::new(),
            local_addresses: Vec::new(),
            channel_buffer: 1 << 20,
            send_batch_bytes: 64 << 10,
            encoder: Self::encoder(false),
            max_queue: Duration::from_secs(60),
            jitter: JitterOptions::default(),
            proxy: Proxy::FromEnvironment,
            tls: Tls::default(),
        }
    }
}
