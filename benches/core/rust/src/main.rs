//! `stapes-core-bench`: holds one scripted conversation through the core of stapes, N times.
//!
//! No network, no Python, one thread, a virtual clock: a profiler counts the same instructions in
//! each run. The frames are written before the first conversation begins, so the difference between
//! two values of N is the cost of the core alone.
//!
//! `stapes-core-bench N reconnect` holds them in sessions that outlive their connections, as they are by
//! default; none is lost.
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
    let mut arguments = std::env::args().skip(1);
    let conversations = arguments.next().map_or(Ok(1), |n| n.parse::<usize>())?;
    let reconnects = arguments.next().is_some_and(|word| word == "reconnect");
    let counts = hold(conversations, reconnects)?;
    writeln!(io::stdout(), "{}", counts.to_json(script::TURNS))?;
    Ok(())
}

fn hold(conversations: usize, reconnects: bool) -> Result<Counts, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (steps, pcm) = (script::conversation(), script::microphone());
    let mut counts = Counts::default();
    for _ in 0..conversations {
        Call::new(runtime.handle(), reconnects)?.hold(&steps, &pcm, &mut counts)?;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conversation_goes_as_scripted() {
        let counts = hold(1, true).expect("the core takes every step");
        assert_eq!((counts.function_calls, counts.responses), (6, 26));
        // 16 whole answers and four that speech interrupted.
        assert_eq!(counts.audio, 16 * 50 + 4 * 30);
        assert_eq!(counts.audio_bytes, counts.audio * 4_800);
        assert_eq!(counts.errors, 0);
        assert!(counts.interruptions >= 4);
    }
}
