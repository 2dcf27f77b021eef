//! Audio: formats, base64, G.711, resampling, levels, Opus, and Opus over RTP. No async, no JSON, no clock:
//! where time matters, it is an argument.
//!
//! Everything here is a pure function or a small streaming struct. Samples are mono unless a name says
//! otherwise; 16-bit samples are linear PCM, floating-point samples are in `-1.0..=1.0`.

pub mod base64;
pub mod buffers;
pub mod cold_copy;
pub mod convert;
pub mod format;
pub mod g711;
pub mod level;
pub mod mixed_queue;
#[cfg(feature = "opus")]
pub mod opus;
pub mod passthrough;
pub mod resample;
#[cfg(feature = "opus")]
pub mod rtp;
mod sample;

pub use format::AudioFormat;
pub use resample::Resampler;
pub use sample::Sample;
