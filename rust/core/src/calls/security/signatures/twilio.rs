//! Twilio: base64 of the HMAC-SHA-1 of the URL and the form.
//!
//! Source: `twilio/request_validator` of Twilio's own SDK, and "Validating requests" in its
//! documentation. A key that comes more than once is signed with each of its values once, sorted. A
//! JSON body is signed by its SHA-256 in the URL, `bodySHA256`. The upgrade to a WebSocket is signed
//! over the `wss://` URL that the answer to the webhook named, without a form.

use super::hmac::{from_base64, is_of, is_sha256_of, sha1_key};
use super::url::PublicUrl;
use super::{Content, SignatureError, secret};

/// The header that has the signature.
pub const HEADER: &str = "X-Twilio-Signature";
const CARRIER: &str = "Twilio";

/// Checks that a request is Twilio's.
///
/// `url` is the public one, as Twilio has it; its port may be there or not.
pub fn validate(
    auth_token: &str,
    url: &str,
    signature: Option<&str>,
    content: Content<'_>,
) -> Result<(), SignatureError> {
    let key = sha1_key(secret(auth_token, "auth_token")?);
    let url = PublicUrl::parse(url)?;
    let (carrier, header) = (CARRIER, HEADER);
    let signature = signature.ok_or(SignatureError::Missing { carrier, header })?;
    let expected = "base64 of an HMAC-SHA-1";
    let signature = from_base64(signature).ok_or(SignatureError::Malformed { header, expected })?;
    let form = match content {
        Content::Form(fields) => concatenated(fields),
        Content::Nothing | Content::Body(_) => String::new(),
    };
    let matches = url
        .with_and_without_port()
        .any(|url| is_of(&key, format!("{url}{form}").as_bytes(), &signature));
    if !matches {
        return Err(SignatureError::UrlMismatch { carrier, header });
    }
    content.body().map_or(Ok(()), |body| check_body(&url, body))
}

/// Checks a body that is no form by its hash in the signed URL.
pub(super) fn check_body(url: &PublicUrl<'_>, body: &[u8]) -> Result<(), SignatureError> {
    let field = "bodySHA256 in the URL";
    match url.raw_query().find(|&(name, _)| name == "bodySHA256") {
        Some((_, hash)) if is_sha256_of(hash, body) => Ok(()),
        Some(_) => Err(SignatureError::BodyChanged { field }),
        None if body.is_empty() => Ok(()),
        None => Err(SignatureError::BodyNotSigned {
            remedy: "the URL has no bodySHA256, so the body is a form, whose decoded fields are to \
                     be given instead (params=), or the query was cut off the URL",
        }),
    }
}

/// Names and values, sorted, each pair once.
fn concatenated(fields: &[(&str, &str)]) -> String {
    let mut fields = fields.to_vec();
    fields.sort_unstable();
    fields.dedup();
    fields
        .iter()
        .flat_map(|&(name, value)| [name, value])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
    const TOKEN: &str = "12345";
    const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
    const FIELDS: [(&str, &str); 5] = [
        ("CallSid", "CA1234567890ABCDE"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
        ("Caller", "+14158675309"),
    ];

    fn reason(url: &str, signature: &str, content: Content<'_>) -> Option<&'static str> {
        let result = validate(TOKEN, url, Some(signature), content);
        result.err().map(|error| error.reason())
    }

    #[test]
    fn the_vectors_of_the_sdk_and_of_the_documentation_are_accepted() {
        let form = Content::Form(&FIELDS);
        assert_eq!(reason(URL, SIGNATURE, form), None);
        let caller = "+12349013030";
        let mut documented = FIELDS;
        documented[2].1 = caller;
        documented[4].1 = caller;
        let form = Content::Form(&documented);
        assert_eq!(reason(URL, "0/KCTR6DLpKmkAf8muzZqo1nDgQ=", form), None);
    }

    #[test]
    fn a_port_may_be_signed_or_not() {
        let accepted = |from: &str, to: &str, signature| {
            reason(&URL.replace(from, to), signature, Content::Form(&FIELDS)).is_none()
        };
        assert!(accepted(".com", ".com:1234", SIGNATURE));
        assert!(accepted(
            "s://mycompany.com",
            "://mycompany.com:1234",
            "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="
        ));
        assert!(accepted("", "", "kvajT1Ptam85bY51eRf/AJRuM3w="));
        assert!(accepted("https", "http", "0ZXoZLH/DfblKGATFgpif+LLRf4="));
        assert!(!accepted(
            ".com",
            ".com:1234",
            "kvajT1Ptam85bY51eRf/AJRuM3w="
        ));
    }

    #[test]
    fn values_of_one_key_are_signed_sorted_and_once() {
        let form = Content::Form(&[
            ("Sid", "CA123"),
            ("SidAccount", "AC123"),
            ("Digits", "5678"),
            ("Digits", "1234"),
            ("Digits", "1234"),
        ]);
        assert_eq!(reason(URL, "IK+Dwps556ElfBT0I3Rgjkr1wJU=", form), None);
    }

    #[test]
    fn a_body_is_signed_by_its_hash_in_the_url() {
        let hash = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
        let url = format!("{URL}&bodySHA256={hash}");
        let signature = "a9nBmqA0ju/hNViExpshrM61xv4=";
        let body = |body| reason(&url, signature, Content::Body(body));
        assert_eq!(body(b"{\"property\": \"value\", \"boolean\": true}"), None);
        assert_eq!(
            body(b"{\"property\":\"value\",\"boolean\":true}"),
            Some("body_changed")
        );
        assert_eq!(body(b""), Some("body_changed"));
        assert_eq!(
            reason(&url, signature, Content::Nothing),
            Some("body_changed")
        );
    }

    #[test]
    fn a_body_that_nothing_signs_is_not_accepted() {
        let signature = signed(URL);
        assert_eq!(
            reason(URL, &signature, Content::Body(b"{}")),
            Some("body_not_signed")
        );
        assert_eq!(reason(URL, &signature, Content::Body(b"")), None);
    }

    #[test]
    fn the_upgrade_is_signed_over_the_url_that_the_answer_named() {
        let upgrade = "wss://example.com/media";
        let signature = signed(upgrade);
        assert_eq!(reason(upgrade, &signature, Content::Nothing), None);
        let other_scheme = upgrade.replace("wss", "https");
        assert_eq!(
            reason(&other_scheme, &signature, Content::Nothing),
            Some("mismatch")
        );
    }

    #[test]
    fn what_is_not_what_was_signed_does_not_match() {
        let mut changed = FIELDS;
        changed[1].1 = "1235";
        let form = Content::Form(&changed);
        assert_eq!(reason(URL, SIGNATURE, form), Some("mismatch"));
        let form = Content::Form(&FIELDS[1..]);
        assert_eq!(reason(URL, SIGNATURE, form), Some("mismatch"));
        let form = Content::Form(&FIELDS);
        assert_eq!(
            reason("https://mycompany.com/myapp.php", SIGNATURE, form),
            Some("mismatch")
        );
        assert_eq!(reason(URL, "AAAA", form), Some("mismatch"));
        let other = validate("12346", URL, Some(SIGNATURE), form).unwrap_err();
        assert_eq!(other.reason(), "mismatch");
        assert!(!other.to_string().contains("12346"), "{other}");
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        let form = Content::Form(&FIELDS);
        let missing = validate(TOKEN, URL, None, form).unwrap_err();
        assert_eq!(
            (missing.reason(), missing.to_string().contains(HEADER)),
            ("missing", true)
        );
        assert_eq!(reason(URL, "not base64!", form), Some("malformed"));
        let empty = validate("", URL, Some(SIGNATURE), form).unwrap_err();
        assert_eq!(
            (empty.reason(), empty.to_string().contains("auth_token")),
            ("argument", true)
        );
    }

    fn signed(url: &str) -> String {
        let tag = ring::hmac::sign(&sha1_key(TOKEN.as_bytes()), url.as_bytes());
        base64_simd::STANDARD.encode_to_string(tag)
    }
}
