//! What callers and model say: speech from a file, as it goes over the wire.

use std::fs;

use bytes::Bytes;
use phone_load::script::SOUND_MS;
use phone_load::sound::{BURST_EVERY, is_loud, quiet_or_burst_24k, say_in_answers};
use stapes_core::audio::opus::{EncoderSettings, OpusDecoder, OpusEncoder};

use crate::Failure;

const RATE: u32 = 24_000;
const FRAME: usize = RATE as usize / 50;

/// Frames after which a microphone begins anew.
const FRAMES: u64 = 10 * BURST_EVERY;

/// Speech is so much quieter than it was recorded that it is never taken for a burst.
const QUIETER: i16 = 8;

/// The bytes in front of the samples of the wav files that Python writes.
const HEADER: usize = 44;

/// The samples of a wav file: 16 bits, mono, 24 kHz.
fn speech(wav: &str) -> Result<Vec<i16>, Failure> {
    let bytes = fs::read(wav)?;
    let rate = bytes.get(24..28).unwrap_or_default();
    if !bytes.starts_with(b"RIFF") || rate != RATE.to_le_bytes() {
        return Err(format!("{wav} is no wav file at 24 kHz").into());
    }
    let samples = bytes[HEADER..].as_chunks::<2>().0.iter();
    Ok(samples.map(|it| i16::from_le_bytes(*it)).collect())
}

/// Has the model speak, and gives the packets of a microphone, which are sent in a circle.
pub fn prepare(wav: &str) -> Result<Vec<Bytes>, Failure> {
    let speech = speech(wav)?;
    let answer = speech.iter().cycle().take(FRAME * SOUND_MS as usize / 20);
    let answer: Vec<u8> = answer.flat_map(|it| it.to_le_bytes()).collect();
    say_in_answers(&answer);
    let packets = encode(&speech)?;
    check(&packets)?;
    Ok(packets)
}

/// As browsers do: the codec's mode for speech, 32 kbit/s, with effort.
fn encode(speech: &[i16]) -> Result<Vec<Bytes>, Failure> {
    let settings = EncoderSettings {
        bitrate: Some(32_000),
        complexity: Some(9),
        ..EncoderSettings::default()
    };
    let mut encoder = OpusEncoder::new(RATE, settings)?;
    let mut packets = Vec::new();
    let mut samples = speech.iter().cycle().map(|it| it / QUIETER);
    // The second round follows what is before it in the circle as well.
    for frame in 0..2 * FRAMES {
        let mut spoken: Vec<i16> = samples.by_ref().take(FRAME).collect();
        if is_burst(frame) {
            let loud = quiet_or_burst_24k(BURST_EVERY - 1);
            let loud = loud.as_chunks::<2>().0.iter();
            spoken = loud.map(|it| i16::from_le_bytes(*it)).collect();
        }
        let mut packet = Vec::new();
        encoder.encode_i16(&spoken, &mut packet)?;
        packets.push(Bytes::from(packet));
    }
    Ok(packets.split_off(FRAMES as usize))
}

fn is_burst(frame: u64) -> bool {
    frame % BURST_EVERY == BURST_EVERY - 1
}

/// Bursts must be heard in the packets that have them: delays are measured by them.
fn check(packets: &[Bytes]) -> Result<(), Failure> {
    let mut decoder = OpusDecoder::new(RATE)?;
    // The first packet follows the last one, a burst, which it ends.
    let mut was_loud = true;
    for (frame, packet) in (0..).zip(packets) {
        let mut samples = Vec::new();
        decoder.decode_i16(packet, &mut samples)?;
        let bytes: Vec<u8> = samples.iter().flat_map(|it| it.to_le_bytes()).collect();
        let is_loud = is_loud(&bytes);
        if (is_loud && !was_loud) != is_burst(frame) {
            return Err(format!("the burst nearest to frame {frame} is not heard there").into());
        }
        was_loud = is_loud;
    }
    Ok(())
}
