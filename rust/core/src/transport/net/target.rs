//! Parses a URL into the parts that connecting uses.

use std::borrow::Cow;
use std::fmt;

use ::http::Uri;

use super::error::ConnectError;

/// The schemes of a transport.
#[derive(Debug, Clone, Copy)]
pub(in crate::transport) struct Schemes {
    pub plain: &'static str,
    pub secure: &'static str,
}

/// The server that a URL names.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::transport) struct Target {
    /// Whether to use TLS.
    pub secure: bool,
    /// Host name or address, an IPv6 address without its brackets.
    pub host: String,
    /// The port; the scheme's default if the URL has none.
    pub port: u16,
    /// The value of the `Host` header.
    pub authority: String,
    /// Path and query, at least `/`.
    pub path: String,
    /// `user:password` as written in the URL, still percent-encoded.
    pub userinfo: Option<String>,
}

impl Target {
    /// Parses `url`.
    pub fn parse(url: &str, schemes: Schemes) -> Result<Self, ConnectError> {
        let Schemes { plain, secure } = schemes;
        let wanted = format!("it must begin with {secure}:// or {plain}://");
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(invalid(format!("it has no scheme; {wanted}")));
        };
        let secure = if scheme.eq_ignore_ascii_case(secure) {
            true
        } else if scheme.eq_ignore_ascii_case(plain) {
            false
        } else {
            return Err(invalid(format!("its scheme is `{scheme}`; {wanted}")));
        };
        if rest.is_empty() || rest.starts_with(['/', '?', '#']) {
            return Err(invalid("it names no host".to_owned()));
        }
        let uri: Uri = with_path(url, rest).parse().map_err(|error| {
            let hint = if url.is_ascii() {
                ""
            } else {
                "; write it in ASCII (punycode, %-escapes)"
            };
            invalid(format!("{error}{hint}"))
        })?;
        let authority = uri
            .authority()
            .ok_or_else(|| invalid("it names no host".to_owned()))?;
        let (userinfo, host_port) = match authority.as_str().rsplit_once('@') {
            Some((userinfo, host_port)) => (Some(userinfo.to_owned()), host_port),
            None => (None, authority.as_str()),
        };
        let host = authority.host();
        let port = match host_port.get(host.len()..).unwrap_or_default() {
            "" | ":" => None,
            _ => match authority.port_u16() {
                Some(port) if port > 0 => Some(port),
                _ => {
                    return Err(invalid(
                        "its port is not a number from 1 to 65535".to_owned(),
                    ));
                }
            },
        };
        let name = host.trim_start_matches('[').trim_end_matches(']');
        if name.is_empty() {
            return Err(invalid("it names no host".to_owned()));
        }
        Ok(Self {
            secure,
            host: name.to_owned(),
            port: port.unwrap_or(if secure { 443 } else { 80 }),
            authority: port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            userinfo,
        })
    }

    /// `host:port`, with brackets around an IPv6 address.
    pub fn address(&self) -> String {
        address(&self.host, self.port)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("secure", &self.secure)
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub(super) fn address(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The URL with a path, which may be missing before the query.
fn with_path<'a>(url: &'a str, rest: &str) -> Cow<'a, str> {
    match rest.find(['/', '?', '#']) {
        Some(at) if !rest[at..].starts_with('/') => {
            let (before, behind) = url.split_at(url.len() - rest.len() + at);
            Cow::Owned(format!("{before}/{behind}"))
        }
        _ => Cow::Borrowed(url),
    }
}

fn invalid(problem: String) -> ConnectError {
    ConnectError::InvalidUrl { problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WS: Schemes = Schemes {
        plain: "ws",
        secure: "wss",
    };

    #[test]
    fn the_port_follows_the_scheme_unless_it_is_written() {
        let target = Target::parse("wss://api.example.org/v1/realtime?model=m", WS).unwrap();
        assert!(target.secure);
        assert_eq!(
            (target.host.as_str(), target.port),
            ("api.example.org", 443)
        );
        assert_eq!(target.authority, "api.example.org");
        assert_eq!(target.path, "/v1/realtime?model=m");
        let target = Target::parse("WS://u:p@[::1]:8080", WS).unwrap();
        assert!(!target.secure);
        assert_eq!((target.host.as_str(), target.port), ("::1", 8080));
        assert_eq!(target.authority, "[::1]:8080");
        assert_eq!(target.path, "/");
        assert_eq!(target.userinfo.as_deref(), Some("u:p"));
        assert_eq!(target.address(), "[::1]:8080");
    }

    #[test]
    fn a_query_or_a_fragment_may_follow_the_host() {
        for (url, path) in [
            ("wss://h?model=x/y", "/?model=x/y"),
            ("wss://h:1?a=b#c", "/?a=b"),
            ("wss://u:p@h#c?d", "/"),
        ] {
            let target = Target::parse(url, WS).expect(url);
            assert_eq!((target.host.as_str(), target.path.as_str()), ("h", path));
        }
    }

    #[test]
    fn an_unusable_url_says_what_is_wrong() {
        for (url, part) in [
            ("api.openai.com/v1", "begin with wss:// or ws://"),
            ("https://api.openai.com", "scheme is `https`"),
            ("wss:///v1/realtime", ""),
            ("ws://h:99999/", ""),
            ("ws://h:0/", "port"),
            ("ws://h/a b", ""),
            ("ws://bücher.example/", "punycode"),
        ] {
            let error = Target::parse(url, WS).expect_err(url);
            assert!(
                matches!(error, ConnectError::InvalidUrl { .. }),
                "{url}: {error}"
            );
            assert!(error.to_string().contains(part), "{url}: {error}");
        }
    }
}
