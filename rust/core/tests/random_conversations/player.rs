//! What the listener hears: the parts that were passed on, one after the other.

use std::collections::{HashMap, HashSet};

/// A part of an answer that was passed on for playback.
#[derive(Debug, Clone)]
pub struct Part {
    pub response: u32,
    pub item: u32,
    pub index: usize,
    /// Out of band: the server's conversation does not have it.
    pub apart: bool,
    /// Where it begins on the stream, and its length, in milliseconds.
    start: u64,
    pub length: u64,
    /// The server said that it has ended.
    stated: bool,
    /// Something else lets one infer that it has ended.
    inferred: bool,
}

/// A part that an interruption cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    pub response: u32,
    pub item: u32,
    pub index: usize,
    pub apart: bool,
    pub ms: u64,
    /// False where it may be left alone as well.
    pub required: bool,
}

#[derive(Debug, Default)]
pub struct Player {
    parts: Vec<Part>,
    /// All that was passed on, in milliseconds.
    total: u64,
    /// When all of it will have been played, by the clock.
    ends: u64,
    /// The position by the player's reports, where those count.
    reported: Option<u64>,
    ended: HashSet<u32>,
    /// How much of each response was passed on, without what was cut off.
    pub heard_of: HashMap<u32, u64>,
    /// The items and parts of which sound was passed on.
    pub voiced: HashSet<(u32, usize)>,
    /// Every cut so far.
    pub cuts: HashMap<(u32, usize), u64>,
}

impl Player {
    pub fn new(reports: bool) -> Self {
        Self {
            reported: reports.then_some(0),
            ..Self::default()
        }
    }

    pub fn sound(
        &mut self,
        response: u32,
        apart: bool,
        item: u32,
        index: usize,
        ms: u64,
        now: u64,
    ) {
        self.voiced.insert((item, index));
        let is = |part: &Part| part.item == item && part.index == index;
        if !self.parts.last().is_some_and(is) {
            for part in &mut self.parts {
                part.inferred |= part.response == response;
            }
            self.parts.push(Part {
                response,
                item,
                index,
                apart,
                start: self.total,
                length: 0,
                stated: false,
                inferred: self.ended.contains(&response),
            });
        }
        if let Some(part) = self.parts.last_mut() {
            part.length += ms;
        }
        *self.heard_of.entry(response).or_default() += ms;
        self.total += ms;
        self.ends = self.ends.max(now) + ms;
        self.forget_heard(now);
    }

    pub fn sound_ends(&mut self, item: u32, index: usize, stated: bool) {
        for part in &mut self.parts {
            if part.item == item && part.index == index {
                part.inferred = true;
                part.stated |= stated;
            }
        }
    }

    pub fn response_ends(&mut self, response: u32) {
        self.ended.insert(response);
        for part in &mut self.parts {
            part.stated |= part.response == response;
        }
    }

    /// The position on the stream.
    fn heard(&self, now: u64) -> u64 {
        self.reported
            .unwrap_or_else(|| self.total - self.ends.saturating_sub(now))
    }

    fn forget_heard(&mut self, now: u64) {
        let heard = self.heard(now);
        if self.parts.len() > 64 {
            self.parts
                .retain(|part| !part.stated || part.start + part.length > heard);
        }
    }

    /// The user's player moves on by up to `ms`. Returns its report: item, part, position in it.
    pub fn play(&mut self, ms: u64) -> Option<(u32, usize, u64)> {
        let position = (self.reported? + ms).min(self.total);
        let part = self.parts.iter().rev().find(|part| part.start < position)?;
        self.reported = Some(position);
        Some((
            part.item,
            part.index,
            (position - part.start).min(part.length),
        ))
    }

    /// The parts that an interruption cuts now.
    pub fn unheard(&self, now: u64) -> Vec<Cut> {
        let heard = self.heard(now);
        self.parts
            .iter()
            .filter_map(|part| {
                let played = heard.saturating_sub(part.start).min(part.length);
                let whole = played >= part.length;
                if whole && part.stated {
                    return None;
                }
                Some(Cut {
                    response: part.response,
                    item: part.item,
                    index: part.index,
                    apart: part.apart,
                    ms: played,
                    required: !(whole && part.inferred),
                })
            })
            .collect()
    }

    pub fn reports(&self) -> bool {
        self.reported.is_some()
    }

    /// The parts were cut, or heard: the player is empty. `made`: the items and parts that were cut.
    pub fn clear(&mut self, cuts: &[Cut], made: &HashSet<(u32, usize)>, now: u64) {
        for cut in cuts {
            let part = |part: &&Part| part.item == cut.item && part.index == cut.index;
            let length = self.parts.iter().find(part).map_or(0, |part| part.length);
            *self.heard_of.entry(cut.response).or_default() -= length - cut.ms;
            if cut.required || made.contains(&(cut.item, cut.index)) {
                self.cuts.insert((cut.item, cut.index), cut.ms);
            }
        }
        self.parts.clear();
        self.ends = now;
        if let Some(position) = &mut self.reported {
            *position = self.total;
        }
    }
}
