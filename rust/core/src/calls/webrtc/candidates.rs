//! Which of our addresses an answer names (RFC 8839, section 5.1).

use std::net::IpAddr;

const CANDIDATE: &str = "a=candidate:";

/// The answer with the addresses that pages may know.
///
/// `public` stand in place of local addresses of the same family; what belongs to no public network is left
/// out unless `private`.
pub(super) fn shown(answer: &str, public: &[IpAddr], private: bool) -> String {
    let mut lines = String::with_capacity(answer.len());
    for line in answer.split_inclusive('\n') {
        let Some(address) = host_address(line) else {
            lines.push_str(line);
            continue;
        };
        let outside: Vec<_> = public
            .iter()
            .filter(|it| it.is_ipv4() == address.is_ipv4())
            .collect();
        for (index, outside) in outside.iter().enumerate() {
            lines.push_str(&moved(line, address, **outside, index));
        }
        if outside.is_empty() && (private || is_public(address)) {
            lines.push_str(line);
        }
    }
    lines
}

/// How many candidates a description has.
pub(super) fn count(description: &str) -> usize {
    let lines = description.lines();
    lines.filter(|line| line.starts_with(CANDIDATE)).count()
}

/// The address of a host candidate.
fn host_address(line: &str) -> Option<IpAddr> {
    let fields: Vec<_> = line
        .strip_prefix(CANDIDATE)?
        .split_ascii_whitespace()
        .collect();
    let is_host = fields.get(6..8) == Some(&["typ", "host"]);
    fields.get(4).filter(|_| is_host)?.parse().ok()
}

/// The candidate at another address. Its foundation is another one, too.
fn moved(line: &str, from: IpAddr, to: IpAddr, index: usize) -> String {
    let line = line.replacen(&format!(" {from} "), &format!(" {to} "), 1);
    match line.strip_prefix(CANDIDATE) {
        Some(rest) if index > 0 => format!("{CANDIDATE}{index}{rest}"),
        _ => line,
    }
}

/// Whether an address may be reached from any network (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(it) => {
            let [a, b, ..] = it.octets();
            // RFC 6598: between a provider and its customers.
            let is_shared = a == 100 && (64..128).contains(&b);
            !(it.is_private()
                || it.is_loopback()
                || it.is_link_local()
                || it.is_unspecified()
                || is_shared)
        }
        IpAddr::V6(it) => {
            let first = it.segments()[0];
            // fc00::/7 and fe80::/10.
            let is_local = first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80;
            !(it.is_loopback() || it.is_unspecified() || is_local)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "v=0\r\n\
        a=candidate:1 1 udp 2130706431 192.168.1.7 50000 typ host\r\n\
        a=candidate:2 1 udp 2130706175 2001:db8::7 50001 typ host\r\n\
        a=candidate:3 1 udp 1694498815 203.0.113.9 50000 typ srflx raddr 0.0.0.0 rport 0\r\n\
        a=setup:passive\r\n";

    fn addresses(answer: &str) -> Vec<&str> {
        let candidates = answer.lines().filter(|it| it.starts_with(CANDIDATE));
        candidates.filter_map(|it| it.split(' ').nth(4)).collect()
    }

    fn public(addresses: &[&str]) -> Vec<IpAddr> {
        addresses.iter().map(|it| it.parse().unwrap()).collect()
    }

    #[test]
    fn addresses_of_private_networks_are_named_unless_that_is_forbidden() {
        let all = ["192.168.1.7", "2001:db8::7", "203.0.113.9"];
        assert_eq!(addresses(&shown(ANSWER, &[], true)), all);
        assert_eq!(addresses(&shown(ANSWER, &[], false)), all[1..]);
        assert_eq!(count(ANSWER), 3);
    }

    #[test]
    fn public_addresses_stand_in_place_of_those_of_their_family() {
        let named = shown(ANSWER, &public(&["198.51.100.1", "198.51.100.2"]), false);
        assert_eq!(
            addresses(&named),
            ["198.51.100.1", "198.51.100.2", "2001:db8::7", "203.0.113.9"]
        );
        assert!(named.starts_with("v=0\r\n") && named.ends_with("a=setup:passive\r\n"));
        let foundations: Vec<_> = named
            .lines()
            .filter_map(|it| it.split(' ').next())
            .collect();
        assert!(foundations.contains(&"a=candidate:1") && foundations.contains(&"a=candidate:11"));
    }

    #[test]
    fn what_no_other_network_reaches_is_private() {
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "127.0.0.1",
            "169.254.0.1",
            "100.64.0.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.5",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2001:db8::1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
