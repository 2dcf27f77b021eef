//! The public URL of a request, as far as signatures need it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::SignatureError;

/// An absolute URL, in parts that together are the text as it was given.
#[derive(Clone, Copy, Debug)]
pub struct PublicUrl<'a> {
    text: &'a str,
    scheme: &'a str,
    /// With credentials, without the port.
    host: &'a str,
    port: Option<&'a str>,
    /// Path, query and fragment.
    rest: &'a str,
}

impl<'a> PublicUrl<'a> {
    pub fn parse(text: &'a str) -> Result<Self, SignatureError> {
        let why = "it is not absolute; give the public URL as the carrier has it, such as \
                   https://example.com/voice";
        let relative = SignatureError::Argument {
            argument: "url",
            why,
        };
        let Some((scheme, after)) = text.split_once("://") else {
            return Err(relative);
        };
        let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
        // Colons stand in the credentials and in an address of IPv6, too.
        let host_start = authority.rfind('@').map_or(0, |at| at + 1);
        let port_start = match authority[host_start..].rfind([':', ']']) {
            Some(at) if authority[host_start + at..].starts_with(':') => Some(host_start + at),
            _ => None,
        };
        let (host, port) = match port_start {
            Some(at) => (&authority[..at], Some(&authority[at + 1..])),
            None => (authority, None),
        };
        if scheme.is_empty() || host.is_empty() {
            return Err(relative);
        }
        Ok(Self {
            text,
            scheme,
            host,
            port,
            rest,
        })
    }

    fn default_port(&self) -> Option<&'static str> {
        match self.scheme {
            "https" | "wss" => Some("443"),
            "http" | "ws" => Some("80"),
            _ => None,
        }
    }

    fn with_port(&self, port: Option<&str>) -> String {
        let Self {
            scheme, host, rest, ..
        } = self;
        match port {
            Some(port) => format!("{scheme}://{host}:{port}{rest}"),
            None => format!("{scheme}://{host}{rest}"),
        }
    }

    /// The URL itself, and with and without its port: carriers are not consistent in what they sign.
    pub fn with_and_without_port(&self) -> impl Iterator<Item = Cow<'a, str>> {
        let other = match self.port {
            Some(_) => Some(self.with_port(None)),
            None => self.default_port().map(|port| self.with_port(Some(port))),
        };
        [Some(Cow::Borrowed(self.text)), other.map(Cow::Owned)]
            .into_iter()
            .flatten()
    }

    /// The same, but that a port is left out only if it is the scheme's own.
    pub fn with_and_without_default_port(&self) -> impl Iterator<Item = Cow<'a, str>> {
        let named = self.port.is_some() && self.port != self.default_port();
        self.with_and_without_port().take(if named { 1 } else { 2 })
    }

    /// Scheme, host, port and path.
    pub fn without_query(&self) -> &'a str {
        let end = self.rest.find(['?', '#']).unwrap_or(self.rest.len());
        &self.text[..self.text.len() - self.rest.len() + end]
    }

    /// The names and values in the query, as they stand there.
    pub fn raw_query(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let before_fragment = self.rest.split('#').next().unwrap_or_default();
        let query = before_fragment
            .split_once('?')
            .map_or("", |(_, query)| query);
        query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }

    /// The decoded names and values in the query.
    pub fn query(&self) -> impl Iterator<Item = (String, String)> + use<'a> {
        self.raw_query()
            .map(|(name, value)| (decode(name), decode(value)))
    }
}

/// Decodes what forms and queries encode.
fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variants(text: &str) -> Vec<String> {
        let url = PublicUrl::parse(text).unwrap();
        url.with_and_without_port().map(Cow::into_owned).collect()
    }

    #[test]
    fn a_url_stands_with_and_without_its_port() {
        assert_eq!(
            variants("https://a.b/c?d#e"),
            ["https://a.b/c?d#e", "https://a.b:443/c?d#e"]
        );
        assert_eq!(variants("wss://a.b"), ["wss://a.b", "wss://a.b:443"]);
        assert_eq!(variants("ws://a.b?c"), ["ws://a.b?c", "ws://a.b:80?c"]);
        assert_eq!(
            variants("http://a.b:81/"),
            ["http://a.b:81/", "http://a.b/"]
        );
        assert_eq!(variants("tcp://a.b/"), ["tcp://a.b/"]);
    }

    #[test]
    fn colons_of_credentials_and_addresses_are_no_port() {
        assert_eq!(
            variants("http://u:p@a.b/"),
            ["http://u:p@a.b/", "http://u:p@a.b:80/"]
        );
        assert_eq!(
            variants("http://u:p@a.b:9/"),
            ["http://u:p@a.b:9/", "http://u:p@a.b/"]
        );
        assert_eq!(
            variants("http://[::1]/"),
            ["http://[::1]/", "http://[::1]:80/"]
        );
        assert_eq!(
            variants("http://[::1]:9/"),
            ["http://[::1]:9/", "http://[::1]/"]
        );
        assert_eq!(
            variants("http://a.b/c:1@d"),
            ["http://a.b/c:1@d", "http://a.b:80/c:1@d"]
        );
    }

    #[test]
    fn a_port_of_ones_own_is_kept_where_only_the_default_one_may_go() {
        let of = |text| {
            PublicUrl::parse(text)
                .unwrap()
                .with_and_without_default_port()
                .count()
        };
        assert_eq!(of("https://a.b/"), 2);
        assert_eq!(of("https://a.b:443/"), 2);
        assert_eq!(of("https://a.b:8443/"), 1);
    }

    #[test]
    fn a_query_is_decoded() {
        let url = PublicUrl::parse("https://a.b/c?x=1+2&y=%C3%A9%3D&z&&w==#f?g=1").unwrap();
        let pairs = [("x", "1 2"), ("y", "é="), ("z", ""), ("w", "=")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(url.query().collect::<Vec<_>>(), pairs);
        assert_eq!(url.without_query(), "https://a.b/c");
        assert_eq!(
            PublicUrl::parse("https://a.b").unwrap().without_query(),
            "https://a.b"
        );
    }

    #[test]
    fn a_url_that_is_not_absolute_is_the_users_mistake() {
        for text in ["", "/voice", "a.b/c", "://a.b", "https://", "https:///x"] {
            let error = PublicUrl::parse(text).unwrap_err();
            assert_eq!(error.reason(), "argument", "{text:?}");
        }
    }
}
