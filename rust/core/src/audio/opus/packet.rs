//! Properties of a packet that need no decoding (RFC 6716 section 3).

/// Ticks of the RTP clock per second: 48,000 at every rate of the codec (RFC 7587 section 4.1).
pub const CLOCK_RATE: u32 = 48_000;

/// The first CELT-only configuration, which has no redundancy (RFC 6716 table 2).
const FIRST_CELT_CONFIG: u8 = 16;

/// The duration of a packet, in ticks of the RTP clock: 2.5 to 120 ms. `None` for an invalid packet.
pub fn duration(packet: &[u8]) -> Option<u32> {
    // libopus takes an empty packet for a lost one.
    if packet.is_empty() {
        return None;
    }
    let ticks = ::opus::packet::get_nb_samples(packet, CLOCK_RATE).ok()?;
    (ticks > 0).then_some(ticks as u32)
}

/// Whether a packet is silence of discontinuous transmission: a header without sound, after which the
/// sender may send no packets during the pause (RFC 7587 section 3.1.3).
pub fn is_silence(packet: &[u8]) -> bool {
    packet.len() <= 2
}

/// The duration of the earlier sound of which this packet carries a copy, in ticks of the RTP clock: one
/// frame. `None` without a copy and for an invalid packet.
pub fn redundancy(packet: &[u8]) -> Option<u32> {
    if packet.first()? >> 3 >= FIRST_CELT_CONFIG {
        return None;
    }
    let parsed = ::opus::packet::parse(packet).ok()?;
    let frame = ::opus::packet::get_samples_per_frame(packet, CLOCK_RATE).ok()?;
    // A SILK frame begins with a flag of voice activity for each 20 ms of its first channel, then the
    // flag that says whether a copy follows; the other channel's flags come next (RFC 6716 section
    // 4.2.3).
    let halves = frame.div_ceil(CLOCK_RATE as usize / 50);
    let flags = *parsed.frames.first()?.first()?;
    let middle = flags >> (7 - halves) & 1;
    let stereo = parsed.toc & 0b100 != 0;
    let side = if stereo {
        flags >> (6 - 2 * halves) & 1
    } else {
        0
    };
    (middle | side != 0).then_some(frame as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{EncoderSettings, OpusEncoder};
    use super::*;

    fn speech(settings: EncoderSettings, milliseconds: usize) -> Vec<Vec<u8>> {
        let mut encoder = OpusEncoder::new(16_000, settings).unwrap();
        let sound: Vec<i16> = (0..32_000_i32)
            .map(|n| ((n * n / 900) % 20_000 - 10_000) as i16)
            .collect();
        sound
            .chunks_exact(16 * milliseconds)
            .map(|frame| {
                let mut packet = Vec::new();
                encoder.encode_i16(frame, &mut packet).unwrap();
                packet
            })
            .collect()
    }

    #[test]
    fn durations_are_those_of_the_frames() {
        for (milliseconds, ticks) in [(10, 480), (20, 960), (60, 2_880)] {
            for packet in speech(EncoderSettings::default(), milliseconds) {
                assert_eq!(duration(&packet), Some(ticks));
            }
        }
        assert_eq!(duration(&[]), None);
    }

    #[test]
    fn redundancy_is_seen_where_the_encoder_was_asked_for_it() {
        let settings = EncoderSettings {
            fec: true,
            expected_loss: 30,
            bitrate: Some(24_000),
            ..<_>::default()
        };
        for milliseconds in [20, 40, 60] {
            let with = speech(settings, milliseconds);
            let redundant = with.iter().filter(|packet| redundancy(packet).is_some());
            assert!(redundant.count() > with.len() / 2, "{milliseconds} ms");
            let without = EncoderSettings {
                fec: false,
                ..settings
            };
            let mut plain = speech(without, milliseconds).into_iter();
            assert!(plain.all(|packet| redundancy(&packet).is_none()));
        }
        let music = EncoderSettings {
            application: super::super::Application::LowDelay,
            ..settings
        };
        let mut packets = speech(music, 20).into_iter();
        assert!(packets.all(|packet| redundancy(&packet).is_none()));
    }

    #[test]
    fn the_silence_of_discontinuous_transmission_is_recognized() {
        let settings = EncoderSettings {
            dtx: true,
            ..<_>::default()
        };
        let mut encoder = OpusEncoder::new(24_000, settings).unwrap();
        let mut silent = 0;
        for _ in 0..100 {
            let mut packet = Vec::new();
            encoder.encode_i16(&[0; 480], &mut packet).unwrap();
            silent += usize::from(is_silence(&packet));
        }
        assert!(silent > 50, "{silent}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>) {
            if let Some(ticks) = duration(&bytes) {
                prop_assert!(ticks % 120 == 0 && ticks <= 5_760);
            }
            if let Some(ticks) = redundancy(&bytes) {
                prop_assert!((480..=2_880).contains(&ticks));
            }
        }
    }
}
