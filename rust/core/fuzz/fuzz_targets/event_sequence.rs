//! The invariants of a conversation hold whatever happens, in whatever order.
//!
//! A line that begins with `{` is a frame of the server. Any other line is an act of the client: its
//! first byte names the act, its second is a number for it.
#![no_main]

#[path = "../../tests/invariants/mod.rs"]
mod invariants;

use invariants::{Act, Watched};
use libfuzzer_sys::fuzz_target;

fn act(line: &str) -> Option<Act> {
    if line.starts_with('{') {
        return Some(Act::Frame(line.to_owned()));
    }
    let mut bytes = line.bytes();
    let name = bytes.next()?;
    let number = usize::from(bytes.next().unwrap_or(0));
    Some(match name {
        b'm' => Act::SendMessage,
        b'c' => Act::Create,
        b'i' => Act::Interrupt,
        b'w' => Act::Wait(number as u32 * 200),
        b'a' => Act::Answer { call: number, respond: number % 2 == 0 },
        b'q' => Act::Ask { call: number },
        b'r' => Act::Resume { call: number },
        b'h' => Act::HandOff { call: number },
        b't' => Act::Trip { text: number % 2 == 0 },
        b'u' => Act::Rewrite { clear: number % 2 == 0 },
        b'l' => Act::Lose,
        b'x' => Act::Close,
        b'o' => Act::Connect,
        b'b' => Act::Binary(number),
        _ => Act::Frame(line.to_owned()),
    })
}

fuzz_target!(|text: &str| {
    let mut watched = Watched::new();
    for line in text.lines() {
        if let Some(act) = act(line) {
            watched.act(&act);
        }
    }
});
