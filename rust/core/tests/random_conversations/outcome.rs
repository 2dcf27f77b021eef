//! Checks what an act led to as a whole: interruptions, and what each frame must bring.

use std::collections::HashSet;

use crate::expectations::{Expectations, Interruption};
use crate::rules::{Check, Rule, broken, require};
use crate::watch::Batch;
use crate::wire::Fact;

/// Checks what an act interrupted.
pub fn interruption(
    batch: &Batch,
    expected: &Interruption,
    expect: &mut Expectations,
    now: u64,
) -> Check {
    if batch.truncates.is_empty()
        && batch.cancels.is_empty()
        && batch.interrupted.is_empty()
        && expected.cuts.is_empty()
        && expected.cancel.is_none()
    {
        return Ok(());
    }
    match expected.cancel {
        Some(id) => {
            require(
                batch.cancels == [id] || (expected.optional && batch.cancels.is_empty()),
                Rule::ActiveIsCancelled,
                || format!("cancelled {:?}, not resp_{id}", batch.cancels),
            )?;
            expect.silenced.extend(&batch.cancels);
        }
        None => require(batch.cancels.is_empty(), Rule::ActiveIsCancelled, || {
            format!("cancelled {:?}, without a cause", batch.cancels)
        })?,
    }
    let mut done = HashSet::new();
    for (item, index, ms) in &batch.truncates {
        let found = expected
            .cuts
            .iter()
            .find(|cut| cut.item == *item && cut.index == *index && !cut.apart);
        let new = done.insert((*item, *index));
        let Some(cut) = found.filter(|_| new) else {
            return broken(
                Rule::OnlyUnheardIsCut,
                format!("item_{item}/{index} is cut at {ms}, of {:?}", expected.cuts),
            );
        };
        require(ms.abs_diff(cut.ms) <= 1, Rule::CutIsWhatWasPlayed, || {
            format!("cut at {ms}: {cut:?}")
        })?;
    }
    let missing = expected
        .cuts
        .iter()
        .find(|cut| cut.required && !cut.apart && !done.contains(&(cut.item, cut.index)));
    require(missing.is_none(), Rule::UnheardIsCut, || {
        format!("not cut: {missing:?}")
    })?;
    let required = expected.cuts.iter().any(|cut| cut.required);
    require(
        !required || !batch.interrupted.is_empty(),
        Rule::InterruptionIsTold,
        || "no AudioInterrupted".to_owned(),
    )?;
    for response in &batch.interrupted {
        let cut = expected.cuts.iter().any(|cut| cut.response == *response);
        require(cut, Rule::InterruptionIsTold, || {
            format!("AudioInterrupted of resp_{response}, of which nothing was left")
        })?;
    }
    if !expected.cuts.is_empty() {
        expect.player.clear(&expected.cuts, &done, now);
    }
    Ok(())
}

/// Checks what a frame must have led to.
pub fn frame(fact: &Fact, batch: &Batch, expect: &Expectations) -> Check {
    match fact {
        Fact::Created {
            response, apart, ..
        } => {
            // One out of band is told when it ends.
            let expected: &[u32] = if *apart { &[] } else { &[*response] };
            require(batch.started == expected, Rule::ResponseIsPaired, || {
                format!("{:?} for resp_{response}", batch.started)
            })
        }
        Fact::Done { response, text, .. } => {
            let agent = expect.begun[response].0;
            let right = batch.ended.len() == 1
                && batch.ended[0].0 == *response
                && batch.ended[0].1 == agent
                && batch.ended[0].2 == *text;
            require(right, Rule::ResponseIsPaired, || {
                format!("{:?} for resp_{response}, {agent}, {text:?}", batch.ended)
            })
        }
        Fact::Sound { response, .. } => {
            let heard = batch.sounds == usize::from(!expect.silenced.contains(response));
            require(heard, Rule::SoundIsPassedOn, || {
                format!("{} sounds for {fact:?}", batch.sounds)
            })
        }
        Fact::Refused { .. } | Fact::NothingToCancel | Fact::OtherError => {
            require(batch.errors.len() == 1, Rule::NoFalseErrors, || {
                format!("{:?} for {fact:?}", batch.errors)
            })
        }
        _ => require(
            batch.started.is_empty() && batch.ended.is_empty(),
            Rule::ResponseIsPaired,
            || format!("{:?} {:?}", batch.started, batch.ended),
        ),
    }
}
