//! For any packets at any time, the sound is bounded and every packet is counted.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use stapes_core::audio::rtp::jitter::{JitterOptions, RtpPacket};
use stapes_core::audio::rtp::receiver::{FrameSource, OpusReceiver};

/// Milliseconds after the packet before, whether it is of another stream, sequence number, timestamp
/// in frames and ticks, payload.
type Step = (u8, bool, u8, u8, u16, Vec<u8>);

const RATE: u32 = 8_000;

fuzz_target!(|steps: Vec<Step>| {
    let options = JitterOptions { max_packets: 20, max_bytes: 4_000, ..<_>::default() };
    let mut receiver = OpusReceiver::new(RATE, options).expect("a legal rate");
    let (mut now, mut out, mut given) = (Duration::ZERO, Vec::new(), 0);
    let mut play = |receiver: &mut OpusReceiver, now| {
        out.clear();
        while let Some(frame) = receiver.poll(now, &mut out).expect("concealment never fails") {
            assert!(frame.samples > 0 && frame.samples <= RATE as usize * 120 / 1_000);
            given += u64::from(frame.arrived.is_some());
            assert!(frame.arrived.is_none() || frame.source != FrameSource::Silence);
        }
        // 20 packets, what is filled between them, and the longest silence.
        assert!(out.len() <= RATE as usize * 6);
    };
    for (elapsed, other, sequence, frame, ticks, payload) in steps {
        now += Duration::from_millis(elapsed.into());
        let packet = RtpPacket {
            ssrc: other.into(),
            // Near each other, over the point where they wrap around, but for every eighth.
            sequence: if sequence % 8 == 7 { u16::from(sequence) << 8 } else { sequence.into() }
                .wrapping_sub(100),
            timestamp: (u32::from(frame) * 960).wrapping_sub(96_000) ^ u32::from(ticks % 4),
            payload: Bytes::from(payload),
        };
        receiver.insert(packet, now);
        play(&mut receiver, now);
    }
    let mut polls = 0;
    while let Some(deadline) = receiver.next_deadline() {
        now = now.max(deadline);
        play(&mut receiver, now);
        polls += 1;
        assert!(polls < 200, "it comes to rest");
    }
    let stats = receiver.stats();
    assert_eq!(
        given + stats.late + stats.duplicates + stats.refused + stats.discarded,
        stats.received
    );
    assert!(stats.concealed_ticks + stats.recovered_ticks + stats.silence_ticks <= stats.ticks);
});
