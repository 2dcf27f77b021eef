//! Telnyx: Ed25519 over the time and the body.
//!
//! Source: `telnyx/lib/webhook_verification` of Telnyx's own SDK, and "Webhook fundamentals" in its
//! documentation.

use std::time::Duration;

use ring::signature::{ED25519, UnparsedPublicKey};

use super::hmac::from_base64;
use super::{SignatureError, check_age};

/// The header that has the signature, in base64.
pub const SIGNATURE_HEADER: &str = "telnyx-signature-ed25519";
/// The header that has the time of the signature, in seconds since the Unix epoch.
pub const TIMESTAMP_HEADER: &str = "telnyx-timestamp";
const CARRIER: &str = "Telnyx";

/// What a webhook of Telnyx carries.
#[derive(Clone, Copy, Debug)]
pub struct Webhook<'a> {
    /// The value of [`TIMESTAMP_HEADER`].
    pub timestamp: Option<&'a str>,
    /// The value of [`SIGNATURE_HEADER`].
    pub signature: Option<&'a str>,
    /// The body as it came.
    pub body: &'a [u8],
}

/// Checks that a webhook is Telnyx's and that its time is within `max_age` of now, either way.
///
/// `public_key` is that of the account, in base64.
pub fn validate(
    public_key: &str,
    webhook: Webhook<'_>,
    max_age: Duration,
    now: Duration,
) -> Result<(), SignatureError> {
    let argument = "public_key";
    let why = "it is not base64 of 32 bytes; it is the public key that Telnyx's portal shows";
    let key = from_base64(public_key).filter(|key| key.len() == 32);
    let key = key.ok_or(SignatureError::Argument { argument, why })?;
    let required = |value: Option<_>, header| {
        value.ok_or(SignatureError::Missing {
            carrier: CARRIER,
            header,
        })
    };
    let timestamp: &str = required(webhook.timestamp, TIMESTAMP_HEADER)?;
    let signature = required(webhook.signature, SIGNATURE_HEADER)?;
    let header = SIGNATURE_HEADER;
    let expected = "base64 of 64 bytes";
    let signature = from_base64(signature).filter(|signature| signature.len() == 64);
    let signature = signature.ok_or(SignatureError::Malformed { header, expected })?;
    let signed = [timestamp.as_bytes(), b"|", webhook.body].concat();
    // First, so that nobody learns of the clock without a signature.
    UnparsedPublicKey::new(&ED25519, key)
        .verify(&signed, &signature)
        .map_err(|_| SignatureError::BodyMismatch { header, argument })?;
    let header = TIMESTAMP_HEADER;
    let expected = "a number of seconds";
    let seconds = timestamp
        .parse()
        .map_err(|_| SignatureError::Malformed { header, expected })?;
    check_age(seconds, max_age, now, TIMESTAMP_HEADER)
}

#[cfg(test)]
mod tests {
    use base64_simd::STANDARD;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;
    use crate::calls::security::signatures::MAX_AGE;

    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const BODY: &[u8] = br#"{"data":{"event_type":"call.initiated"}}"#;

    fn key(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn public(key: &Ed25519KeyPair) -> String {
        STANDARD.encode_to_string(key.public_key())
    }

    /// The reason why a webhook of that time, signed now or not, is not accepted.
    fn reason(timestamp: &str, body: &[u8], expected: (&str, &[u8])) -> Option<&'static str> {
        let key = key(1);
        let signed = [timestamp.as_bytes(), b"|", body].concat();
        let signature = STANDARD.encode_to_string(key.sign(&signed));
        let (timestamp, body) = expected;
        let signature = Some(signature.as_str());
        let webhook = Webhook {
            timestamp: Some(timestamp),
            signature,
            body,
        };
        let result = validate(&public(&key), webhook, MAX_AGE, NOW);
        result.err().map(|error| error.reason())
    }

    #[test]
    fn time_and_body_are_signed() {
        let now = "1800000000";
        assert_eq!(reason(now, BODY, (now, BODY)), None);
        assert_eq!(reason(now, BODY, (now, b"{}")), Some("mismatch"));
        assert_eq!(reason(now, BODY, ("1800000001", BODY)), Some("mismatch"));
        assert_eq!(reason("soon", BODY, ("soon", BODY)), Some("malformed"));
        assert_eq!(reason("-1", BODY, ("-1", BODY)), Some("malformed"));
    }

    #[test]
    fn the_age_is_bounded_either_way() {
        let at = |seconds: u64| {
            let text = seconds.to_string();
            reason(&text, BODY, (&text, BODY))
        };
        assert_eq!(at(1_800_000_300), None);
        assert_eq!(at(1_799_999_700), None);
        assert_eq!(at(1_799_999_699), Some("too_old"));
        assert_eq!(at(1_800_000_301), Some("from_the_future"));
        assert_eq!(at(0), Some("too_old"));
        assert_eq!(at(u64::MAX), Some("from_the_future"));
    }

    #[test]
    fn other_keys_and_what_is_no_key_or_signature_are_named() {
        let (timestamp, signature) = (
            Some("1800000000"),
            STANDARD.encode_to_string(key(1).sign(b"")),
        );
        let webhook = Webhook {
            timestamp,
            signature: Some(&signature),
            body: BODY,
        };
        let reason = |public_key: &str, webhook| {
            validate(public_key, webhook, MAX_AGE, NOW)
                .unwrap_err()
                .reason()
        };
        assert_eq!(reason(&public(&key(2)), webhook), "mismatch");
        assert_eq!(reason("", webhook), "argument");
        assert_eq!(reason("AAAA", webhook), "argument");
        let public = public(&key(1));
        assert_eq!(
            reason(
                &public,
                Webhook {
                    signature: Some("AAAA"),
                    ..webhook
                }
            ),
            "malformed"
        );
        assert_eq!(
            reason(
                &public,
                Webhook {
                    signature: None,
                    ..webhook
                }
            ),
            "missing"
        );
        assert_eq!(
            reason(
                &public,
                Webhook {
                    timestamp: None,
                    ..webhook
                }
            ),
            "missing"
        );
        // The two headers swapped.
        let swapped = Webhook {
            timestamp: Some(&signature),
            signature: timestamp,
            body: BODY,
        };
        assert_eq!(reason(&public, swapped), "malformed");
    }
}
