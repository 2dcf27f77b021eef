//! From what is known of both ends of the calls to numbers.

use std::cell::RefCell;
use std::rc::Rc;

use phone_load::call::{Call, Item};
use phone_load::clock::MS;
use phone_load::report::spread;
use phone_load::script::{CYCLE_MS, SOUND_MS};
use serde_json::{Map, Value, json};

use crate::page::Page;

/// The caller's sound, or an answer's, pauses if nothing comes for longer than this beyond what is usual.
const GAP: u64 = 40 * MS;

/// How much sound servers send to the model at once.
const BATCH: u64 = 80 * MS;

/// Packets of an answer, without silence that may follow it.
const PACKETS: u64 = SOUND_MS as u64 / 20;

/// Both ends of a call, and what the model had heard of it when the window began and ended, in milliseconds.
pub struct Ends {
    pub call: Rc<RefCell<Call>>,
    pub page: Rc<RefCell<Page>>,
    pub heard_ms: [f64; 2],
}

/// The time that is looked at, and until when anything was written down.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub from: u64,
    pub to: u64,
    pub end: u64,
}

impl Window {
    fn has(self, time: u64) -> bool {
        (self.from..self.to).contains(&time)
    }
}

fn ms(ns: u64) -> f64 {
    ns as f64 / MS as f64
}

#[derive(Default)]
struct Sums {
    out: Vec<f64>,
    into: Vec<f64>,
    late: Vec<f64>,
    targets: Vec<f64>,
    answers: u64,
    unheard: u64,
    packets: u64,
    lost: u64,
    short: u64,
    spoken: f64,
    spaces: u64,
    gaps: u64,
    longest: u64,
    in_gaps: u64,
    in_longest: u64,
    in_missing_ms: f64,
    bursts: u64,
    pages_lost: u64,
    models_lost: u64,
    messages: u64,
}

pub fn figures(calls: &[Ends], window: Window) -> Map<String, Value> {
    let mut sums = Sums::default();
    for ends in calls {
        let (call, page) = (ends.call.borrow(), ends.page.borrow());
        sums.add_answers(&call, &page, window);
        sums.add_microphone(&call, ends.heard_ms, window);
        sums.targets.extend(&page.targets);
        sums.messages += page.messages;
        sums.pages_lost += u64::from(page.lost.is_some());
        sums.models_lost += u64::from(call.model_lost.is_some());
    }
    let per_s = if sums.spoken > 0.0 {
        sums.spaces as f64 / sums.spoken
    } else {
        0.0
    };
    let found = json!({
        "answers": sums.answers,
        "answers_unheard": sums.unheard,
        "packets": sums.packets,
        "packets_lost": sums.lost,
        "packets_short": sums.short,
        "packets_per_s": per_s,
        "gaps": sums.gaps,
        "longest_gap_ms": ms(sums.longest),
        "out_ms": spread(sums.out),
        "in_ms": spread(sums.into),
        "in_bursts": sums.bursts,
        "in_missing_ms": sums.in_missing_ms,
        "in_gaps": sums.in_gaps,
        "in_longest_ms": ms(sums.in_longest),
        "target_ms": spread(sums.targets),
        "tick_late_ms": spread(sums.late),
        "pages_lost": sums.pages_lost,
        "models_lost": sums.models_lost,
        "messages": sums.messages,
    });
    match found {
        Value::Object(found) => found,
        _ => Map::new(),
    }
}

impl Sums {
    /// What the page heard of the answers that it can have heard to their end.
    fn add_answers(&mut self, call: &Call, page: &Page, window: Window) {
        for (place, item) in call.items.iter().enumerate() {
            if !window.has(item.started) || item.started + CYCLE_MS * MS > window.end {
                continue;
            }
            let next = call.items.get(place + 1).map_or(u64::MAX, |it| it.started);
            let begin = page.packets.partition_point(|(at, _)| *at < item.started);
            let end = page.packets.partition_point(|(at, _)| *at < next);
            self.answers += 1;
            self.add_answer(item, &page.packets[begin..end]);
        }
    }

    fn add_answer(&mut self, item: &Item, packets: &[(u64, u16)]) {
        let Some((first, _)) = packets.first() else {
            self.unheard += 1;
            return;
        };
        self.out.push(ms(first - item.started));
        self.packets += packets.len() as u64;
        for pair in packets.windows(2) {
            let step = pair[1].1.wrapping_sub(pair[0].1);
            self.lost += u64::from(step.saturating_sub(1));
        }
        let interrupted = item.spoke_at.filter(|_| item.is_interrupted);
        let until = interrupted.unwrap_or(u64::MAX);
        let whole = &packets[..packets.partition_point(|(at, _)| *at < until)];
        let mut spaces: Vec<u64> = whole.windows(2).map(|it| it[1].0 - it[0].0).collect();
        self.spaces += spaces.len() as u64;
        self.spoken += spaces.iter().sum::<u64>() as f64 / 1e9;
        match (interrupted, whole.last()) {
            // It must not have ended before it was interrupted.
            (Some(until), Some((at, _))) => spaces.push(until - at),
            _ => self.short += PACKETS.saturating_sub(packets.len() as u64),
        }
        self.gaps += spaces.iter().filter(|it| **it > GAP).count() as u64;
        self.longest = spaces.into_iter().fold(self.longest, u64::max);
    }

    /// What the model heard of the caller.
    fn add_microphone(&mut self, call: &Call, heard_ms: [f64; 2], window: Window) {
        let delays = call.in_latency.iter().filter(|(at, _)| window.has(*at));
        let before = self.into.len();
        self.into.extend(delays.map(|(_, delay)| ms(*delay)));
        self.bursts += (self.into.len() - before) as u64;
        let frames = call.frames.iter().zip(&call.late);
        let late: Vec<f64> = frames
            .filter(|(at, _)| window.has(**at))
            .map(|(_, late)| f64::from(*late))
            .collect();
        let said = late.len() as f64 * 20.0;
        self.late.extend(late);
        // What is in a batch at either end is not missing.
        let missing = said - (heard_ms[1] - heard_ms[0]) - 2.0 * ms(BATCH);
        self.in_missing_ms += missing.max(0.0);
        for pair in call.appended.windows(2).filter(|it| window.has(it[0])) {
            self.in_gaps += u64::from(pair[1] - pair[0] > BATCH + GAP);
            self.in_longest = self.in_longest.max(pair[1] - pair[0]);
        }
    }
}
