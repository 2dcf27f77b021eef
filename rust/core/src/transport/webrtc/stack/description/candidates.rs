//! The far side's candidates (RFC 8839, section 5.1).

use std::net::{IpAddr, SocketAddr};

/// The most candidates of a description that are used, the best ones. The addresses may be anybody's: each is
/// sent checks until the call stands or has failed.
const MAX_CANDIDATES: usize = 32;

/// The most pairs of our candidates with those (RFC 8445, section 6.1.2.5), and the least of those, however
/// many ours are.
const MAX_PAIRS: usize = 100;
const MIN_CANDIDATES: usize = 4;

/// How many candidates of a description are used by a side that has `ours`.
pub(in super::super) fn most(ours: usize) -> usize {
    (MAX_PAIRS / ours.max(1)).clamp(MIN_CANDIDATES, MAX_CANDIDATES)
}

struct Candidate<'a> {
    foundation: &'a str,
    priority: u32,
    at: SocketAddr,
    kind: &'a str,
}

/// The values of the best `most` candidates that can be used. Others are ignored, as RFC 8839 has it: those of
/// another transport, those of a kind that nobody knows, and names in place of addresses. Whoever hides an
/// address behind a name (mDNS) is found by its own checks.
pub(super) fn usable<'a>(values: impl Iterator<Item = &'a str>, most: usize) -> Vec<String> {
    let mut candidates: Vec<_> = values.filter_map(Candidate::read).collect();
    // Stable: of those that are alike the first is the best.
    candidates.sort_by_key(|it| std::cmp::Reverse(it.priority));
    let mut best: Vec<Candidate<'_>> = Vec::new();
    for candidate in candidates {
        if best.len() == most {
            break;
        }
        if best.iter().all(|it| it.at != candidate.at) {
            best.push(candidate);
        }
    }
    best.iter().map(Candidate::write).collect()
}

impl<'a> Candidate<'a> {
    fn read(value: &'a str) -> Option<Self> {
        let mut fields = value.split_ascii_whitespace();
        let foundation = fields.next()?;
        // RTCP comes on the port of RTP: there is one component (RFC 8834, section 4.5).
        let is_first = fields.next()? == "1";
        let is_udp = fields.next()?.eq_ignore_ascii_case("udp");
        let priority = fields.next()?.parse().ok()?;
        let ip = fields.next()?.parse::<IpAddr>().ok()?.to_canonical();
        let at = SocketAddr::new(ip, fields.next()?.parse().ok()?);
        let is_typed = fields.next()? == "typ";
        let kind = fields.next()?;
        let is_known = matches!(kind, "host" | "srflx" | "prflx" | "relay");
        let is_usable = is_first && is_udp && is_typed && is_known && is_host(at);
        is_usable.then_some(Self {
            foundation,
            priority,
            at,
            kind,
        })
    }

    /// Without what follows: where it was found is told for people (RFC 8839, section 5.1).
    fn write(&self) -> String {
        let Self {
            foundation,
            priority,
            at,
            kind,
        } = self;
        let (ip, port) = (at.ip(), at.port());
        format!("{foundation} 1 udp {priority} {ip} {port} typ {kind}")
    }
}

/// Whether it can be one host's.
fn is_host(at: SocketAddr) -> bool {
    let ip = at.ip();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    at.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_ignored() {
        let good = "1 1 udp 2130706431 192.0.2.1 50000 typ host";
        for other in [
            "",
            "1 1 udp 2130706431 192.0.2.1 50000",
            "1 1 tcp 2130706431 192.0.2.1 9 typ host tcptype active",
            "1 1 ssltcp 2130706431 192.0.2.2 443 typ host",
            "1 2 udp 2130706431 192.0.2.3 50001 typ host",
            "1 1 udp 2130706431 example.com 50000 typ host",
            "1 1 udp 2130706431 0f1e.local 50000 typ host",
            "1 1 udp 99999999999 192.0.2.4 50000 typ host",
            "1 1 udp 1 192.0.2.5 99999 typ host",
            "1 1 udp 1 192.0.2.6 0 typ host",
            "1 1 udp 1 192.0.2.7 5 typ token",
            "1 1 udp 1 192.0.2.8 5 kind host",
            "1 1 udp 1 224.0.0.251 5353 typ host",
            "1 1 udp 1 255.255.255.255 5 typ host",
            "1 1 udp 1 0.0.0.0 5 typ host",
            "1 1 udp 1 :: 5 typ host",
            "1 1 udp 1 ff02::1 5 typ host",
            "1 1 udp 1 fe80::1%eth0 5 typ host",
        ] {
            assert_eq!(usable([other, good].into_iter(), 9), [good], "{other}");
        }
    }

    #[test]
    fn what_a_candidate_says_for_people_is_left_out() {
        for (said, read) in [
            (
                "1 1 UDP 7 192.0.2.1 5 typ srflx raddr 10.0.0.1",
                "1 1 udp 7 192.0.2.1 5 typ srflx",
            ),
            (
                "1 1 udp 7 2001:db8::1 5 typ relay raddr :: rport x ufrag y",
                "1 1 udp 7 2001:db8::1 5 typ relay",
            ),
            (
                "1 1 udp 7 ::ffff:192.0.2.1 5 typ prflx generation 0",
                "1 1 udp 7 192.0.2.1 5 typ prflx",
            ),
        ] {
            assert_eq!(usable([said].into_iter(), 1), [read]);
        }
    }

    #[test]
    fn the_best_are_kept_and_each_address_once() {
        let offered: Vec<_> = (0..1_400)
            .map(|n| {
                format!(
                    "{n} 1 udp {} 192.0.{}.{} 5000 typ host",
                    n % 700,
                    n % 700 / 250,
                    n % 250 + 1
                )
            })
            .collect();
        let kept = usable(offered.iter().map(String::as_str), most(1));
        assert_eq!(kept.len(), MAX_CANDIDATES);
        let priority = |line: &String| line.split(' ').nth(3).unwrap().parse::<u32>().unwrap();
        assert_eq!(priority(&kept[0]), 699);
        assert!(kept.iter().all(|line| priority(line) >= 700 - 32));
        for ours in [0, 1, 3, 8, 20, 100] {
            assert!(most(ours) * ours <= MAX_PAIRS || most(ours) == MIN_CANDIDATES);
        }
    }
}
