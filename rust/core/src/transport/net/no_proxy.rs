//! The hosts that `NO_PROXY` exempts from the proxy.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whether `list` exempts `host:port`.
///
/// Commas or spaces separate the entries. An entry is `*` for every host; a name, with or without a
/// leading dot, for that host and its subdomains; an address; or a network such as `10.0.0.0/8`. A
/// star, a name or an address may have a `:port`.
pub(super) fn exempts(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
    list.split([',', ' ', '\t'])
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .any(|entry| {
            let (pattern, only_port) = split_port(entry);
            if only_port.is_some_and(|only| only != port) {
                return false;
            }
            if pattern == "*" {
                return true;
            }
            match address {
                Some(address) => covers_address(pattern, address),
                None => covers_name(&pattern.to_ascii_lowercase(), &host),
            }
        })
}

/// Whether `host` is a loopback name or address.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn covers_address(pattern: &str, address: IpAddr) -> bool {
    pattern.parse::<IpAddr>().is_ok_and(|only| only == address)
        || pattern
            .parse::<IpNet>()
            .is_ok_and(|network| network.contains(&address))
}

fn covers_name(pattern: &str, host: &str) -> bool {
    let suffix = pattern
        .trim_start_matches("*.")
        .trim_start_matches('.')
        .trim_end_matches('.');
    !suffix.is_empty()
        && host
            .strip_suffix(suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Splits an entry into its host and its port. A bare IPv6 address has colons but no port.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some(rest) = entry.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((address, port)) => (address, port.strip_prefix(':').and_then(|p| p.parse().ok())),
            None => (entry, None),
        };
    }
    match entry.split_once(':') {
        Some((name, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_covers_itself_and_what_is_below_it_only() {
        for list in [
            "example.org",
            ".example.org",
            "*.example.org",
            "other, Example.ORG",
            "a b example.org",
        ] {
            assert!(exempts(list, "example.org", 443), "{list}");
            assert!(exempts(list, "api.EXAMPLE.org.", 443), "{list}");
            assert!(!exempts(list, "badexample.org", 443), "{list}");
            assert!(!exempts(list, "example.org.evil", 443), "{list}");
        }
    }

    #[test]
    fn addresses_match_alone_or_by_network() {
        assert!(exempts("10.1.2.3", "10.1.2.3", 80));
        assert!(!exempts("10.1.2.3", "10.1.2.30", 80));
        assert!(exempts("10.0.0.0/8", "10.200.0.1", 80));
        assert!(!exempts("10.0.0.0/8", "11.0.0.1", 80));
        assert!(exempts("fd00::/8", "fd12::1", 80));
        assert!(exempts("::1", "::1", 80));
        assert!(!exempts("10.0.0.0/8", "10.example.org", 80));
    }

    #[test]
    fn a_port_restricts_an_entry() {
        assert!(exempts("example.org:8443", "example.org", 8443));
        assert!(!exempts("example.org:8443", "example.org", 443));
        assert!(exempts("[fd00::1]:81", "fd00::1", 81));
        assert!(!exempts("[fd00::1]:81", "fd00::1", 82));
    }

    #[test]
    fn a_star_covers_everything_and_nothing_covers_nothing() {
        assert!(exempts("*", "anything.example", 1));
        assert!(exempts("*:443", "anything.example", 443));
        assert!(exempts("*:443", "10.0.0.1", 443));
        assert!(!exempts("*:443", "anything.example", 80));
        assert!(!exempts("", "anything.example", 1));
        assert!(!exempts(" , .", "anything.example", 1));
    }

    #[test]
    fn this_machine_is_recognised_by_name_and_address() {
        for host in ["localhost", "LOCALHOST.", "127.0.0.1", "127.9.9.9", "::1"] {
            assert!(is_loopback(host), "{host}");
        }
        assert!(!is_loopback("localhost.example.org"));
    }
}
