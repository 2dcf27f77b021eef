//! Plivo, version 3: base64 of the HMAC-SHA-256 of URL, form and nonce.
//!
//! Source: `plivo/utils/signature_v3` of Plivo's own SDKs, and "Signature validation" in its
//! documentation. What is signed is the URL without its query, then `?` and the query with its
//! names sorted and its values decoded; for a `POST` with fields, a `.` if there was a query, and
//! names and values of the form, sorted; at last `.` and the nonce. The upgrade to a WebSocket is
//! signed as a `GET`.

use super::hmac::{from_base64, is_of, sha256_key};
use super::url::PublicUrl;
use super::{SignatureError, secret};

/// The header that has the signatures, separated by commas: one for each token of the account.
pub const SIGNATURE_HEADER: &str = "X-Plivo-Signature-V3";
/// The header that has the nonce.
pub const NONCE_HEADER: &str = "X-Plivo-Signature-V3-Nonce";
const CARRIER: &str = "Plivo";

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`, also that of an upgrade.
    Get,
    /// `POST`.
    Post,
}

/// A request of Plivo.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its method.
    pub method: Method,
    /// Its public URL, as Plivo has it.
    pub url: &'a str,
    /// The value of [`SIGNATURE_HEADER`].
    pub signature: Option<&'a str>,
    /// The value of [`NONCE_HEADER`].
    pub nonce: Option<&'a str>,
    /// The decoded fields of the form; for a `GET`, what a framework has besides the URL's query.
    pub fields: &'a [(&'a str, &'a str)],
}

/// Checks that a request is Plivo's.
pub fn validate(auth_token: &str, request: Request<'_>) -> Result<(), SignatureError> {
    let key = sha256_key(secret(auth_token, "auth_token")?);
    let url = PublicUrl::parse(request.url)?;
    let (carrier, header) = (CARRIER, SIGNATURE_HEADER);
    let required =
        |value: Option<_>, header| value.ok_or(SignatureError::Missing { carrier, header });
    let signatures: &str = required(request.signature, header)?;
    let nonce = required(request.nonce, NONCE_HEADER)?;
    let message = format!("{}.{nonce}", signed_url(&url, &request));
    let mut decoded = signatures
        .split(',')
        .map(|text| from_base64(text.trim()))
        .peekable();
    if decoded.clone().all(|signature| signature.is_none()) {
        let expected = "a list of HMAC-SHA-256 in base64";
        return Err(SignatureError::Malformed { header, expected });
    }
    if decoded.any(|signature| signature.is_some_and(|it| is_of(&key, message.as_bytes(), &it))) {
        return Ok(());
    }
    Err(SignatureError::UrlMismatch { carrier, header })
}

/// What is signed, but for the nonce.
fn signed_url(url: &PublicUrl<'_>, request: &Request<'_>) -> String {
    let mut query: Vec<_> = url.query().collect();
    let mut form: Vec<_> = request.fields.to_vec();
    if request.method == Method::Get {
        // A framework gives the URL's query once more, and the URL is what was signed.
        let in_url = |name: &str| query.iter().any(|(one, _)| one == name);
        let others: Vec<_> = form.drain(..).filter(|&(name, _)| !in_url(name)).collect();
        query.extend(
            others
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned())),
        );
    }
    query.sort_unstable();
    form.sort_unstable();
    let mut signed = url.without_query().to_owned();
    if !query.is_empty() || !form.is_empty() {
        signed.push('?');
    }
    let pairs: Vec<_> = query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    signed.push_str(&pairs.join("&"));
    if !query.is_empty() && !form.is_empty() {
        signed.push('.');
    }
    signed.extend(form.iter().flat_map(|&(name, value)| [name, value]));
    signed
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "Y2Q2ZDgxZmY5YWRiOTI5YmQ1Njg0MTAxZWIyOTc4";
    const BARE: &str = "https://plivobin.non-prod.plivops.com/api/v1/validate_signature03.xml";
    const WITH_QUERY: &str =
        "https://plivobin.non-prod.plivops.com/api/v1/validate_signature03.xml/?a=b&c=d";
    const FIELDS: [(&str, &str); 13] = [
        ("Direction", "outbound"),
        ("From", "19792014278"),
        ("ALegUUID", "3e82ae9d-2c78-4d85-b1a4-6eae7dbafb36"),
        ("CallStatus", "in-progress"),
        ("BillRate", "0.002"),
        ("ParentAuthID", "MANWVLYTK4ZWU1YTY4QA"),
        (
            "To",
            "sip:PlivoSignature382029104058171078704104@phone-qa.voice.plivodev.com",
        ),
        ("ALegRequestUUID", "3e82ae9d-2c78-4d85-b1a4-6eae7dbafb36"),
        ("CallUUID", "3e82ae9d-2c78-4d85-b1a4-6eae7dbafb36"),
        ("RequestUUID", "3e82ae9d-2c78-4d85-b1a4-6eae7dbafb36"),
        (
            "SIP-H-To",
            "<sip:PlivoSignature382029104058171078704104@52.9.11.55;transport=udp>;tag=1",
        ),
        ("SessionStart", "2020-04-08 11:34:33.238707"),
        ("Event", "StartApp"),
    ];
    const VECTORS: [(Method, &str, &str); 4] = [
        (
            Method::Post,
            WITH_QUERY,
            "k7Pusd4OxCIjR5IfA9iedDNu/h/gbdYqdzG/MiYtd1c=",
        ),
        (
            Method::Get,
            WITH_QUERY,
            "UBq8jAtd32wR8EK9VgxbBn4n5rpI/l1H9iN4WfSEHFQ=",
        ),
        (
            Method::Post,
            BARE,
            "iAjE5QqI37mbkYe4w3jTMudqEzbDufdqi7sYwTu64e0=",
        ),
        (
            Method::Get,
            BARE,
            "i/MQsaQSAd6fiKhOh2qeeeLHZ9faldADSb3/7+Akfbc=",
        ),
    ];

    fn request((method, url, signature): (Method, &'static str, &'static str)) -> Request<'static> {
        let nonce = Some("31627761595286130198");
        Request {
            method,
            url,
            signature: Some(signature),
            nonce,
            fields: &FIELDS,
        }
    }

    fn reason(request: Request<'_>) -> Option<&'static str> {
        validate(TOKEN, request).err().map(|error| error.reason())
    }

    #[test]
    fn the_vectors_of_the_sdk_are_accepted_and_only_as_they_are() {
        for vector in VECTORS {
            let request = request(vector);
            assert_eq!(reason(request), None, "{vector:?}");
            let nonce = Some("31627761595286130199");
            assert_eq!(reason(Request { nonce, ..request }), Some("mismatch"));
            let fields = &FIELDS[1..];
            assert_eq!(reason(Request { fields, ..request }), Some("mismatch"));
            let url = &request.url[..request.url.len() - 1];
            assert_eq!(reason(Request { url, ..request }), Some("mismatch"));
            let other = match request.method {
                Method::Get => Method::Post,
                Method::Post => Method::Get,
            };
            let other = Request {
                method: other,
                ..request
            };
            assert_eq!(reason(other), Some("mismatch"));
            assert!(validate("other", request).is_err());
        }
    }

    #[test]
    fn one_of_several_signatures_suffices() {
        let listed = |text: &str| {
            let mut request = request(VECTORS[0]);
            request.signature = Some(text);
            validate(TOKEN, request).err().map(|error| error.reason())
        };
        let (good, other) = (VECTORS[0].2, VECTORS[1].2);
        assert_eq!(listed(&format!("{other},{good}")), None);
        assert_eq!(listed(&format!("{good}, !")), None);
        assert_eq!(listed(other), Some("mismatch"));
        assert_eq!(listed("!,?"), Some("malformed"));
        assert_eq!(listed(""), Some("mismatch"));
    }

    #[test]
    fn what_is_signed_is_put_together_as_the_sdk_does() {
        let signed = |method, url, fields| {
            let (signature, nonce) = (None, None);
            let request = Request {
                method,
                url,
                signature,
                nonce,
                fields,
            };
            signed_url(&PublicUrl::parse(url).unwrap(), &request)
        };
        let (get, post) = (Method::Get, Method::Post);
        assert_eq!(signed(get, "https://a.b", &[]), "https://a.b");
        assert_eq!(
            signed(get, "wss://a.b/c?y=1&x=%C3%A9", &[]),
            "wss://a.b/c?x=é&y=1"
        );
        assert_eq!(
            signed(post, "https://a.b/?y=1&x=2", &[]),
            "https://a.b/?x=2&y=1"
        );
        assert_eq!(
            signed(post, "https://a.b/", &[("k", "v")]),
            "https://a.b/?kv"
        );
        assert_eq!(
            signed(post, "https://a.b/?x=2", &[("k", "v")]),
            "https://a.b/?x=2.kv"
        );
        let twice = &[("k", "2"), ("k", "1")];
        assert_eq!(signed(post, "https://a.b/", twice), "https://a.b/?k1k2");
        // A framework's view of the query does not count twice.
        assert_eq!(
            signed(get, "https://a.b/?k=v", &[("k", "v")]),
            "https://a.b/?k=v"
        );
        assert_eq!(
            signed(get, "https://a.b/?k=v", &[("j", "w")]),
            "https://a.b/?j=w&k=v"
        );
    }

    #[test]
    fn missing_headers_are_named() {
        let request = request(VECTORS[0]);
        let said = |request| validate(TOKEN, request).unwrap_err().to_string();
        let no_nonce = said(Request {
            nonce: None,
            ..request
        });
        assert!(no_nonce.contains(NONCE_HEADER), "{no_nonce}");
        let unsigned = said(Request {
            signature: None,
            ..request
        });
        assert!(unsigned.contains("no X-Plivo-Signature-V3:"), "{unsigned}");
    }
}
