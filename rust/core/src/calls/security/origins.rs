//! Which web pages may open a call, and by which names a server of pages may be called.
//!
//! A browser lets any page open a WebSocket to any address, this machine's own among them, and says in `Origin`
//! whose page it is (RFC 6454, RFC 6455 section 10.2). A page elsewhere can have its own name point to this machine
//! (DNS rebinding), so that its origin looks like the server's own: the name in `Host` is checked, too.
//! Who sends no `Origin` is no browser, and can say what it likes: tokens are for that.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::uri::{Authority, InvalidUri};
use http::{HeaderMap, Uri};
use thiserror::Error;

/// The most characters of a header that an error repeats.
const SHOWN: usize = 100;

/// Why a page is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OriginError {
    #[error(
        "this server is not called {0:?}: use its address or localhost, or name it as public_url"
    )]
    Host(String),
    #[error("pages of {0:?} may not call this server: allow them with origins")]
    Origin(String),
}

/// The public name of a server cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("public_url has no host that can be used: {0}")]
pub struct PublicNameError(String);

/// Who may use a server's pages and sockets from a browser.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// Origins that are allowed besides the server's own, such as `https://app.example.com`; `*`: all.
    pub allowed: Vec<String>,
    /// The name under which it is known, and its port where that is not the default.
    pub public: Option<Authority>,
    /// It is reached over loopback only: it has no names but those of this machine, and `public`.
    pub is_local: bool,
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

fn is_local_name(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    let is_loopback = || {
        host.parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
    };
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || is_loopback()
}

fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

fn same(one: &Authority, other: &Authority) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

impl Origins {
    /// `public`: host and port of the public URL.
    pub fn new(
        allowed: Vec<String>,
        public: Option<&str>,
        is_local: bool,
    ) -> Result<Self, PublicNameError> {
        let public = public.map(str::parse).transpose();
        Ok(Self {
            allowed,
            public: public.map_err(|error: InvalidUri| PublicNameError(error.to_string()))?,
            is_local,
        })
    }

    /// Checks the headers of a request.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), OriginError> {
        let text = |name| headers.get(name).map(|it| it.to_str().unwrap_or("?"));
        self.check_names(text(HOST), text(ORIGIN))
    }

    /// Checks the name that a request has for the server, and the origin of the page that makes it.
    pub fn check_names(&self, host: Option<&str>, origin: Option<&str>) -> Result<(), OriginError> {
        let own: Option<Authority> = host.and_then(|host| host.parse().ok());
        if !self.is_own(own.as_ref()) {
            return Err(OriginError::Host(shown(host.unwrap_or_default())));
        }
        let Some(origin) = origin else {
            return Ok(());
        };
        let is_allowed = self
            .allowed
            .iter()
            .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin));
        if is_allowed || self.is_same(origin, own.as_ref()) {
            return Ok(());
        }
        Err(OriginError::Origin(shown(origin)))
    }

    /// Whether the server has that name.
    fn is_own(&self, named: Option<&Authority>) -> bool {
        let Some(named) = named else {
            return false;
        };
        let host = named.host();
        let is_public = self
            .public
            .as_ref()
            .is_some_and(|public| public.host().eq_ignore_ascii_case(host));
        if is_public || is_local_name(host) {
            return true;
        }
        // An address cannot be made to point elsewhere; whoever has neither said a name nor keeps to
        // loopback is known by names that nobody has told.
        !self.is_local && (is_address(host) || self.public.is_none())
    }

    /// Whether the page is the server's own.
    fn is_same(&self, origin: &str, named: Option<&Authority>) -> bool {
        let Ok(uri) = origin.parse::<Uri>() else {
            return false;
        };
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let Some(authority) = uri.authority().filter(|_| is_web) else {
            return false;
        };
        let known = [named, self.public.as_ref()];
        known.into_iter().flatten().any(|own| same(own, authority))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> Origins {
        Origins {
            is_local: true,
            ..Origins::default()
        }
    }

    fn public(name: &str) -> Origins {
        Origins {
            public: Some(name.parse().unwrap()),
            ..Origins::default()
        }
    }

    #[test]
    fn pages_of_the_server_itself_may_call_it_and_others_may_not() {
        let here = local();
        for host in ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"] {
            let own = format!("http://{host}");
            assert_eq!(here.check_names(Some(host), Some(&own)), Ok(()), "{host}");
            assert_eq!(here.check_names(Some(host), None), Ok(()), "{host}");
            for strange in [
                "https://example.com",
                "http://localhost:9000",
                "null",
                "",
                "file://",
                "http://localhost:8000.example.com",
                "http://user@localhost:8000",
                "ws://localhost:8000",
                "?",
            ] {
                assert!(
                    matches!(
                        here.check_names(Some(host), Some(strange)),
                        Err(OriginError::Origin(_))
                    ),
                    "{host} {strange}"
                );
            }
        }
    }

    #[test]
    fn a_strange_name_that_points_to_this_machine_is_refused() {
        for host in ["evil.example:8000", "evil.example", "localhost.example", ""] {
            let own = format!("http://{host}");
            let refused = local().check_names(Some(host), Some(&own));
            assert!(matches!(refused, Err(OriginError::Host(_))), "{host}");
        }
        assert!(local().check_names(None, None).is_err());
        let named = public("voice.example.com");
        assert!(named.check_names(Some("evil.example"), None).is_err());
    }

    #[test]
    fn a_public_name_is_the_servers_own_behind_a_proxy_that_has_another_one_for_it() {
        let server = Origins {
            is_local: true,
            ..public("voice.example.com")
        };
        let page = Some("https://voice.example.com");
        for host in ["voice.example.com", "127.0.0.1:8000", "VOICE.example.com"] {
            assert_eq!(server.check_names(Some(host), page), Ok(()), "{host}");
        }
        assert!(
            server
                .check_names(Some("127.0.0.1:8000"), Some("https://example.com"))
                .is_err()
        );
    }

    #[test]
    fn what_is_reached_from_elsewhere_and_has_no_name_takes_any_but_its_pages_must_be_its_own() {
        let open = Origins::default();
        let host = Some("box.lan:8000");
        assert_eq!(open.check_names(host, Some("http://box.lan:8000")), Ok(()));
        assert!(
            open.check_names(host, Some("http://other.lan:8000"))
                .is_err()
        );
    }

    #[test]
    fn origins_are_allowed_by_name_or_all() {
        let mut server = local();
        server.allowed = vec!["https://app.example.com".to_owned()];
        let host = Some("localhost:8000");
        assert_eq!(
            server.check_names(host, Some("https://app.example.com")),
            Ok(())
        );
        assert!(
            server
                .check_names(host, Some("https://app.example.com:444"))
                .is_err()
        );
        server.allowed = vec!["*".to_owned()];
        assert_eq!(server.check_names(host, Some("null")), Ok(()));
    }
}
