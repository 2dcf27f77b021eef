//! Removes secrets from texts for people.

/// Query parameters whose values are not secret and help to understand a message.
const HARMLESS_PARAMETERS: [&str; 5] = ["model", "call_id", "deployment", "api-version", "intent"];

/// Shorter values are not treated as secrets: they would mask ordinary words.
const SHORTEST_SECRET: usize = 6;

/// The replacement of a secret.
const MASK: &str = "***";

/// The secrets of one request, which are masked in the server's responses.
#[derive(Default)]
pub(in crate::transport) struct Secrets(Vec<String>);

impl Secrets {
    /// Adds a header's value, and its last word (the token of `Bearer token`).
    pub fn add_header(&mut self, value: &str) {
        self.add(value);
        if let Some(word) = value.split_whitespace().last() {
            self.add(word);
        }
    }

    /// Adds the credentials and the query values of a URL.
    pub fn add_url(&mut self, url: &str) {
        let (rest, query) = split_query(url);
        for (_, value) in parameters(query).filter(|(name, _)| !is_harmless(name)) {
            self.add(value);
        }
        let authority = authority_of(rest).1;
        if let Some((userinfo, _)) = authority.rsplit_once('@') {
            self.add(userinfo);
            if let Some((_, password)) = userinfo.split_once(':') {
                self.add(password);
            }
        }
    }

    fn add(&mut self, value: &str) {
        if value.len() >= SHORTEST_SECRET && !self.0.iter().any(|known| known == value) {
            self.0.push(value.to_owned());
            // The longest first: a shorter secret within it must not leave the rest unmasked.
            self.0.sort_by_key(|known| std::cmp::Reverse(known.len()));
        }
    }

    /// Masks all secrets in `text`.
    pub fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), MASK)
        })
    }
}

/// Masks the credentials of a URL and the values of its query, except harmless ones.
pub(in crate::transport) fn redact_url(url: &str) -> String {
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

    #[test]
    fn what_a_server_echoes_is_masked() {
        let mut secrets = Secrets::default();
        secrets.add_header("Bearer sk-1234567");
        secrets.add_url("wss://ann:pa55word@h/?ticket=t-987654&model=gpt-realtime");
        let echoed = "bad key sk-1234567 (Bearer sk-1234567), pa55word, t-987654, gpt-realtime";
        assert_eq!(
            secrets.redact(echoed),
            "bad key *** (***), ***, ***, gpt-realtime"
        );
    }
}
