//! The request for a connection: URL and headers.

use std::fmt;

use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::ConnectError;
use super::proxy::{Proxy, basic_authorization};
use super::secrets::{Secrets, redact_url};
use super::target::{Schemes, Target};

/// The URL and the headers of a connection. Its `Debug` output shows no secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConnectRequest {
    /// The URL: `wss://` or `ws://` for a WebSocket, `https://` or
    /// `http://` for WebRTC. Credentials in it are sent as `Authorization: Basic`, unless
    /// `headers` has an `Authorization`.
    pub url: String,
    /// Names and values, sent in this order.
    pub headers: Vec<(String, String)>,
    /// More that the server may quote and nobody may read, besides what headers and URLs hold.
    pub secrets: Vec<String>,
}

impl From<(String, Vec<(String, String)>, Vec<String>)> for ConnectRequest {
    fn from((url, headers, secrets): (String, Vec<(String, String)>, Vec<String>)) -> Self {
        Self {
            url,
            headers,
            secrets,
        }
    }
}

impl ConnectRequest {
    /// Parses the URL and checks the headers. Only the transport may set those in `own`.
    pub(in crate::transport) fn check(
        &self,
        schemes: Schemes,
        own: &[&str],
    ) -> Result<(Target, HeaderMap), ConnectError> {
        let target = Target::parse(&self.url, schemes)?;
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 8);
        for (name, value) in &self.headers {
            let (name, value) = checked_header(name, value, own)?;
            headers.append(name, value);
        }
        if let Some(userinfo) = &target.userinfo
            && !headers.contains_key(AUTHORIZATION)
        {
            let (name, value) =
                checked_header("authorization", &basic_authorization(userinfo), own)?;
            headers.insert(name, value);
        }
        if !headers.contains_key(USER_AGENT) {
            let agent = concat!("stapes/", env!("CARGO_PKG_VERSION"));
            headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        }
        Ok((target, headers))
    }

    /// The secrets to mask if a server echoes them: of the URL, the headers and the proxy.
    pub fn secrets(&self, proxy: &Proxy) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add_url(&self.url);
        for (name, value) in &self.headers {
            secrets.add_header(name, value);
        }
        proxy.add_secrets(&mut secrets);
        self.secrets.iter().for_each(|secret| secrets.add(secret));
        secrets
    }
}

impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("ConnectRequest")
            .field("url", &redact_url(&self.url))
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

fn checked_header(
    name: &str,
    value: &str,
    own: &[&str],
) -> Result<(HeaderName, HeaderValue), ConnectError> {
    let invalid = |problem: &str| ConnectError::InvalidHeader {
        name: name.to_owned(),
        problem: problem.to_owned(),
    };
    let parsed = name
        .parse::<HeaderName>()
        .map_err(|_| invalid("its name has characters that no header name may have"))?;
    if own.contains(&parsed.as_str()) {
        return Err(invalid("the transport sets it itself; leave it out"));
    }
    let mut parsed_value = HeaderValue::from_str(value).map_err(|_| {
        invalid(if value.contains(['\r', '\n']) {
            "its value has a line break; strip it (an API key read from a file often ends in one)"
        } else {
            "its value has characters other than printable ASCII"
        })
    })?;
    parsed_value.set_sensitive(true);
    Ok((parsed, parsed_value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 1] = ["sec-websocket-key"];

    fn check(request: &ConnectRequest) -> Result<(Target, HeaderMap), ConnectError> {
        let schemes = Schemes {
            plain: "ws",
            secure: "wss",
        };
        request.check(schemes, &OWN)
    }

    fn request(url: &str, headers: &[(&str, &str)]) -> ConnectRequest {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        ConnectRequest {
            url: url.to_owned(),
            headers: headers.iter().map(own).collect(),
            secrets: Vec::new(),
        }
    }

    #[test]
    fn debug_shows_names_and_hides_values() {
        let request = request(
            "wss://ann:pa55word@h/?model=m&ticket=t-987654",
            &[("Authorization", "Bearer sk-1234567")],
        );
        let (target, headers) = check(&request).unwrap();
        let shown = format!("{request:?} {target:?} {headers:?}");
        assert!(
            shown.contains("Authorization") && shown.contains("model=m"),
            "{shown}"
        );
        for secret in ["pa55word", "sk-1234567", "t-987654"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_key_with_a_line_break_is_refused_without_being_shown() {
        let error = check(&request(
            "ws://h",
            &[("Authorization", "Bearer sk-1234567\n")],
        ));
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains("Authorization") && text.contains("line break"),
            "{text}"
        );
        assert!(!text.contains("sk-1234567"), "{text}");
    }

    #[test]
    fn the_headers_of_the_handshake_are_refused() {
        let error = check(&request("ws://h", &[("Sec-WebSocket-Key", "x")])).unwrap_err();
        assert!(
            matches!(error, ConnectError::InvalidHeader { .. }),
            "{error}"
        );
    }

    #[test]
    fn credentials_of_the_url_are_sent_unless_a_header_says_otherwise() {
        let (_, headers) = check(&request("ws://ann:pw@h", &[])).unwrap();
        assert_eq!(headers[AUTHORIZATION], "Basic YW5uOnB3");
        let (_, headers) = check(&request("ws://ann:pw@h", &[("Authorization", "x")])).unwrap();
        assert_eq!(headers[AUTHORIZATION], "x");
    }
}
