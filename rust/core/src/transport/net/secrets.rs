//! Removes secrets from texts for people.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;
use percent_encoding::percent_decode_str;

/// Query parameters whose values are not secret and help to understand a message.
const HARMLESS_PARAMETERS: [&str; 5] = ["model", "call_id", "deployment", "api-version", "intent"];

/// Names of headers whose values are no secrets.
const HARMLESS_HEADERS: [&str; 8] = [
    "accept",
    "accept-language",
    "content-type",
    "openai-beta",
    "origin",
    "referer",
    "user-agent",
    "x-title",
];

/// What the names of headers with credentials contain. Of their values, parts are masked too.
const OF_CREDENTIALS: [&str; 7] = [
    "auth",
    "cookie",
    "credential",
    "key",
    "secret",
    "signature",
    "token",
];

/// Subprotocols that are no secrets. A key may be sent as a subprotocol, too.
const HARMLESS_PROTOCOLS: [&str; 2] = ["realtime", "openai-beta"];

/// Shorter values are not treated as secrets: they would mask ordinary words.
const SHORTEST_SECRET: usize = 8;

/// The bytes of a secret that are looked for, to find parts of it.
const ANCHOR: usize = 4;

/// The replacement of a secret.
const MASK: &str = "***";

/// The longest text of a server that is passed on, in characters.
const MAX_SHOWN: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Secret {
    text: Box<str>,
    /// The length from which on a part of it is masked as well, in bytes.
    least_part: usize,
}

/// The secrets of a connection, which are masked in texts for people: the server may quote them. Its
/// `Debug` output shows none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Arc<Vec<Secret>>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a secret, of which parts are masked too.
    pub fn add(&mut self, value: &str) {
        self.put(value, (value.len() / 4).max(SHORTEST_SECRET));
    }

    fn put(&mut self, value: &str, least_part: usize) {
        let is_known = |known: &Secret| *known.text == *value && known.least_part <= least_part;
        if value.len() >= SHORTEST_SECRET && !self.0.iter().any(is_known) {
            let text = value.into();
            let secrets = Arc::make_mut(&mut self.0);
            // There are few, and each connection keeps them.
            secrets.reserve_exact(1);
            secrets.push(Secret { text, least_part });
        }
    }

    /// Adds the value of a header, and its words.
    pub fn add_header(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        if HARMLESS_HEADERS.contains(&name.as_str()) {
            return;
        }
        if name == "sec-websocket-protocol" {
            for protocol in value.split(',').map(str::trim) {
                let (kind, key) = protocol.split_once('.').unwrap_or((protocol, ""));
                if !HARMLESS_PROTOCOLS.contains(&kind) {
                    self.put(protocol, protocol.len());
                    self.add(key);
                }
            }
        } else if OF_CREDENTIALS.iter().any(|word| name.contains(word)) {
            self.put(value, value.len());
            let (scheme, credentials) = value.split_once(' ').unwrap_or(("", value));
            self.add(credentials.trim());
            if scheme.eq_ignore_ascii_case("basic")
                && let Ok(decoded) =
                    base64_simd::STANDARD.decode_to_vec(credentials.trim().as_bytes())
                && let Ok(decoded) = String::from_utf8(decoded)
            {
                self.add_userinfo(&decoded);
            }
        } else {
            self.put(value, value.len());
        }
    }

    /// Adds the credentials and the query values of a URL.
    pub fn add_url(&mut self, url: &str) {
        let (rest, query) = split_query(url);
        for (_, value) in parameters(query).filter(|(name, _)| !is_harmless(name)) {
            self.add_encoded(value);
        }
        let authority = authority_of(rest).1;
        if let Some((userinfo, _)) = authority.rsplit_once('@') {
            self.add_userinfo(userinfo);
        }
    }

    fn add_userinfo(&mut self, userinfo: &str) {
        self.put(userinfo, userinfo.len());
        if let Some((_, password)) = userinfo.split_once(':') {
            self.add_encoded(password);
        }
    }

    /// Adds a value as it is written, and as it is meant.
    fn add_encoded(&mut self, value: &str) {
        self.add(value);
        self.add(&percent_decode_str(value).decode_utf8_lossy());
    }

    /// Masks all secrets in `text`, and long parts of those that are credentials.
    pub fn mask(&self, text: &mut String) {
        let mut found: Vec<Range<usize>> = Vec::new();
        for secret in self.0.iter() {
            secret.find(text, &mut found);
        }
        if found.is_empty() {
            return;
        }
        found.sort_by_key(|range| range.start);
        let (mut masked, mut shown) = (String::with_capacity(text.len()), 0);
        for Range { start, end } in found {
            let start = (0..=start).rev().find(|at| text.is_char_boundary(*at));
            let start = start.unwrap_or(0);
            if start >= shown {
                masked.push_str(&text[shown..start]);
                masked.push_str(MASK);
            }
            let end = (end..=text.len()).find(|at| text.is_char_boundary(*at));
            shown = shown.max(end.unwrap_or(text.len()));
        }
        masked.push_str(&text[shown..]);
        *text = masked;
    }

    /// A text of a server's as it may be shown: without secrets and control characters, and no longer
    /// than a message should be.
    pub fn presentable(&self, text: &str) -> String {
        let mut text = text.to_owned();
        self.mask(&mut text);
        let mut shown: String = text
            .chars()
            .take(MAX_SHOWN)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        shown
    }
}

impl Secret {
    /// Adds where the secret stands in `text`, or long parts of it.
    fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
        let (text, secret) = (text.as_bytes(), self.text.as_bytes());
        if self.least_part >= secret.len() {
            let at = memmem::find_iter(text, secret);
            found.extend(at.map(|at| at..at + secret.len()));
            return;
        }
        // Every part of 2 * ANCHOR - 1 bytes has one of these anchors in it.
        for anchor in (0..=secret.len() - ANCHOR).step_by(ANCHOR) {
            for at in memmem::find_iter(text, &secret[anchor..anchor + ANCHOR]) {
                let before = common_suffix(&text[..at], &secret[..anchor]);
                let behind = common_prefix(&text[at..], &secret[anchor..]);
                if before + behind >= self.least_part {
                    found.push(at - before..at + behind);
                }
            }
        }
    }
}

fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

fn common_suffix(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().rev().zip(other.iter().rev());
    pairs.take_while(|(a, b)| a == b).count()
}

/// Masks the credentials of a URL and the values of its query, except harmless ones.
pub fn redact_url(url: &str) -> String {
    let (rest, query) = split_query(url);
    let (scheme, authority, path) = authority_of(rest);
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        None => authority.to_owned(),
    };
    let mut shown = format!("{scheme}{authority}{path}");
    if !query.is_empty() {
        shown.push('?');
        for (index, (name, value)) in parameters(query).enumerate() {
            if index > 0 {
                shown.push('&');
            }
            shown.push_str(name);
            shown.push('=');
            shown.push_str(if is_harmless(name) { value } else { MASK });
        }
    }
    shown
}

fn is_harmless(name: &str) -> bool {
    HARMLESS_PARAMETERS.contains(&name)
}

/// Splits a URL into the part before the query and the query, without the fragment.
fn split_query(url: &str) -> (&str, &str) {
    let url = url.split_once('#').map_or(url, |(before, _)| before);
    url.split_once('?').unwrap_or((url, ""))
}

/// Splits a URL into the scheme with its `://`, the authority, and the rest.
fn authority_of(rest: &str) -> (&str, &str, &str) {
    let start = rest.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = rest.split_at(start);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (scheme, authority, path)
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        // A parameter without `=` counts as a value, which may be secret.
        .map(|pair| pair.split_once('=').unwrap_or(("", pair)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_keeps_host_and_model_and_hides_credentials_and_other_values() {
        let url = "wss://ann:pa55word@example.org:8443/v1/realtime?model=m-1&api-key=sk-1234567#x";
        assert_eq!(
            redact_url(url),
            "wss://***@example.org:8443/v1/realtime?model=m-1&api-key=***"
        );
    }

    #[test]
    fn a_bare_query_value_is_hidden() {
        assert_eq!(redact_url("ws://h/p?sk-1234567"), "ws://h/p?=***");
    }

    fn masked(secrets: &Secrets, text: &str) -> String {
        let mut text = text.to_owned();
        secrets.mask(&mut text);
        text
    }

    #[test]
    fn ordinary_words_and_short_keys_are_not_masked() {
        let mut secrets = Secrets::default();
        for key in ["any", "null", "1234567"] {
            secrets.add(key);
            secrets.add_header("Authorization", &format!("Bearer {key}"));
        }
        secrets.add_header("User-Agent", "stapes/0.1.0");
        secrets.add_header(
            "Sec-WebSocket-Protocol",
            "realtime, openai-beta.realtime-v1",
        );
        let words = "company, nullify, 12345678, stapes/0.1.0, realtime-v1";
        assert_eq!(masked(&secrets, words), words);
    }

    #[test]
    fn most_of_a_key_is_masked_whatever_is_left_out_of_it() {
        let mut secrets = Secrets::default();
        secrets.add_header("Authorization", "Bearer sk-secret-0123456789abcdef");
        for (text, shown) in [
            ("key sk-secret-0123456789abcd..", "key ***.."),
            ("key ..-secret-0123456789abcdef", "key ..***"),
            ("key sk-secret-01..456789abcdef", "key ***..***"),
            (
                "key sk-s*****************cdef",
                "key sk-s*****************cdef",
            ),
        ] {
            assert_eq!(masked(&secrets, text), shown);
        }
    }

    #[test]
    fn credentials_are_masked_however_they_are_written() {
        let mut secrets = Secrets::default();
        secrets.add_header("Authorization", "Basic YW5uOnBhNTV3b3JkIQ==");
        secrets.add_header(
            "Sec-WebSocket-Protocol",
            "realtime, openai-insecure-api-key.ek_12345678",
        );
        secrets.add_header("api-key", "0123456789abcdef");
        secrets.add_url("wss://bob:hush%40home%21@h/?ticket=%C3%A9t%C3%A9-2026");
        let quoted = "pa55word! ann:pa55word! ek_12345678 0123456789abcdef hush@home! été-2026 hush%40home%21";
        assert_eq!(masked(&secrets, quoted), "*** *** *** *** *** *** ***");
    }

    #[test]
    fn long_words_are_cut_and_controls_are_blanked() {
        let shown = Secrets::default().presentable(&format!("a\x1b[31m\n{}", "é".repeat(600)));
        assert!(shown.starts_with("a [31m é"), "{shown}");
        assert_eq!(shown.chars().count(), MAX_SHOWN + 1);
    }

    #[test]
    fn what_a_server_echoes_is_masked() {
        let mut secrets = Secrets::default();
        secrets.add_header("Authorization", "Bearer sk-1234567");
        secrets.add_url("wss://ann:pa55word@h/?ticket=t-987654&model=gpt-realtime-2.1");
        let echoed = "bad key sk-1234567 (Bearer sk-1234567), pa55word, t-987654, gpt-realtime-2.1";
        assert_eq!(
            masked(&secrets, echoed),
            "bad key *** (***), ***, ***, gpt-realtime-2.1"
        );
    }
}
