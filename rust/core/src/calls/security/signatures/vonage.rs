//! Vonage: a JSON Web Token (RFC 7519) in `Authorization`, which has the hash of the body.
//!
//! Source: "Decoding signed webhooks" in Vonage's documentation, and `vonage_jwt` of its SDK. The
//! token is signed with HS256 and the account's signature secret. It says when it was issued, and
//! mostly not when it ends: its age is bounded here. `payload_hash` is the SHA-256 of the body; of a
//! `GET`, that of the query as a JSON object.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::hmac::{from_base64_url, is_of, is_sha256_of, sha256_key};
use super::{Content, SignatureError, check_age, secret};

/// The header that has the token.
pub const HEADER: &str = "Authorization";
const CARRIER: &str = "Vonage";
const ALGORITHM: &str = "HS256";

/// Whose webhooks are accepted; what is `None` is not looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account<'a> {
    /// The key of the account's API.
    pub api_key: Option<&'a str>,
    /// The id of the application.
    pub application_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iat: u64,
    exp: Option<u64>,
    payload_hash: Option<String>,
    api_key: Option<String>,
    application_id: Option<String>,
}

/// Checks that a webhook is Vonage's, and that it was issued within `max_age` of now, either way.
///
/// `content` is the body of a `POST`, or the decoded query of a `GET` as a form. Without any, only
/// the token is checked.
pub fn validate(
    signature_secret: &str,
    authorization: Option<&str>,
    content: Content<'_>,
    account: Account<'_>,
    max_age: Duration,
    now: Duration,
) -> Result<(), SignatureError> {
    let secret = secret(signature_secret, "signature_secret")?;
    let header = HEADER;
    let authorization = authorization.ok_or(SignatureError::Missing {
        carrier: CARRIER,
        header,
    })?;
    let claims = verified(authorization, secret)?;
    check_age(
        claims.iat,
        max_age,
        now,
        "iat of the token in Authorization",
    )?;
    if let Some(end) = claims.exp.map(Duration::from_secs)
        && now >= end
    {
        let seconds = now.saturating_sub(end).as_secs();
        return Err(SignatureError::Expired { header, seconds });
    }
    for (claim, expected, actual) in [
        ("api_key", account.api_key, &claims.api_key),
        (
            "application_id",
            account.application_id,
            &claims.application_id,
        ),
    ] {
        if expected.is_some() && expected != actual.as_deref() {
            return Err(SignatureError::OtherAccount { header, claim });
        }
    }
    check_payload(claims.payload_hash.as_deref(), content)
}

/// The claims of a token whose signature is good.
fn verified(authorization: &str, secret: &[u8]) -> Result<Claims, SignatureError> {
    let header = HEADER;
    let expected = "\"Bearer\" and a JSON Web Token";
    let malformed = || SignatureError::Malformed { header, expected };
    let (scheme, token) = authorization.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed());
    }
    let (signed, signature) = token.trim().rsplit_once('.').ok_or_else(malformed)?;
    let (head, claims) = signed.split_once('.').ok_or_else(malformed)?;
    let head: Header = json(head).ok_or_else(malformed)?;
    if head.alg != ALGORITHM {
        return Err(SignatureError::Algorithm {
            header,
            expected: ALGORITHM,
        });
    }
    let signature = from_base64_url(signature).ok_or_else(malformed)?;
    if !is_of(&sha256_key(secret), signed.as_bytes(), &signature) {
        return Err(SignatureError::TokenMismatch { header });
    }
    json(claims).ok_or_else(malformed)
}

fn json<T: for<'de> Deserialize<'de>>(base64: &str) -> Option<T> {
    serde_json::from_slice(&from_base64_url(base64)?).ok()
}

fn check_payload(hash: Option<&str>, content: Content<'_>) -> Result<(), SignatureError> {
    let query;
    let payload = match content {
        Content::Nothing | Content::Body([]) => return Ok(()),
        Content::Body(body) => body,
        Content::Form(fields) => {
            let fields = fields.iter();
            let object: Map<_, _> = fields
                .map(|&(name, value)| (name.to_owned(), Value::from(value)))
                .collect();
            query = Value::Object(object).to_string();
            query.as_bytes()
        }
    };
    match hash {
        Some(hash) if is_sha256_of(hash, payload) => Ok(()),
        Some(_) => Err(SignatureError::BodyChanged {
            field: "payload_hash of the token",
        }),
        None => Err(SignatureError::BodyNotSigned {
            remedy: "the token in Authorization has no payload_hash, as webhooks of Vonage do",
        }),
    }
}

#[cfg(test)]
mod tests {
    use base64_simd::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;
    use crate::calls::security::signatures::MAX_AGE;

    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const SECRET: &str = "my signature secret";
    const BODY: &[u8] = br#"{"from":"442079460000"}"#;

    fn hash(body: &[u8]) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, body);
        let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<Vec<_>>().concat()
    }

    fn claims() -> Value {
        json!({
            "iat": 1_800_000_000, "jti": "c5ba8f24", "iss": "Vonage",
            "payload_hash": hash(BODY), "api_key": "a1b2c3d", "application_id": "aaaaaaaa",
        })
    }

    fn token(head: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode_to_string(value.to_string());
        let signed = format!("{}.{}", part(head), part(claims));
        let tag = ring::hmac::sign(&sha256_key(SECRET.as_bytes()), signed.as_bytes());
        format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode_to_string(tag))
    }

    fn check(authorization: &str, content: Content<'_>) -> Result<(), SignatureError> {
        let account = Account::default();
        validate(SECRET, Some(authorization), content, account, MAX_AGE, NOW)
    }

    fn reason(claims: &Value, content: Content<'_>) -> Option<&'static str> {
        let token = token(&json!({"alg": "HS256", "typ": "JWT"}), claims);
        check(&token, content).err().map(|error| error.reason())
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    #[test]
    fn a_body_is_the_one_whose_hash_the_token_has() {
        assert_eq!(reason(&claims(), Content::Body(BODY)), None);
        assert_eq!(reason(&claims(), Content::Nothing), None);
        assert_eq!(
            reason(&claims(), Content::Body(b"{}")),
            Some("body_changed")
        );
        let unsigned = with("payload_hash", Value::Null);
        assert_eq!(
            reason(&unsigned, Content::Body(BODY)),
            Some("body_not_signed")
        );
        assert_eq!(reason(&unsigned, Content::Body(b"")), None);
    }

    #[test]
    fn a_query_is_hashed_as_a_json_object_in_its_order() {
        let query = Content::Form(&[("to", "44"), ("from", "é\"")]);
        let claims = with(
            "payload_hash",
            hash("{\"to\":\"44\",\"from\":\"é\\\"\"}".as_bytes()).into(),
        );
        assert_eq!(reason(&claims, query), None);
        let other = Content::Form(&[("from", "é\""), ("to", "44")]);
        assert_eq!(reason(&claims, other), Some("body_changed"));
    }

    #[test]
    fn a_token_has_its_time() {
        let at = |iat: u64| reason(&with("iat", iat.into()), Content::Nothing);
        assert_eq!(at(1_799_999_700), None);
        assert_eq!(at(1_799_999_699), Some("too_old"));
        assert_eq!(at(1_800_000_301), Some("from_the_future"));
        let until = |exp: u64| reason(&with("exp", exp.into()), Content::Nothing);
        assert_eq!(until(1_800_000_001), None);
        assert_eq!(until(1_800_000_000), Some("expired"));
        assert_eq!(
            reason(&with("iat", Value::Null), Content::Nothing),
            Some("malformed")
        );
    }

    #[test]
    fn other_algorithms_are_not_accepted() {
        for algorithm in ["none", "HS512", "RS256", "hs256"] {
            let token = token(&json!({ "alg": algorithm }), &claims());
            let error = check(&token, Content::Nothing).unwrap_err();
            assert_eq!(error.reason(), "algorithm", "{algorithm}");
            let unsigned = &token[..=token.rfind('.').unwrap()];
            assert!(check(unsigned, Content::Nothing).is_err(), "{algorithm}");
        }
    }

    #[test]
    fn another_secret_another_account_and_no_token_are_named() {
        let token = token(&json!({"alg": "HS256"}), &claims());
        let account = Account::default();
        let other = validate(
            "other",
            Some(&token),
            Content::Nothing,
            account,
            MAX_AGE,
            NOW,
        );
        let other = other.unwrap_err();
        assert_eq!(other.reason(), "mismatch");
        assert!(!other.to_string().contains(SECRET), "{other}");
        let of = |api_key, application_id| {
            let account = Account {
                api_key,
                application_id,
            };
            validate(
                SECRET,
                Some(&token),
                Content::Nothing,
                account,
                MAX_AGE,
                NOW,
            )
        };
        assert_eq!(of(Some("a1b2c3d"), Some("aaaaaaaa")), Ok(()));
        assert_eq!(of(Some("b"), None).unwrap_err().reason(), "other_account");
        assert_eq!(of(None, Some("b")).unwrap_err().reason(), "other_account");
        let none = validate(SECRET, None, Content::Nothing, account, MAX_AGE, NOW);
        assert_eq!(none.unwrap_err().reason(), "missing");
        for text in [
            "",
            "Bearer",
            "Bearer a",
            "Bearer a.b",
            "Basic a.b.c",
            "Bearer a.b.c",
            "Bearer ...",
        ] {
            let error = check(text, Content::Nothing).unwrap_err();
            assert_eq!(error.reason(), "malformed", "{text:?}");
        }
    }

    #[test]
    fn a_changed_token_is_not_accepted() {
        let good = token(&json!({"alg": "HS256"}), &claims());
        let changed = token(&json!({"alg": "HS256"}), &with("api_key", "x".into()));
        let (signed, _) = changed.rsplit_once('.').unwrap();
        let (_, signature) = good.rsplit_once('.').unwrap();
        let mixed = check(&format!("{signed}.{signature}"), Content::Nothing).unwrap_err();
        assert_eq!(mixed.reason(), "mismatch");
    }
}
