//! Sound: formats, PCM and base64, G.711, Opus, resampling. No async, no JSON, no clock.
//!
//! Everything here is a pure function or a small streaming struct. Samples are mono unless a name
//! says otherwise; 16-bit samples are linear PCM, floating-point samples lie in `-1.0..=1.0`.

pub mod base64;
pub mod convert;
pub mod format;
pub mod g711;
pub mod level;
#[cfg(feature = "opus")]
pub mod opus;
pub mod resample;
mod sample;

pub use format::AudioFormat;
pub use resample::Resampler;
pub use sample::Sample;
