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
    let counts = hold(conversations)?;
    writeln!(io::stdout(), "{}", counts.to_json(script::TURNS))?;
    Ok(())
}

fn hold(conversations: usize) -> Result<Counts, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (steps, pcm) = (script::conversation(), script::microphone());
    let mut counts = Counts::default();
    for _ in 0..conversations {
        Call::new(runtime.handle())?.hold(&steps, &pcm, &mut counts)?;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conversation_goes_as_scripted() {
        let counts = hold(1).expect("the core takes every step");
        assert_eq!((counts.function_calls, counts.responses), (6, 26));
        // 16 whole answers and four that speech interrupted.
        assert_eq!(counts.audio, 16 * 50 + 4 * 30);
        assert_eq!(counts.audio_bytes, counts.audio * 4_800);
        assert_eq!(counts.errors, 0);
        assert!(counts.interruptions >= 4);
    }
}
