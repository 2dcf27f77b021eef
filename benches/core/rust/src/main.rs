//! `stapes-core-bench`: holds one scripted conversation through the core of stapes, N times.
//!
//! No network, no Python, one thread, a virtual clock: a profiler counts the same instructions in
//! each run. The frames are written before the first conversation begins, so the difference between
//! two values of N is the cost of the core alone.
//!
//! Prints what the conversations did as one line of JSON. Two builds can be compared if they print
//! the same line.

mod call;
mod counts;
mod script;

use std::error::Error;
use std::io::{self, Write};

use call::Call;
use counts::Counts;

fn main() -> Result<(), Box<dyn Error>> {
    let conversations = std::env::args()
        .nth(1)
        .map_or(Ok(1), |n| n.parse::<usize>())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (steps, pcm) = (script::conversation(), script::microphone());
    let mut counts = Counts::default();
    for _ in 0..conversations {
        Call::new(runtime.handle())?.hold(&steps, &pcm, &mut counts)?;
    }
    writeln!(io::stdout(), "{}", counts.to_json(script::TURNS))?;
    Ok(())
}
