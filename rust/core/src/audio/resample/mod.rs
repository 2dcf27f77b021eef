//! Conversion between sample rates: a streaming polyphase FIR resampler.
//!
//! - [`design`]: the prototype low-pass filter.
//! - [`plan`]: the filter laid out for a ratio, shared by all streams of that ratio.
//! - [`bank`] and [`rows`]: the inner loops, for simple ratios and for all others; [`turns`] serves
//!   the former.
//! - [`simd`]: eight floats at once, on the instruction sets for which the loops are compiled.
//! - [`filter`] and [`stream`]: the state of one stream, inside and out.
//!
//! Every instruction set performs the same roundings in the same order, so a stream has the same bits
//! on every CPU, and in whichever chunks it comes.

mod bank;
mod design;
mod filter;
mod plan;
mod rows;
mod simd;
mod stream;
#[cfg(test)]
mod tests;
mod turns;

pub use stream::{Channels, RATES, ResampleError, Resampler};
