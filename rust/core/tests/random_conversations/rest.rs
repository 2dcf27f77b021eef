//! What must hold when nothing is under way any more.

use std::collections::HashSet;

use stapes_core::conversation::{ItemKind, Progress};

use crate::expectations::Wish;
use crate::items::Kind;
use crate::rng::Rng;
use crate::rules::{Check, Rule, Violation, broken, require};
use crate::watch::heard_of;
use crate::wire::number;
use crate::world::World;

impl World {
    /// Answers the calls that do not wait for approval. Returns whether there were any.
    pub fn answer_all(&mut self, rng: &mut Rng) -> Result<bool, Violation> {
        let mut any = false;
        while let Some(at) = self.calls.iter().position(|call| !call.awaits_approval) {
            self.answer(at, rng.chance(85))?;
            any = true;
        }
        Ok(any)
    }

    pub fn at_rest(&self) -> Check {
        let due = self.conversation.poll_timeout();
        require(due.is_none(), Rule::NobodyWaits, || {
            format!("a deadline at {due:?}")
        })?;
        require(self.expect.in_flight.is_none(), Rule::NobodyWaits, || {
            format!("{:?} is unanswered", self.expect.in_flight)
        })?;
        let over = self.watch.sound_is_over() || !self.persona.says_audio_done;
        require(over, Rule::SoundIsPaired, || {
            "AudioStarted is not followed by an end".to_owned()
        })?;
        for wish in &self.expect.wishes {
            let since = match wish {
                Wish::Item(id) => self.server.items.get(id).map(|item| item.added),
                Wish::Output(call) => self.server.answered.get(call).copied(),
                Wish::Since(tick) => Some(*tick),
            };
            let answered = since.is_none_or(|since| self.server.last_answer > since);
            require(answered, Rule::ModelIsAsked, || {
                format!("no response follows {wish:?}")
            })?;
        }
        for n in &self.expect.payloads {
            let granted = self.server.granted.get(n).copied().unwrap_or(0);
            require(granted == 1, Rule::ModelIsAsked, || {
                format!("request {n} is granted {granted} times")
            })?;
        }
        if !self.expect.player.reports() {
            let told = &self.watch.played;
            require(
                *told == self.expect.player.heard_of,
                Rule::EndOfPlaybackIsTold,
                || format!("{told:?}, heard: {:?}", self.expect.player.heard_of),
            )?;
        }
        self.calls_at_rest()?;
        self.history_at_rest()
    }

    fn calls_at_rest(&self) -> Check {
        for (call, answered) in &self.server.calls {
            let of_this = |open: &&crate::world::OpenCall| {
                number(&open.call.call_id) == Some(*call) && open.awaits_approval
            };
            let expected = u32::from(!self.calls.iter().any(|open| of_this(&open)));
            let right =
                *answered == expected || (*answered == 0 && self.server.void.contains(call));
            require(right, Rule::CallIsAnswered, || {
                format!("call_{call} is answered {answered} times, not {expected}")
            })?;
        }
        Ok(())
    }

    fn history_at_rest(&self) -> Check {
        let history = self.conversation.history();
        require(history == self.watch.told, Rule::HistoryIsTold, || {
            "the last HistoryUpdated has another history".to_owned()
        })?;
        let mut seen = HashSet::new();
        for item in history.iter() {
            let Some(id) = number(&item.id) else {
                return broken(Rule::NoDuplicates, "an item without an id");
            };
            require(seen.insert(id), Rule::NoDuplicates, || {
                format!("item_{id} twice")
            })?;
            let waits = self
                .calls
                .iter()
                .any(|open| open.awaits_approval && open.call.item_id == item.id);
            let unfinished = match &item.kind {
                ItemKind::Message { status, .. } => *status == Some(Progress::InProgress),
                ItemKind::FunctionCall { status, output, .. } => {
                    !waits && (*status == Progress::InProgress || output.is_none())
                }
                _ => false,
            };
            require(!unfinished, Rule::NothingHalfDone, || format!("{item:?}"))?;
        }
        let theirs: HashSet<u32> = self
            .server
            .order
            .iter()
            .copied()
            .filter(|id| self.server.items[id].kind != Kind::Output)
            .filter(|id| seen.contains(id) || !self.server.void.contains(id))
            .collect();
        require(seen == theirs, Rule::HistoryIsTheServers, || {
            let more: Vec<_> = seen.difference(&theirs).collect();
            let fewer: Vec<_> = theirs.difference(&seen).collect();
            format!("too many: {more:?}, missing: {fewer:?}")
        })?;
        let place = |id: &u32| {
            history
                .iter()
                .position(|item| number(&item.id) == Some(*id))
        };
        let places: Vec<usize> = self.server.order.iter().filter_map(place).collect();
        let late = self.persona.calls.comes_late();
        require(late || places.is_sorted(), Rule::HistoryIsInOrder, || {
            format!("{:?} is {places:?}", self.server.order)
        })?;
        let unvoiced = self.expect.unheard_words().into_iter();
        let unvoiced = unvoiced.map(|part| (part, 0));
        let cuts = self.expect.player.cuts.iter();
        for ((item, index), ms) in cuts.map(|(part, ms)| (*part, *ms)).chain(unvoiced) {
            if let Some(heard) = heard_of(&history, item, index) {
                require(heard == Some(ms), Rule::HistoryShowsTheCut, || {
                    format!("item_{item}/{index}: {heard:?}, cut at {ms}")
                })?;
            }
        }
        Ok(())
    }
}
