//! A line with a delay: what is sent over it arrives later, in its order.

use std::collections::VecDeque;

use crate::clock::MS;
use crate::script::Random;

/// Between a server and a phone, in ns.
#[derive(Debug, Default, Clone, Copy)]
pub struct Line {
    pub out: u64,
    pub back: u64,
    pub jitter: u64,
    /// How long the phone fills its buffer before it plays.
    pub start: u64,
}

impl Line {
    /// A line of 20 to 120 ms one way, with 10 ms of jitter, to a phone with a buffer of up to 100 ms.
    pub fn long(call: u16) -> Self {
        let mut random = Random::new(u64::from(call) + 1);
        let mut between = |least: u64, most: u64| (least + random.next() % (most - least + 1)) * MS;
        Self {
            out: between(20, 120),
            back: between(20, 120),
            jitter: 10 * MS,
            start: between(0, 100),
        }
    }
}

/// What is on the way.
#[derive(Debug)]
pub struct Way<T> {
    delay: u64,
    jitter: u64,
    random: Random,
    sent: VecDeque<(u64, T)>,
}

impl<T> Way<T> {
    pub fn new(delay: u64, jitter: u64) -> Self {
        Self {
            delay,
            jitter,
            random: Random::new(delay),
            sent: VecDeque::new(),
        }
    }

    pub fn send(&mut self, now: u64, message: T) {
        let jitter = if self.jitter == 0 {
            0
        } else {
            self.random.next() % self.jitter
        };
        let last = self.sent.back().map_or(0, |(at, _)| *at);
        self.sent
            .push_back(((now + self.delay + jitter).max(last), message));
    }

    /// When the next one arrives.
    pub fn due(&self) -> u64 {
        self.sent.front().map_or(u64::MAX, |(at, _)| *at)
    }

    pub fn arrived(&mut self, now: u64) -> Option<T> {
        if self.due() > now {
            return None;
        }
        self.sent.pop_front().map(|(_, message)| message)
    }
}
