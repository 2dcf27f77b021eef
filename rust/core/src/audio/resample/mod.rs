//! Conversion between sample rates: a streaming polyphase FIR resampler.
//!
//! - [`design`]: the prototype low-pass filter.
//! - [`plan`]: the filter laid out for a ratio, shared by all streams of that ratio.
//! - [`bank`] and [`rows`]: the inner loops, for simple ratios and for all others.
//! - [`isa`]: for which instruction set they run.
//! - [`filter`] and [`stream`]: the state of one stream, inside and out.
//!
//! The inner loops are plain Rust without fused multiply-add, compiled once per instruction set. Each
//! compilation performs the same roundings in the same order, so a stream has the same bits on every
//! CPU, and in whichever chunks it comes.

mod bank;
mod design;
mod filter;
mod isa;
mod plan;
mod rows;
mod stream;
#[cfg(test)]
mod tests;

pub use stream::{Channels, ResampleError, Resampler};
