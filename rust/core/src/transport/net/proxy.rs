//! Finds the proxy on the way to a server, if there is one.

use std::fmt;

use percent_encoding::percent_decode_str;

use super::error::ConnectError;
use super::no_proxy;
use super::secrets::{Secrets, redact_url};
use super::target::{Schemes, Target};

/// The variables that may name a proxy.
const VARIABLES: [&str; 6] = [
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "HTTP_PROXY",
    "all_proxy",
    "ALL_PROXY",
];

/// Which proxy to use.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Proxy {
    /// The one in the environment: `HTTPS_PROXY` for secure connections, `HTTP_PROXY` for plain ones,
    /// otherwise `ALL_PROXY`. `NO_PROXY` lists the hosts that are reached directly. Lower-case names
    /// take precedence. Loopback hosts are always reached directly.
    #[default]
    FromEnvironment,
    /// None.
    Direct,
    /// This one for every host: `http://[user:password@]host[:port]`, or `https://` if the proxy itself
    /// uses TLS.
    Url(String),
}

impl Proxy {
    /// Reads `environment`, a URL, or none.
    pub fn from_setting(setting: Option<String>) -> Self {
        match setting {
            Some(word) if word == "environment" => Self::FromEnvironment,
            Some(url) => Self::Url(url),
            None => Self::Direct,
        }
    }

    pub fn setting(&self) -> Option<&str> {
        match self {
            Self::FromEnvironment => Some("environment"),
            Self::Url(url) => Some(url),
            Self::Direct => None,
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromEnvironment => f.write_str("FromEnvironment"),
            Self::Direct => f.write_str("Direct"),
            Self::Url(url) => f.debug_tuple("Url").field(&redact_url(url)).finish(),
        }
    }
}

/// A proxy that opens tunnels (CONNECT).
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ProxyServer {
    /// Where it is.
    pub target: Target,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<String>,
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyServer")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// Adds the credentials of the proxy, or of those in the environment.
    pub(super) fn add_secrets(&self, secrets: &mut Secrets) {
        match self {
            Self::Direct => {}
            Self::Url(url) => secrets.add_url(url),
            Self::FromEnvironment => {
                let urls = VARIABLES.iter().filter_map(|name| std::env::var(name).ok());
                urls.for_each(|url| secrets.add_url(&url));
            }
        }
    }

    /// The proxy for `target`. `environment` looks up a variable.
    pub(super) fn towards(
        &self,
        target: &Target,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<ProxyServer>, ConnectError> {
        match self {
            Self::Direct => Ok(None),
            Self::Url(url) => parse(url, "the option proxy").map(Some),
            Self::FromEnvironment => from_environment(target, environment),
        }
    }
}

fn from_environment(
    target: &Target,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<ProxyServer>, ConnectError> {
    let set = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    let either = |lower: &'static str, upper: &'static str| {
        set(lower)
            .map(|value| (lower, value))
            .or_else(|| set(upper).map(|value| (upper, value)))
    };
    if no_proxy::is_loopback(&target.host) {
        return Ok(None);
    }
    if let Some((_, list)) = either("no_proxy", "NO_PROXY")
        && no_proxy::exempts(&list, &target.host, target.port)
    {
        return Ok(None);
    }
    let own = if target.secure {
        either("https_proxy", "HTTPS_PROXY")
    } else if set("REQUEST_METHOD").is_some() {
        // In a CGI program the client controls HTTP_PROXY, through the header `Proxy` (CVE-2016-5385).
        set("http_proxy").map(|value| ("http_proxy", value))
    } else {
        either("http_proxy", "HTTP_PROXY")
    };
    match own.or_else(|| either("all_proxy", "ALL_PROXY")) {
        Some((name, url)) => parse(url.trim(), name).map(Some),
        None => Ok(None),
    }
}

fn parse(url: &str, setting: &str) -> Result<ProxyServer, ConnectError> {
    let invalid = |problem: String| ConnectError::InvalidProxy {
        setting: setting.to_owned(),
        problem,
    };
    let url = if url.contains("://") {
        url.to_owned()
    } else {
        format!("http://{url}")
    };
    let target = Target::parse(
        &url,
        Schemes {
            plain: "http",
            secure: "https",
        },
    )
    .map_err(|error| match error {
        ConnectError::InvalidUrl { problem } => invalid(problem),
        other => other,
    })?;
    let authorization = target.userinfo.as_deref().map(basic_authorization);
    Ok(ProxyServer {
        target,
        authorization,
    })
}

/// The credentials of a URL as the value of an `Authorization` header (RFC 7617).
pub(in crate::transport) fn basic_authorization(userinfo: &str) -> String {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let mut credentials: Vec<u8> = percent_decode_str(user).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(password));
    format!(
        "Basic {}",
        base64_simd::STANDARD.encode_to_string(credentials)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn towards(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let target = Target::parse(
            url,
            Schemes {
                plain: "ws",
                secure: "wss",
            },
        )
        .unwrap();
        let look_up = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let proxy = Proxy::FromEnvironment.towards(&target, look_up).unwrap();
        proxy.map(|proxy| proxy.target.address())
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_serves_both() {
        let variables = [("HTTPS_PROXY", "http://s:1"), ("HTTP_PROXY", "p:2")];
        assert_eq!(towards("wss://h/", &variables).as_deref(), Some("s:1"));
        assert_eq!(towards("ws://h/", &variables).as_deref(), Some("p:2"));
        assert_eq!(
            towards("ws://h/", &[("ALL_PROXY", "a")]).as_deref(),
            Some("a:80")
        );
        assert_eq!(towards("wss://h/", &[("HTTP_PROXY", "p:2")]), None);
        assert_eq!(towards("wss://h/", &[("HTTPS_PROXY", " ")]), None);
    }

    #[test]
    fn lower_case_wins() {
        let variables = [("https_proxy", "low:1"), ("HTTPS_PROXY", "up:2")];
        assert_eq!(towards("wss://h/", &variables).as_deref(), Some("low:1"));
    }

    #[test]
    fn exempt_hosts_and_this_machine_are_reached_directly() {
        let variables = [("ALL_PROXY", "p:1"), ("NO_PROXY", "h.example")];
        assert_eq!(towards("wss://h.example/", &variables), None);
        assert_eq!(
            towards("wss://other.example/", &variables).as_deref(),
            Some("p:1")
        );
        assert_eq!(towards("ws://127.0.0.1:9/", &variables), None);
        assert_eq!(towards("ws://localhost:9/", &variables), None);
    }

    #[test]
    fn a_cgi_program_does_not_trust_the_upper_case_variable() {
        let variables = [("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(towards("ws://h/", &variables), None);
    }

    #[test]
    fn a_bad_proxy_names_its_variable_and_not_its_value() {
        let target = Target::parse(
            "wss://h/",
            Schemes {
                plain: "ws",
                secure: "wss",
            },
        )
        .unwrap();
        let error = Proxy::FromEnvironment
            .towards(&target, |name| {
                (name == "HTTPS_PROXY").then(|| "socks5://ann:pa55word@p:1".to_owned())
            })
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("HTTPS_PROXY") && text.contains("socks5"),
            "{text}"
        );
        assert!(!text.contains("pa55word"), "{text}");
    }

    #[test]
    fn credentials_are_decoded_before_they_are_sent() {
        assert_eq!(basic_authorization("ann:p%40ss"), "Basic YW5uOnBAc3M=");
        assert_eq!(basic_authorization("ann"), "Basic YW5uOg==");
    }

    #[test]
    fn nothing_secret_is_in_debug() {
        let proxy = Proxy::Url("http://ann:pa55word@p:1".to_owned());
        let server = parse("http://ann:pa55word@p:1", "x").unwrap();
        let shown = format!("{proxy:?} {server:?}");
        assert!(
            shown.contains("p:1") && !shown.contains("pa55word"),
            "{shown}"
        );
        assert!(!shown.contains("Basic"), "{shown}");
    }
}
