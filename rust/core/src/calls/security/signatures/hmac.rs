//! Digests as they stand in headers.

use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use ring::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, Key, verify};

/// HMAC-SHA-1, which Twilio and SignalWire sign with.
pub fn sha1_key(secret: &[u8]) -> Key {
    Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret)
}

/// HMAC-SHA-256.
pub fn sha256_key(secret: &[u8]) -> Key {
    Key::new(HMAC_SHA256, secret)
}

/// Whether `signature` is that of `message`. It takes as long for every signature of the same length.
pub fn is_of(key: &Key, message: &[u8], signature: &[u8]) -> bool {
    verify(key, message, signature).is_ok()
}

/// Decodes base64.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode_to_vec(text).ok()
}

/// Decodes base64 of the alphabet for URLs, without padding.
pub fn from_base64_url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode_to_vec(text).ok()
}

/// Decodes hexadecimal digits.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| value(pair[0]) << 4 | value(pair[1]))
            .collect(),
    )
}

/// Whether `hex` is the SHA-256 of `body`. Nobody's secret is in it: a signature guards `hex`.
pub fn is_sha256_of(hex: &str, body: &[u8]) -> bool {
    from_hex(hex).is_some_and(|hash| hash == digest(&SHA256, body).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_of_both_cases_are_decoded_and_nothing_else() {
        assert_eq!(from_hex("00fFa1"), Some(vec![0, 255, 161]));
        assert_eq!(from_hex(""), Some(vec![]));
        for text in ["0", "0g", "+1", " 1", "é"] {
            assert_eq!(from_hex(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_hash_is_that_of_its_body_alone() {
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(is_sha256_of(of_nothing, b""));
        assert!(!is_sha256_of(of_nothing, b"x"));
        assert!(!is_sha256_of(&of_nothing[..62], b""));
        assert!(!is_sha256_of("", b""));
    }
}
