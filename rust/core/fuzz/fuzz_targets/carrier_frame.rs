//! For anything that a carrier sends, a leg goes on or ends, and its messages stay within the wire's limits.
//!
//! The first byte names the carrier. Each line after it is a frame of the carrier or an act of this side: `b`
//! is a binary frame or a piece of the byte stream, `p` plays, `c` clears, `z` pauses, `y` goes on, `w` waits, `h`
//! hangs up; anything else is a text frame.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use stapes_core::audio::AudioFormat;
use stapes_core::calls::carriers::{CarrierOptions, NAMES, by_name};
use stapes_core::calls::{Effects, Leg, LegOptions};
use stapes_core::transport::{Frame, Outgoing};

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let name = NAMES[usize::from(*first) % NAMES.len()];
    let options = CarrierOptions { is_big_endian: first & 0x80 != 0, ..CarrierOptions::default() };
    let carrier = by_name(name, options).expect("a known name");
    let (mut now, mut batch) = (Duration::ZERO, Vec::new());
    let mut leg = Leg::new(carrier, LegOptions::default(), now);
    for line in rest.split(|byte| *byte == b'\n') {
        let mut effects = Effects::default();
        let number = line.get(1).copied().unwrap_or(1);
        match line.first() {
            Some(b'b') => leg.receive(Frame::Binary(&line[1..]), now, &mut effects),
            Some(b'p') => {
                let format = AudioFormat::Pcm { rate: 8_000 * (1 + u32::from(number % 3)) };
                leg.play(&vec![1; usize::from(number) * 101], format, now);
            }
            Some(b'c') => leg.clear(now),
            Some(b'z' | b'y') => {
                leg.pause_output(line[0] == b'z', now);
            }
            Some(b'w') => {
                now += Duration::from_millis(u64::from(number) * 7);
                leg.handle_timeout(now, &mut effects);
            }
            Some(b'h') => leg.hang_up(number % 2 == 0, now),
            _ => {
                if let Ok(text) = std::str::from_utf8(line) {
                    leg.receive(Frame::Text(text), now, &mut effects);
                }
            }
        }
        assert!(leg.poll_timeout(now).is_some() || leg.is_over());
        // Gaps are filled for 10 s at most, by each of the frames that a line may hold.
        assert!(effects.sound.len() <= 192_000 * 2 * 10 * (1 + line.len() / 3));
        leg.take_outgoing(&mut batch, usize::MAX);
        for message in batch.drain(..) {
            match message {
                Outgoing::Binary(bytes) => assert!((1..=65_500).contains(&bytes.len())),
                Outgoing::Text(text) => assert!(text.len() <= 128 || name != "asterisk"),
                Outgoing::Close { .. } => assert!(leg.is_over()),
            }
        }
    }
});
