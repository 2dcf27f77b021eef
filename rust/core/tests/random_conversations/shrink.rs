//! Makes a conversation that breaks a rule shorter, as long as it still breaks that rule.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::rules::{Check, Rule, Violation};
use crate::steps::Plan;

/// Runs a conversation; a panic is a broken rule.
pub fn run(plan: &Plan, traced: bool) -> (Check, Vec<String>) {
    catch_unwind(AssertUnwindSafe(|| plan.run(traced))).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let violation = Violation {
            rule: Rule::NoPanic,
            what: text.unwrap_or_default(),
        };
        (Err(violation), Vec::new())
    })
}

fn breaks(plan: &Plan, rule: Rule) -> bool {
    matches!(run(plan, false).0, Err(violation) if violation.rule == rule)
}

pub fn shrink(plan: &Plan, rule: Rule) -> Plan {
    let mut best = plan.clone();
    loop {
        let before = (best.steps.clone(), best.persona.clone());
        for persona in best.persona.simpler() {
            let candidate = Plan {
                persona,
                ..best.clone()
            };
            if breaks(&candidate, rule) {
                best = candidate;
                break;
            }
        }
        let mut size = best.steps.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < best.steps.len() {
                let mut candidate = best.clone();
                let end = (at + size).min(candidate.steps.len());
                candidate.steps.drain(at..end);
                if breaks(&candidate, rule) {
                    best = candidate;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        for at in 0..best.steps.len() {
            // The first number that does is simpler than any.
            for seed in (0..40).take_while(|seed| *seed < best.steps[at].seed) {
                let mut candidate = best.clone();
                candidate.steps[at].seed = seed;
                if breaks(&candidate, rule) {
                    best = candidate;
                    break;
                }
            }
        }
        if before == (best.steps.clone(), best.persona.clone()) {
            return best;
        }
    }
}
