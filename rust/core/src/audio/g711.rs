//! G.711: 16-bit linear PCM to 8-bit mu-law or A-law and back, by table.
//!
//! The formulas are those of ITU-T Recommendation G.711 in the form of the ITU-T software tool
//! library (G.191): mu-law on the upper 14 bits, A-law on the upper 13 of which 12 matter, negative
//! samples by ones' complement.

/// Decodes mu-law: one sample per byte. `out` must be as long as `encoded`.
///
/// # Panics
/// When the lengths differ.
pub fn mulaw_decode(encoded: &[u8], out: &mut [i16]) {
    decode(&MULAW_TO_LINEAR, encoded, out);
}

/// Decodes A-law: one sample per byte. `out` must be as long as `encoded`.
///
/// # Panics
/// When the lengths differ.
pub fn alaw_decode(encoded: &[u8], out: &mut [i16]) {
    decode(&ALAW_TO_LINEAR, encoded, out);
}

/// Encodes to mu-law: one byte per sample. `out` must be as long as `samples`.
///
/// # Panics
/// When the lengths differ.
pub fn mulaw_encode(samples: &[i16], out: &mut [u8]) {
    assert_eq!(samples.len(), out.len(), "mu-law is one byte per sample");
    for (sample, byte) in samples.iter().zip(out) {
        *byte = LINEAR_TO_MULAW[usize::from(sample.cast_unsigned() >> 2)];
    }
}

/// Encodes to A-law: one byte per sample. `out` must be as long as `samples`.
///
/// # Panics
/// When the lengths differ.
pub fn alaw_encode(samples: &[i16], out: &mut [u8]) {
    assert_eq!(samples.len(), out.len(), "A-law is one byte per sample");
    for (sample, byte) in samples.iter().zip(out) {
        *byte = LINEAR_TO_ALAW[usize::from(sample.cast_unsigned() >> 4)];
    }
}

fn decode(table: &[i16; 256], encoded: &[u8], out: &mut [i16]) {
    assert_eq!(encoded.len(), out.len(), "G.711 is one sample per byte");
    let (fours, rest) = encoded.as_chunks::<4>();
    let (places, rest_places) = out.as_chunks_mut::<4>();
    for (codes, places) in fours.iter().zip(places) {
        // Four samples in one store, because stores limit the speed of the loop.
        let mut samples = 0_u64;
        for nth in 0..4 {
            let sample = table[usize::from(codes[nth])].cast_unsigned();
            samples |= u64::from(sample) << (16 * nth);
        }
        let bytes = samples.to_le_bytes();
        for nth in 0..4 {
            places[nth] = i16::from_le_bytes([bytes[2 * nth], bytes[2 * nth + 1]]);
        }
    }
    for (byte, place) in rest.iter().zip(rest_places) {
        *place = table[usize::from(*byte)];
    }
}

static MULAW_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = mulaw_byte_to_linear(byte as u8);
        byte += 1;
    }
    table
};

static ALAW_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = alaw_byte_to_linear(byte as u8);
        byte += 1;
    }
    table
};

/// Indexed by the upper 14 bits of the sample: the lower two do not change the mu-law code.
static LINEAR_TO_MULAW: [u8; 1 << 14] = {
    let mut table = [0; 1 << 14];
    let mut index = 0;
    while index < table.len() {
        table[index] = linear_to_mulaw_byte(((index << 2) as u16).cast_signed());
        index += 1;
    }
    table
};

/// Indexed by the upper 12 bits of the sample: the four below do not change the A-law code.
static LINEAR_TO_ALAW: [u8; 1 << 12] = {
    let mut table = [0; 1 << 12];
    let mut index = 0;
    while index < table.len() {
        table[index] = linear_to_alaw_byte(((index << 4) as u16).cast_signed());
        index += 1;
    }
    table
};

/// The magnitude of a sample as G.711 counts it: ones' complement below zero.
const fn magnitude(sample: i16) -> u16 {
    (if sample < 0 { !sample } else { sample }).cast_unsigned()
}

const fn linear_to_mulaw_byte(sample: i16) -> u8 {
    const BIAS: u16 = 33;
    const CLIP: u16 = 0x1FFF;
    let biased = (magnitude(sample) >> 2) + BIAS;
    let biased = if biased > CLIP { CLIP } else { biased };
    // The bias puts the leading one at bit 5 or above; how far above is the segment.
    let segment = (15 - biased.leading_zeros() as u16) - 5;
    let step = (biased >> (segment + 1)) & 0x0F;
    let sign = if sample < 0 { 0x00 } else { 0x80 };
    sign | ((7 - segment) << 4) as u8 | (0x0F - step) as u8
}

const fn mulaw_byte_to_linear(byte: u8) -> i16 {
    const BIAS: i16 = 33 << 2;
    let inverted = !byte;
    let segment = (inverted >> 4) & 0x07;
    let step = (inverted & 0x0F) as i16;
    let magnitude = (((step << 3) + BIAS) << segment) - BIAS;
    if byte & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

const fn linear_to_alaw_byte(sample: i16) -> u8 {
    let magnitude = magnitude(sample) >> 4;
    let code = if magnitude < 32 {
        // The two lowest segments share one step size.
        magnitude
    } else {
        let segment = (15 - magnitude.leading_zeros() as u16) - 3;
        (segment << 4) | ((magnitude >> (segment - 1)) & 0x0F)
    };
    let sign = if sample < 0 { 0x00 } else { 0x80 };
    // G.711 inverts the even bits.
    (sign | code as u8) ^ 0x55
}

const fn alaw_byte_to_linear(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let segment = (code >> 4) & 0x07;
    let step = (code & 0x0F) as i16;
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Encode = fn(&[i16], &mut [u8]);
    type Decode = fn(&[u8], &mut [i16]);
    const LAWS: [(&str, Encode, Decode); 2] = [
        ("mu-law", mulaw_encode, mulaw_decode),
        ("A-law", alaw_encode, alaw_decode),
    ];

    fn decode_one(decode: Decode, byte: u8) -> i16 {
        let mut out = [0];
        decode(&[byte], &mut out);
        out[0]
    }

    fn encode_one(encode: Encode, sample: i16) -> u8 {
        let mut out = [0];
        encode(&[sample], &mut out);
        out[0]
    }

    #[test]
    fn known_codes_of_the_recommendation() {
        for (sample, byte) in [
            (0, 0xFF),
            (-1, 0x7F),
            (32_124, 0x80),
            (-32_124, 0x00),
            (32_767, 0x80),
            (8, 0xFE),
        ] {
            assert_eq!(encode_one(mulaw_encode, sample), byte, "mu-law of {sample}");
        }
        for (sample, byte) in [
            (0, 0xD5),
            (-1, 0x55),
            (32_256, 0xAA),
            (-32_256, 0x2A),
            (24, 0xD4),
            (-32_768, 0x2A),
        ] {
            assert_eq!(encode_one(alaw_encode, sample), byte, "A-law of {sample}");
        }
        assert_eq!(decode_one(mulaw_decode, 0xFF), 0);
        assert_eq!(decode_one(mulaw_decode, 0x00), -32_124);
        assert_eq!(decode_one(alaw_decode, 0xD5), 8);
        assert_eq!(decode_one(alaw_decode, 0x2A), -32_256);
    }

    /// Tables 1 and 2 of the Recommendation: the decision values at the ends of the segments (here
    /// for 16-bit samples), 16 equal intervals between two of them, and the decoding value of each
    /// interval in its middle.
    #[test]
    fn intervals_and_decoding_values_are_those_of_the_recommendation() {
        let mulaw = [31, 95, 223, 479, 991, 2015, 4063, 8159].map(|x| x * 4);
        let alaw = [32, 64, 128, 256, 512, 1024, 2048, 4096].map(|x| x * 8);
        let laws = [(LAWS[0], -4, mulaw), (LAWS[1], 0, alaw)];
        for ((law, encode, decode), mut start, segment_ends) in laws {
            for end in segment_ends {
                let width = (end - start) / 16;
                for low in (start..end).step_by(width as usize) {
                    let middle = low + width / 2;
                    for magnitude in low.max(0)..low + width {
                        let byte = encode_one(encode, magnitude as i16);
                        assert_eq!(
                            i32::from(decode_one(decode, byte)),
                            middle,
                            "{law} {magnitude}"
                        );
                        // Below zero the codes differ in the sign bit only.
                        let negative = encode_one(encode, !magnitude as i16);
                        assert_eq!(negative, byte ^ 0x80, "{law} {}", !magnitude);
                        assert_eq!(i32::from(decode_one(decode, negative)), -middle, "{law}");
                    }
                }
                start = end;
            }
            for beyond in start..=32_767 {
                let loudest = encode_one(encode, (start - 1) as i16);
                assert_eq!(encode_one(encode, beyond as i16), loudest, "{law} {beyond}");
            }
        }
    }

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        for (law, encode, decode) in LAWS {
            for byte in 0..=255 {
                let back = encode_one(encode, decode_one(decode, byte));
                // Mu-law has a negative zero, which linear PCM lacks.
                let expected = if law == "mu-law" && byte == 0x7F {
                    0xFF
                } else {
                    byte
                };
                assert_eq!(back, expected, "{law}");
            }
        }
    }

    #[test]
    fn samples_keep_their_order_in_a_frame() {
        let samples: Vec<i16> = (0..160).map(|i| i * 200 - 16_000).collect();
        for (law, encode, decode) in LAWS {
            let mut bytes = [0; 160];
            encode(&samples, &mut bytes);
            let mut back = [0; 160];
            decode(&bytes, &mut back);
            assert!(back.is_sorted(), "{law}");
            assert!(back.first() < back.last(), "{law}");
        }
    }
}
