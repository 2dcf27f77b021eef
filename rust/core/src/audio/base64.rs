//! Base64 (RFC 4648 section 4, standard alphabet) for audio on the wire.
//!
//! Padding may be left out, as `atob` allows; whitespace and stray trailing bits are refused.
//! The crate `base64-simd` selects the SIMD instruction set at run time.

use base64_simd::{AsOut as _, Base64, STANDARD, STANDARD_NO_PAD};
use thiserror::Error;

/// Why base64 cannot be decoded or encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Base64Error {
    /// A character outside the alphabet, padding out of place, or bits left over at the end.
    #[error("audio is not valid base64: expected the standard alphabet without whitespace")]
    Invalid,
    /// The caller's buffer does not have the required length.
    #[error("output holds {actual} bytes but the base64 text decodes to {expected}")]
    OutputLength {
        /// The required length.
        expected: usize,
        /// The length of the buffer.
        actual: usize,
    },
}

/// The number of bytes that `encoded` decodes to, from its length and padding alone.
///
/// Exact for every text that [`decode_into`] accepts.
#[inline]
pub fn decoded_len(encoded: &[u8]) -> usize {
    let digits = match encoded {
        [.., b'=', b'='] => encoded.len() - 2,
        [.., b'='] => encoded.len() - 1,
        _ => encoded.len(),
    };
    // Four digits encode three bytes; in a last partial group, two encode one and three encode two.
    digits / 4 * 3 + (digits % 4).saturating_sub(1)
}

/// The number of characters that `bytes` bytes encode to, padding included.
#[inline]
pub const fn encoded_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Decodes into `out`, which must have the length [`decoded_len`]. After an error its content is
/// unspecified.
pub fn decode_into(encoded: &[u8], out: &mut [u8]) -> Result<(), Base64Error> {
    let expected = decoded_len(encoded);
    if out.len() != expected {
        return Err(Base64Error::OutputLength {
            expected,
            actual: out.len(),
        });
    }
    match alphabet_of(encoded).decode(encoded, out.as_out()) {
        Ok(written) if written.len() == expected => Ok(()),
        _ => Err(Base64Error::Invalid),
    }
}

/// Decodes and appends to `out`, which an error leaves unchanged.
pub fn decode_append(encoded: &[u8], out: &mut Vec<u8>) -> Result<(), Base64Error> {
    let start = out.len();
    alphabet_of(encoded)
        .decode_append(encoded, out)
        .map_err(|_| {
            out.truncate(start);
            Base64Error::Invalid
        })
}

/// Encodes, with padding, and appends the ASCII text to `out`.
#[inline]
pub fn encode_append(bytes: &[u8], out: &mut Vec<u8>) {
    STANDARD.encode_append(bytes, out);
}

/// Encodes, with padding, and appends the text to `out`.
#[inline]
pub fn encode_append_text(bytes: &[u8], out: &mut String) {
    STANDARD.encode_append(bytes, out);
}

/// Encodes, with padding, into `out`, which must have the length [`encoded_len`].
pub fn encode_into(bytes: &[u8], out: &mut [u8]) -> Result<(), Base64Error> {
    let expected = encoded_len(bytes.len());
    if out.len() != expected {
        return Err(Base64Error::OutputLength {
            expected,
            actual: out.len(),
        });
    }
    let _ = STANDARD.encode(bytes, out.as_out());
    Ok(())
}

#[inline]
fn alphabet_of(encoded: &[u8]) -> &'static Base64 {
    if encoded.ends_with(b"=") {
        &STANDARD
    } else {
        &STANDARD_NO_PAD
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::alphabet;
    use base64::engine::DecodePaddingMode;
    use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
    use proptest::prelude::*;

    use super::*;

    /// The independent implementation; padding is whole or left out, as ours and `atob`'s.
    const PADDED: GeneralPurpose = reference(DecodePaddingMode::RequireCanonical);
    const UNPADDED: GeneralPurpose = reference(DecodePaddingMode::RequireNone);

    const fn reference(padding: DecodePaddingMode) -> GeneralPurpose {
        GeneralPurpose::new(
            &alphabet::STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(padding),
        )
    }

    fn reference_decode(encoded: &[u8]) -> Option<Vec<u8>> {
        let padded = encoded.ends_with(b"=");
        let engine = if padded { PADDED } else { UNPADDED };
        engine.decode(encoded).ok()
    }

    fn decode(encoded: &[u8]) -> Result<Vec<u8>, Base64Error> {
        let mut out = vec![0; decoded_len(encoded)];
        decode_into(encoded, &mut out).map(|()| out)
    }

    #[test]
    fn a_buffer_of_the_wrong_length_is_named() {
        let error = Base64Error::OutputLength {
            expected: 3,
            actual: 4,
        };
        assert_eq!(decode_into(b"AAAA", &mut [0; 4]), Err(error));
    }

    #[test]
    fn padding_is_whole_or_left_out() {
        assert_eq!(decode(b"AA=="), Ok(vec![0]));
        assert_eq!(decode(b"AA"), Ok(vec![0]));
        assert_eq!(decode(b"AA="), Err(Base64Error::Invalid));
    }

    #[test]
    fn a_failed_append_leaves_the_buffer_as_it_was() {
        let mut out = b"kept".to_vec();
        assert_eq!(
            decode_append(b"AAAA!AAA", &mut out),
            Err(Base64Error::Invalid)
        );
        assert_eq!(out, b"kept");
    }

    proptest! {
        #[test]
        fn encoding_is_the_reference_encoding(bytes: Vec<u8>) {
            let mut ours = Vec::new();
            encode_append(&bytes, &mut ours);
            prop_assert_eq!(ours.len(), encoded_len(bytes.len()));
            let mut placed = vec![0; encoded_len(bytes.len())];
            encode_into(&bytes, &mut placed).unwrap();
            prop_assert_eq!(&ours, &placed);
            prop_assert_eq!(String::from_utf8(ours).unwrap(), PADDED.encode(&bytes));
        }

        #[test]
        fn what_was_encoded_decodes_with_and_without_padding(bytes: Vec<u8>) {
            let text = PADDED.encode(&bytes);
            for text in [text.as_str(), text.trim_end_matches('=')] {
                prop_assert_eq!(decode(text.as_bytes()).unwrap(), bytes.clone());
                let mut appended = b"before".to_vec();
                decode_append(text.as_bytes(), &mut appended).unwrap();
                prop_assert_eq!(&appended[6..], &bytes[..]);
            }
        }

        #[test]
        fn any_text_is_judged_as_the_reference_judges_it(
            text in "[A-Za-z0-9+/]{0,70}[A-Za-z0-9+/=\\-_ \n]{0,6}",
        ) {
            prop_assert_eq!(decode(text.as_bytes()).ok(), reference_decode(text.as_bytes()));
        }

        #[test]
        fn random_bytes_are_refused_or_decoded_but_never_panic(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&bytes).ok(), reference_decode(&bytes));
        }
    }
}
