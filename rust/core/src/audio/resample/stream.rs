//! The resampler of one stream.

use std::cell::RefCell;

use thiserror::Error;

use super::bank::BankScratch;
use super::filter::Filter;
use super::plan::Plan;
use crate::audio::Sample;

/// Rates outside of this range are refused, in samples per second.
pub const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;

/// Samples per block when the rates are equal.
const PASS_BLOCK: usize = 1024;

/// Why there is no resampler for a pair of rates.
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
    /// The common divisor of the rates is so small that the filter's table would be too large.
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
    /// Interleaved left and right, which are averaged.
    Stereo,
}

/// Converts one stream of sound to another sample rate.
///
/// The output depends on the samples only, not on how they are split into calls. It is aligned with the
/// input: output sample `n` is at the time `n / to`, and after [`flush`](Self::flush) the output is as
/// long as the input. The output of the first call is therefore shorter than its input, by
/// [`delay`](Self::delay).
///
/// Memory: the filter's length in input samples, 4 bytes each (352 bytes for 24 to 48 kHz, 2 KiB for
/// 48 to 8 kHz), and a little more.
#[derive(Debug)]
pub struct Resampler {
    from: u32,
    to: u32,
    channels: Channels,
    /// The left sample of a stereo frame whose right sample has not arrived yet.
    unpaired: Option<f32>,
    /// `None` if the rates are equal.
    filter: Option<Filter>,
}

/// The buffers of one call, shared by all streams of a thread.
#[derive(Default)]
struct Workbench {
    /// The history of a stream and a block of new samples.
    input: Vec<f32>,
    /// The results of a block.
    output: Vec<f32>,
    scratch: BankScratch,
}

thread_local! {
    static WORKBENCH: RefCell<Workbench> = RefCell::default();
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
            let plan = Plan::shared(up, down).ok_or(ResampleError::Ratio { from, to })?;
            Some(Filter::new(plan))
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
        self.filter.as_ref().map_or(0.0, Filter::delay) / f64::from(self.from)
    }

    /// The memory of this stream, in bytes, without the plan that it shares with others.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.filter.as_ref().map_or(0, Filter::memory)
    }

    /// The number of samples that [`process`](Self::process) appends for an input of `samples` samples (not
    /// frames).
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

    /// The number of samples that [`flush`](Self::flush) appends.
    pub fn flush_len(&self) -> usize {
        self.filter.as_ref().map_or(0, Filter::outstanding)
    }

    /// Resamples `input` and appends the samples that are complete to `out`.
    pub fn process<I: Sample, O: Sample>(&mut self, input: &[I], out: &mut Vec<O>) {
        let start = out.len();
        out.resize(start + self.output_len(input.len()), O::default());
        self.process_into(input, &mut out[start..]);
    }

    /// Resamples `input` into `out`, which must have the length [`output_len`](Self::output_len).
    ///
    /// # Panics
    /// When it has another length.
    pub fn process_into<I: Sample, O: Sample>(&mut self, input: &[I], out: &mut [O]) {
        let length = self.output_len(input.len());
        assert_eq!(out.len(), length, "out must have output_len's length");
        WORKBENCH.with_borrow_mut(|workbench| {
            let mut written = 0;
            let mut rest = input;
            while !rest.is_empty() {
                rest = self.take_block(rest, workbench);
                let results = &workbench.output;
                for (sample, place) in results.iter().zip(&mut out[written..]) {
                    *place = O::from_unit(*sample);
                }
                written += results.len();
            }
        });
    }

    /// Ends the stream: appends the samples that are held back to `out`. The next input begins a new
    /// stream. Half a stereo frame is dropped.
    pub fn flush<O: Sample>(&mut self, out: &mut Vec<O>) {
        let start = out.len();
        out.resize(start + self.flush_len(), O::default());
        self.flush_into(&mut out[start..]);
    }

    /// As [`flush`](Self::flush), into `out`, which must have the length [`flush_len`](Self::flush_len).
    ///
    /// # Panics
    /// When it has another length.
    pub fn flush_into<O: Sample>(&mut self, out: &mut [O]) {
        let length = self.flush_len();
        assert_eq!(out.len(), length, "out must have flush_len's length");
        self.unpaired = None;
        let Some(filter) = &mut self.filter else {
            return;
        };
        WORKBENCH.with_borrow_mut(
            |Workbench {
                 input,
                 output,
                 scratch,
             }| {
                filter.finish(input, output, scratch);
                for (sample, place) in output.iter().zip(out) {
                    *place = O::from_unit(*sample);
                }
            },
        );
    }

    /// Drops the stream: the next input begins a new one.
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

    /// [`flush`](Self::flush) for 16-bit samples.
    pub fn flush_i16(&mut self, out: &mut Vec<i16>) {
        self.flush(out);
    }

    /// Processes a block from the beginning of `input`, leaves the result in the workbench, and returns
    /// the rest of `input`.
    fn take_block<'i, I: Sample>(&mut self, input: &'i [I], bench: &mut Workbench) -> &'i [I] {
        match &mut self.filter {
            None => {
                bench.output.clear();
                let unpaired = &mut self.unpaired;
                append_mono(
                    self.channels,
                    unpaired,
                    input,
                    PASS_BLOCK,
                    &mut bench.output,
                )
            }
            Some(filter) => {
                bench.input.clear();
                bench.input.extend_from_slice(filter.past());
                let unpaired = &mut self.unpaired;
                let block = filter.block();
                let rest = append_mono(self.channels, unpaired, input, block, &mut bench.input);
                filter.advance(&bench.input, &mut bench.output, &mut bench.scratch);
                rest
            }
        }
    }
}

/// Appends about `block` mono samples from `input` to `samples`; returns the rest of `input`.
fn append_mono<'i, I: Sample>(
    channels: Channels,
    unpaired: &mut Option<f32>,
    input: &'i [I],
    block: usize,
    samples: &mut Vec<f32>,
) -> &'i [I] {
    match channels {
        Channels::Mono => {
            let (now, later) = input.split_at(input.len().min(block));
            samples.extend(now.iter().map(|sample| sample.to_unit()));
            later
        }
        Channels::Stereo => {
            let mut input = input;
            if let [right, rest @ ..] = input
                && let Some(left) = unpaired.take()
            {
                samples.push(left.midpoint(right.to_unit()));
                input = rest;
            }
            let (now, later) = input.split_at(input.len().min(2 * block));
            let (frames, half) = now.as_chunks();
            let average = |[left, right]: &[I; 2]| left.to_unit().midpoint(right.to_unit());
            samples.extend(frames.iter().map(average));
            if let [left] = half {
                *unpaired = Some(left.to_unit());
            }
            later
        }
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}
