//! The state of the filter for one stream.

use std::sync::Arc;

use super::bank::BankScratch;
use super::plan::Plan;
use super::simd::Isa;

/// The most input samples in one block, which bounds the memory for one call.
const BLOCK: usize = 1024;

/// The number of output samples to compute at a time, as far as blocks of input allow.
const OUT_BLOCK: usize = 2048;

/// The position of a stream in its plan.
#[derive(Debug)]
pub struct Filter {
    plan: Arc<Plan>,
    /// The history: the input from the beginning of the next output's window.
    past: Vec<f32>,
    /// The phase of the next output.
    phase: usize,
    consumed: u64,
    produced: u64,
}

impl Filter {
    pub fn new(plan: Arc<Plan>) -> Self {
        let past = Vec::with_capacity(plan.taps);
        let mut filter = Self {
            plan,
            past,
            phase: 0,
            consumed: 0,
            produced: 0,
        };
        filter.reset();
        filter
    }

    /// Begins a new stream.
    pub fn reset(&mut self) {
        // Silence before the stream, and the first output where the filter's centre is on its start.
        let Plan {
            up, taps, centre, ..
        } = *self.plan;
        self.past.clear();
        self.past.resize(taps - 1 - centre / up, 0.0);
        self.phase = centre % up;
        self.consumed = 0;
        self.produced = 0;
    }

    /// How much the filter holds back, in input samples.
    pub fn delay(&self) -> f64 {
        self.plan.centre as f64 / self.plan.up as f64
    }

    /// The memory that belongs to this stream alone, in bytes.
    pub fn memory(&self) -> usize {
        self.past.capacity() * size_of::<f32>()
    }

    /// The number of samples in one block.
    pub fn block(&self) -> usize {
        (OUT_BLOCK * self.plan.down / self.plan.up).clamp(1, BLOCK)
    }

    /// How many outputs `samples` more inputs complete.
    pub fn output_len(&self, samples: usize) -> usize {
        self.plan.ready(self.past.len() + samples, self.phase)
    }

    /// The number of outputs that are missing until the output is as long as the input, rounded up.
    pub fn outstanding(&self) -> usize {
        let total = u128::from(self.consumed) * self.plan.up as u128;
        (total.div_ceil(self.plan.down as u128) - u128::from(self.produced)) as usize
    }

    /// The samples to which the next ones must be appended.
    pub fn past(&self) -> &[f32] {
        &self.past
    }

    /// Computes every output that is complete in `input`, which is the history followed by new samples.
    pub fn advance(&mut self, input: &[f32], output: &mut Vec<f32>, scratch: &mut BankScratch) {
        self.consumed += (input.len() - self.past.len()) as u64;
        output.resize(self.plan.ready(input.len(), self.phase), 0.0);
        self.plan
            .run(Isa::detect(), input, self.phase, output, scratch);
        self.produced += output.len() as u64;
        let position = self.phase + output.len() * self.plan.down;
        self.phase = position % self.plan.up;
        self.past.clear();
        self.past
            .extend_from_slice(&input[position / self.plan.up..]);
    }

    /// Computes the outputs that are [`outstanding`](Self::outstanding) and begins a new stream.
    pub fn finish(
        &mut self,
        input: &mut Vec<f32>,
        output: &mut Vec<f32>,
        scratch: &mut BankScratch,
    ) {
        // Their windows end within the filter's length of silence.
        input.clear();
        input.extend_from_slice(&self.past);
        input.resize(self.past.len() + self.plan.taps, 0.0);
        output.resize(self.outstanding(), 0.0);
        self.plan
            .run(Isa::detect(), input, self.phase, output, scratch);
        self.reset();
    }
}
