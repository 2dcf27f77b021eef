//! Conversion between sample rates: a streaming polyphase FIR resampler.
//!
//! - [`design`]: the prototype low-pass filter.
//! - [`table`]: the filter as one row of taps per phase, shared by all resamplers of a ratio.
//! - [`kernel`]: the inner loop, for each instruction set the same bits.
//! - [`stream`]: the state of one stream.

mod design;
mod kernel;
mod stream;
mod table;
#[cfg(test)]
mod tests;

pub use stream::{Channels, ResampleError, Resampler};
