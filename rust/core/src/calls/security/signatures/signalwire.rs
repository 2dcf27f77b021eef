//! SignalWire: two schemes, both with HMAC-SHA-1 and the signing key of the project.
//!
//! Source: `signalwire/core/security/webhook_validator` of SignalWire's own SDK, and "Webhook
//! security" in its documentation. Forms (cXML) are signed as Twilio does, but that the values of a
//! key that comes more than once stay in their order; bodies of other types (SWML, Relay) in
//! hexadecimal digits of the URL and the body.

use ring::hmac::sign;

use super::hmac::{from_base64, from_hex, is_of, sha1_key, sha256_key};
use super::twilio::check_body;
use super::url::PublicUrl;
use super::{Content, SignatureError, secret};

/// The header that has the signature; `X-Twilio-Signature` has the same one.
pub const HEADER: &str = "X-SignalWire-Signature";
const CARRIER: &str = "SignalWire";

/// Checks that a request is SignalWire's.
///
/// `url` is the public one, as SignalWire has it; the port of its scheme may be there or not.
pub fn validate(
    signing_key: &str,
    url: &str,
    signature: Option<&str>,
    content: Content<'_>,
) -> Result<(), SignatureError> {
    let key = sha1_key(secret(signing_key, "signing_key")?);
    let url = PublicUrl::parse(url)?;
    let (carrier, header) = (CARRIER, HEADER);
    let signature = signature.ok_or(SignatureError::Missing { carrier, header })?;
    let is_of_any = |signature: &[u8], content: &[u8]| {
        url.with_and_without_default_port()
            .any(|url| is_of(&key, &[url.as_bytes(), content].concat(), signature))
    };
    // 40 hexadecimal digits are base64, too, but of no HMAC-SHA-1.
    if let Some(signature) = from_hex(signature) {
        let body = content.body().unwrap_or_default();
        let is_form = matches!(content, Content::Form(_));
        if !is_form && is_of_any(&signature, body) {
            return Ok(());
        }
        return Err(SignatureError::UrlMismatch { carrier, header });
    }
    let expected = "an HMAC-SHA-1 in base64 or in hexadecimal digits";
    let signature = from_base64(signature).ok_or(SignatureError::Malformed { header, expected })?;
    let form = match content {
        Content::Form(fields) => concatenated(fields),
        Content::Nothing | Content::Body(_) => String::new(),
    };
    if !is_of_any(&signature, form.as_bytes()) {
        return Err(SignatureError::UrlMismatch { carrier, header });
    }
    content.body().map_or(Ok(()), |body| check_body(&url, body))
}

/// Checks that an upgrade, which is not signed, has the token in its `Authorization` that the answer to the
/// webhook named.
pub fn validate_bearer(token: &str, authorization: Option<&str>) -> Result<(), SignatureError> {
    let key = sha256_key(secret(token, "auth_token")?);
    let (carrier, header) = (CARRIER, "Authorization");
    let given = authorization.ok_or(SignatureError::Missing { carrier, header })?;
    let expected = "Bearer and a token";
    let given = given
        .strip_prefix("Bearer ")
        .ok_or(SignatureError::Malformed { header, expected })?;
    // Digests are compared: the time that it takes tells nothing of the token.
    if !is_of(
        &key,
        given.as_bytes(),
        sign(&key, token.as_bytes()).as_ref(),
    ) {
        return Err(SignatureError::BearerMismatch { header });
    }
    Ok(())
}

/// Names and values, sorted by name.
fn concatenated(fields: &[(&str, &str)]) -> String {
    let mut fields = fields.to_vec();
    fields.sort_by_key(|&(name, _)| name);
    fields
        .iter()
        .flat_map(|&(name, value)| [name, value])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "PSKtest1234567890abcdef";

    #[test]
    fn a_bearer_token_is_the_one_that_was_named() {
        let check = |given| validate_bearer("12345", given).err().map(|it| it.reason());
        assert_eq!(check(Some("Bearer 12345")), None);
        assert_eq!(check(None), Some("missing"));
        for other in ["Bearer 1234", "Bearer 123456", "Bearer "] {
            assert_eq!(check(Some(other)), Some("mismatch"), "{other}");
        }
        for other in ["12345", "Basic 12345", ""] {
            assert_eq!(check(Some(other)), Some("malformed"), "{other}");
        }
        let empty = validate_bearer("", Some("Bearer "));
        assert_eq!(empty.expect_err("a refusal").reason(), "argument");
    }

    fn reason(url: &str, signature: &str, content: Content<'_>) -> Option<&'static str> {
        let result = validate(KEY, url, Some(signature), content);
        result.err().map(|error| error.reason())
    }

    #[test]
    fn a_body_of_another_type_is_signed_in_hexadecimal_digits() {
        let url = "https://example.ngrok.io/webhook";
        let body = r#"{"event":"call.state","params":{"call_id":"abc-123","state":"answered"}}"#;
        let signature = "c3c08c1fefaf9ee198a100d5906765a6f394bf0f";
        assert_eq!(reason(url, signature, Content::Body(body.as_bytes())), None);
        let changed = body.replace("answered", "ringing");
        let changed = Content::Body(changed.as_bytes());
        assert_eq!(reason(url, signature, changed), Some("mismatch"));
        assert_eq!(reason(url, signature, Content::Nothing), Some("mismatch"));
        assert_eq!(reason(url, signature, Content::Form(&[])), Some("mismatch"));
    }

    #[test]
    fn a_form_is_signed_as_twilio_does() {
        let form = Content::Form(&[
            ("CallSid", "CA1234567890ABCDE"),
            ("Digits", "1234"),
            ("To", "+18005551212"),
            ("From", "+14158675309"),
            ("Caller", "+14158675309"),
        ]);
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let signature = Some("RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        assert_eq!(validate("12345", url, signature, form), Ok(()));
        let with_port = "https://mycompany.com:443/myapp.php?foo=1&bar=2";
        assert_eq!(validate("12345", with_port, signature, form), Ok(()));
        let other_port = "https://mycompany.com:444/myapp.php?foo=1&bar=2";
        assert!(validate("12345", other_port, signature, form).is_err());
    }

    #[test]
    fn a_hash_in_the_url_signs_a_body_too() {
        let hash = "69f3cbfc18e386ef8236cb7008cd5a54b7fed637a8cb3373b5a1591d7f0fd5f4";
        let url = format!("https://example.ngrok.io/webhook?bodySHA256={hash}");
        let signature = "dfO9ek8mxyFtn2nMz24plPmPfIY=";
        let body = |body| reason(&url, signature, Content::Body(body));
        assert_eq!(body(br#"{"event":"call.state"}"#), None);
        assert_eq!(body(br#"{"event":"call.stat"}"#), Some("body_changed"));
    }

    #[test]
    fn values_of_one_key_stay_in_their_order() {
        let url = "https://example.com/";
        let signed = |message: &str| {
            let tag = ring::hmac::sign(&sha1_key(KEY.as_bytes()), message.as_bytes());
            base64_simd::STANDARD.encode_to_string(tag)
        };
        let form = Content::Form(&[("b", "2"), ("a", "x"), ("b", "1"), ("b", "2")]);
        assert_eq!(
            reason(url, &signed("https://example.com/axb2b1b2"), form),
            None
        );
        assert_eq!(
            reason(url, &signed("https://example.com/axb1b2"), form),
            Some("mismatch")
        );
    }
}
