//! The far side of each test, and a session that records its events.

pub mod answerer;
pub mod caller;
pub mod network;

use std::time::Duration;

use stapes_core::audio::opus::{EncoderSettings, OpusEncoder};
use stapes_core::transport::SampleRates;
use stapes_core::transport::webrtc::{ConnectRequest, Proxy, WebRtcOptions};

/// A timeout that only a hanging test reaches.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const RATES: SampleRates = SampleRates {
    input: 24_000,
    output: 24_000,
};

/// A request with a key.
pub fn request(url: &str) -> ConnectRequest {
    ConnectRequest {
        url: url.to_owned(),
        headers: vec![("Authorization".to_owned(), "Bearer sk-1234567".to_owned())],
        ..ConnectRequest::default()
    }
}

/// Options that do not depend on the environment of the test.
pub fn options() -> WebRtcOptions {
    WebRtcOptions {
        proxy: Proxy::Direct,
        ..WebRtcOptions::default()
    }
}

/// Waits for something that comes.
pub async fn soon<T>(what: &str, coming: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, coming)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come"))
}

/// A tone, beginning `at` samples into it.
pub fn tone(at: usize, samples: usize) -> Vec<i16> {
    (at..at + samples)
        .map(|n| ((n as f64 * 440.0 / 24_000.0 * std::f64::consts::TAU).sin() * 8_000.0) as i16)
        .collect()
}

/// 20 ms packets of a tone.
pub fn tone_packets(count: usize) -> Vec<bytes::Bytes> {
    let mut encoder = OpusEncoder::new(24_000, EncoderSettings::default()).unwrap();
    (0..count)
        .map(|n| {
            let mut packet = Vec::new();
            encoder
                .encode_i16(&tone(n * 480, 480), &mut packet)
                .unwrap();
            packet.into()
        })
        .collect()
}

/// The loudness of samples.
pub fn rms(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
}
