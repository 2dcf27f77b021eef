//! The state of one stream being resampled.

use std::sync::Arc;

use thiserror::Error;

use super::kernel::{self, Position};
use super::table::Table;
use crate::audio::Sample;

/// Rates outside of this range are refused.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;

/// New input samples taken into the buffer at a time: what a stream's memory is, beside the filter's.
const BLOCK: usize = 128;

/// Output samples computed at a time.
const OUT_BLOCK: usize = 256;

/// Why there is no resampler for two rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResampleError {
    /// A rate is too low or too high.
    #[error("{argument} is {rate} Hz: expected 4000 to 192000 samples per second")]
    Rate {
        /// `from_rate` or `to_rate`.
        argument: &'static str,
        /// Its value.
        rate: u32,
    },
    /// The rates have so small a common divisor that the filter table would be unreasonable.
    #[error(
        "from_rate {from} Hz and to_rate {to} Hz have too small a common divisor: \
         use standard rates such as 8000, 16000, 24000, 44100 or 48000"
    )]
    Ratio {
        /// The input's rate.
        from: u32,
        /// The output's rate.
        to: u32,
    },
}

/// How the input is interleaved. The output is always mono.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Channels {
    /// One sample per moment.
    #[default]
    Mono,
    /// Left and right in turn; averaged.
    Stereo,
}

/// Converts one stream of sound to another sample rate.
///
/// The stream that comes out depends on the samples only, not on how they were cut into calls. It is
/// aligned with the input: output sample `n` belongs to the moment `n / to`, and after
/// [`flush`](Self::flush) the output is as long as the input. The first call therefore gives
/// [`delay`](Self::delay) less than it was fed.
///
/// Memory: the filter's length in input samples and a block of 128, 4 bytes each (0.8 KiB for 24 to
/// 48 kHz, 2.5 KiB for 48 to 8 kHz).
#[derive(Debug)]
pub struct Resampler {
    from: u32,
    to: u32,
    channels: Channels,
    /// The left sample of a stereo frame whose right one has not come yet.
    unpaired: Option<f32>,
    /// `None` if the rates are equal.
    filter: Option<Filter>,
}

#[derive(Debug)]
struct Filter {
    table: Arc<Table>,
    /// `taps - 1` past samples and a block of new ones.
    buffer: Box<[f32]>,
    /// How much of `buffer` is filled.
    filled: usize,
    position: Position,
    consumed: u64,
    produced: u64,
}

impl Resampler {
    /// A resampler of mono sound between two rates, 4,000 to 192,000 samples per second each.
    pub fn new(from: u32, to: u32) -> Result<Self, ResampleError> {
        Self::with_channels(from, to, Channels::Mono)
    }

    /// A resampler of mono or interleaved stereo sound to mono.
    pub fn with_channels(from: u32, to: u32, channels: Channels) -> Result<Self, ResampleError> {
        for (argument, rate) in [("from_rate", from), ("to_rate", to)] {
            if !RATES.contains(&rate) {
                return Err(ResampleError::Rate { argument, rate });
            }
        }
        let filter = if from == to {
            None
        } else {
            let divisor = greatest_common_divisor(from, to);
            let (up, down) = ((to / divisor) as usize, (from / divisor) as usize);
            let table = Table::shared(up, down).ok_or(ResampleError::Ratio { from, to })?;
            Some(Filter::new(table))
        };
        Ok(Self {
            from,
            to,
            channels,
            unpaired: None,
            filter,
        })
    }

    /// The input's rate, in samples per second.
    pub fn from_rate(&self) -> u32 {
        self.from
    }

    /// The output's rate, in samples per second.
    pub fn to_rate(&self) -> u32 {
        self.to
    }

    /// How the input is interleaved.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// How much sound the resampler holds back until it is flushed, in seconds.
    pub fn delay(&self) -> f64 {
        self.filter.as_ref().map_or(0.0, |filter| {
            filter.table.centre as f64 / (filter.table.up as f64 * f64::from(self.from))
        })
    }

    /// What this stream occupies, in bytes, the table it shares with others left out.
    pub fn memory(&self) -> usize {
        size_of::<Self>()
            + self
                .filter
                .as_ref()
                .map_or(0, |filter| size_of_val(&*filter.buffer))
    }

    /// How many samples [`process`](Self::process) will give for an input of `samples` (not frames).
    pub fn output_len(&self, samples: usize) -> usize {
        let frames = match self.channels {
            Channels::Mono => samples,
            Channels::Stereo => {
                let paired = samples + usize::from(self.unpaired.is_some());
                paired / 2
            }
        };
        self.filter
            .as_ref()
            .map_or(frames, |filter| filter.output_len(frames))
    }

    /// How many samples [`flush`](Self::flush) will give.
    pub fn flush_len(&self) -> usize {
        self.filter
            .as_ref()
            .map_or(0, |filter| filter.outstanding() as usize)
    }

    /// Resamples `input` and appends what is complete to `out`.
    pub fn process<I: Sample, O: Sample>(&mut self, input: &[I], out: &mut Vec<O>) {
        let start = out.len();
        out.resize(start + self.output_len(input.len()), O::default());
        self.process_into(input, &mut out[start..]);
    }

    /// Resamples `input` into `out`, whose length must be [`output_len`](Self::output_len)'s.
    ///
    /// # Panics
    /// When it is not.
    pub fn process_into<I: Sample, O: Sample>(&mut self, input: &[I], out: &mut [O]) {
        assert_eq!(
            out.len(),
            self.output_len(input.len()),
            "out must have output_len's length"
        );
        let mut written = 0;
        let mut block = [0.0; BLOCK];
        let mut rest = input;
        while !rest.is_empty() {
            let (taken, frames) = self.fill(rest, &mut block);
            rest = &rest[taken..];
            written += self.push(&block[..frames], &mut out[written..]);
        }
        debug_assert_eq!(written, out.len());
    }

    /// Ends the stream: appends what is held back to `out`. The next input begins a new stream.
    /// Half a stereo frame is dropped.
    pub fn flush<O: Sample>(&mut self, out: &mut Vec<O>) {
        let start = out.len();
        out.resize(start + self.flush_len(), O::default());
        self.flush_into(&mut out[start..]);
    }

    /// As [`flush`](Self::flush), into `out`, whose length must be [`flush_len`](Self::flush_len)'s.
    ///
    /// # Panics
    /// When it is not.
    pub fn flush_into<O: Sample>(&mut self, out: &mut [O]) {
        assert_eq!(
            out.len(),
            self.flush_len(),
            "out must have flush_len's length"
        );
        let mut written = 0;
        while written < out.len() {
            written += self.push(&[0.0; BLOCK], &mut out[written..]);
        }
        self.reset();
    }

    /// Forgets the stream: the next input begins a new one.
    pub fn reset(&mut self) {
        self.unpaired = None;
        if let Some(filter) = &mut self.filter {
            filter.reset();
        }
    }

    /// [`process`](Self::process) for 16-bit samples.
    pub fn process_i16(&mut self, input: &[i16], out: &mut Vec<i16>) {
        self.process(input, out);
    }

    /// [`process`](Self::process) for samples in `-1.0..=1.0`.
    pub fn process_f32(&mut self, input: &[f32], out: &mut Vec<f32>) {
        self.process(input, out);
    }

    /// [`flush`](Self::flush) for 16-bit samples.
    pub fn flush_i16(&mut self, out: &mut Vec<i16>) {
        self.flush(out);
    }

    /// [`flush`](Self::flush) for samples in `-1.0..=1.0`.
    pub fn flush_f32(&mut self, out: &mut Vec<f32>) {
        self.flush(out);
    }

    /// Turns the beginning of `input` into at most a block of mono samples on the unit scale.
    /// Returns how much of `input` was taken and how many samples it made.
    fn fill<I: Sample>(&mut self, input: &[I], block: &mut [f32; BLOCK]) -> (usize, usize) {
        match self.channels {
            Channels::Mono => {
                let taken = input.len().min(BLOCK);
                for (place, sample) in block.iter_mut().zip(input) {
                    *place = sample.to_unit();
                }
                (taken, taken)
            }
            Channels::Stereo => {
                let mut frames = 0;
                let mut taken = 0;
                while let (Some(sample), true) = (input.get(taken), frames < BLOCK) {
                    taken += 1;
                    match self.unpaired.take() {
                        None => self.unpaired = Some(sample.to_unit()),
                        Some(left) => {
                            block[frames] = left.midpoint(sample.to_unit());
                            frames += 1;
                        }
                    }
                }
                (taken, frames)
            }
        }
    }

    /// Feeds at most a block; returns how many samples it wrote. Stops when `out` is full.
    fn push<O: Sample>(&mut self, block: &[f32], out: &mut [O]) -> usize {
        let Some(filter) = &mut self.filter else {
            convert(block, out);
            return block.len();
        };
        filter.feed(block);
        let mut written = 0;
        let mut results = [0.0; OUT_BLOCK];
        loop {
            let room = (out.len() - written).min(OUT_BLOCK);
            let count = filter.produce(&mut results[..room]);
            convert(&results[..count], &mut out[written..]);
            written += count;
            if count < OUT_BLOCK {
                return written;
            }
        }
    }
}

impl Filter {
    fn new(table: Arc<Table>) -> Self {
        let buffer = vec![0.0; table.taps - 1 + BLOCK].into_boxed_slice();
        let start = Position { start: 0, phase: 0 };
        let mut filter = Self {
            table,
            buffer,
            filled: 0,
            position: start,
            consumed: 0,
            produced: 0,
        };
        filter.reset();
        filter
    }

    fn reset(&mut self) {
        // Silence before the stream, and the first output where the filter's centre is on its start.
        self.filled = self.table.taps - 1;
        self.buffer[..self.filled].fill(0.0);
        let (up, centre) = (self.table.up, self.table.centre);
        self.position = Position {
            start: centre / up,
            phase: centre % up,
        };
        self.consumed = 0;
        self.produced = 0;
    }

    fn output_len(&self, frames: usize) -> usize {
        let Table { up, down, taps, .. } = *self.table;
        // Windows that begin at or after the position, once `frames` more are in.
        let windows = (self.filled + frames + 1).saturating_sub(taps + self.position.start);
        (windows * up)
            .saturating_sub(self.position.phase)
            .div_ceil(down)
    }

    /// What is still missing for an output as long as the input, rounded up.
    fn outstanding(&self) -> u64 {
        let total = u128::from(self.consumed) * self.table.up as u128;
        total.div_ceil(self.table.down as u128) as u64 - self.produced
    }

    fn feed(&mut self, block: &[f32]) {
        // Keep what the next window can still see.
        let passed = self.position.start.min(self.filled);
        self.buffer.copy_within(passed..self.filled, 0);
        self.filled -= passed;
        self.position.start -= passed;
        self.buffer[self.filled..][..block.len()].copy_from_slice(block);
        self.filled += block.len();
        self.consumed += block.len() as u64;
    }

    fn produce(&mut self, out: &mut [f32]) -> usize {
        let count = kernel::run(
            &self.table,
            &self.buffer[..self.filled],
            &mut self.position,
            out,
        );
        self.produced += count as u64;
        count
    }
}

fn convert<O: Sample>(samples: &[f32], out: &mut [O]) {
    for (sample, place) in samples.iter().zip(out) {
        *place = O::from_unit(*sample);
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}
