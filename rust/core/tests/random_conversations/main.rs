//! Random conversations with a model server that keeps to the protocol, checked by rules that need
//! no reference implementation.
//!
//! A conversation follows from its seed. One that breaks a rule is made shorter, and told step by
//! step:
//!
//! ```text
//! RANDOM_CONVERSATIONS_SEED=17 cargo test -p stapes-core --test random_conversations
//! RANDOM_CONVERSATIONS_SECONDS=60 cargo test -p stapes-core --test random_conversations
//! ```

#![expect(clippy::print_stdout, reason = "what was run is told")]

mod answers;
mod client;
mod expectations;
mod items;
mod outcome;
mod persona;
mod player;
mod rest;
mod rng;
mod rules;
mod server;
mod shrink;
mod steps;
mod trace;
mod watch;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rng::Rng;
use rules::Rule;
use steps::Plan;

/// How many conversations are held where no time is given: a few seconds' worth.
const CONVERSATIONS: usize = 20_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs the conversation of a seed. Returns its length, and the rule that it broke.
fn run(seed: u64) -> (usize, Option<Rule>) {
    let plan = Plan::draw(seed);
    let rule = shrink::run(&plan, false).0.err().map(|it| it.rule);
    (plan.steps.len(), rule)
}

/// What happens in the conversation of a seed that breaks `rule`, told as shortly as possible.
fn report(seed: u64, rule: Rule) -> String {
    let short = shrink::shrink(&Plan::draw(seed), rule);
    let (result, trace) = shrink::run(&short, true);
    let mut report = format!("seed {seed}, {:?}\n{}\n", short.persona, trace.join("\n"));
    if let Err(violation) = result {
        let _ = writeln!(report, "{violation}");
    }
    report
}

#[test]
fn the_rules_hold_in_random_conversations() {
    if let Some(seed) = number("RANDOM_CONVERSATIONS_SEED") {
        if let Some(rule) = run(seed).1 {
            panic!("{}", report(seed, rule));
        }
        return;
    }
    let seconds = number("RANDOM_CONVERSATIONS_SECONDS");
    // A short run always has the same conversations, a long one others.
    let mut seeds = Rng::new(seconds.map_or(1, |_| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| now.as_nanos() as u64)
    }));
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let (mut conversations, mut steps) = (0, 0);
    let mut broken: BTreeMap<Rule, (usize, u64)> = BTreeMap::new();
    while until.map_or(conversations < CONVERSATIONS, |until| {
        Instant::now() < until
    }) {
        let seed = seeds.next();
        let (length, rule) = run(seed);
        conversations += 1;
        steps += length;
        if let Some(rule) = rule {
            broken.entry(rule).or_insert((0, seed)).0 += 1;
        }
    }
    println!("{conversations} conversations, {steps} steps; broken: {broken:?}");
    let reports: Vec<String> = broken
        .iter()
        .map(|(rule, (_, seed))| report(*seed, *rule))
        .collect();
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}
