//! Which datagrams are given to the stack, and which of its checks are sent.
//!
//! The stack keeps a state for each stream (SSRC) of which it was given a packet, though the packet may
//! prove not to be authentic, and takes part in a handshake with anybody. What a stranger sends must
//! neither fill memory nor disturb a call.
//!
//! And it checks every address of the far side every 50 ms until there is a path. The far side may name
//! addresses that are not its own, and send from them: what those are sent is bounded (RFC 8445, section
//! 19.5.1).

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The most streams of a call.
const MAX_STREAMS: usize = 1024;

/// How many streams may begin at once, and how soon another one may.
const AT_ONCE: u32 = 16;
const NEXT_STREAM: Duration = Duration::from_secs(1);

/// The most addresses of the far side: while there is no path, when all of them are checked, and of a call
/// that stands, which may move from network to network.
const MAX_CHECKED: usize = 48;
const MAX_CONTACTS: usize = 1024;

/// The time between two checks, of all those of a call together, as soon as there are many: 200 a second
/// (RFC 8445, section 14.3, bounds them alike). Each address is checked once at once.
const CHECK_SPACING: Duration = Duration::from_millis(5);

/// A request of a check (RFC 8489, section 5).
const REQUEST: [u8; 2] = [0, 1];

/// Decides about the datagrams of one call.
pub(super) struct Admission {
    /// The addresses of the far side: those of its description, and those that have shown its password.
    contacts: HashSet<SocketAddr>,
    /// While there is no path: when each pair of our addresses and those may be checked next.
    checks: HashMap<(SocketAddr, SocketAddr), Instant>,
    streams: HashSet<u32>,
    /// How many more streams may begin now.
    allowed: u32,
    /// Since when it counts.
    since: Instant,
}

impl Admission {
    pub fn new(now: Instant) -> Self {
        Self {
            contacts: HashSet::new(),
            checks: HashMap::new(),
            streams: HashSet::new(),
            allowed: AT_ONCE,
            since: now,
        }
    }

    /// Notes to whom the stack sends, and says whether it is sent. The stack sends checks (STUN) to nobody
    /// else than the far side.
    pub fn sends(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        to: SocketAddr,
        is_connected: bool,
        now: Instant,
    ) -> bool {
        if !is_stun(datagram) {
            return true;
        }
        self.contacts.insert(to);
        if is_connected {
            self.checks.clear();
            return true;
        }
        if !datagram.starts_with(&REQUEST) {
            return true;
        }
        if self.checks.get(&(from, to)).is_some_and(|due| now < *due) {
            return false;
        }
        let pairs = self.checks.len().saturating_add(1) as u32;
        let due = now + CHECK_SPACING.saturating_mul(pairs);
        self.checks.insert((from, to), due);
        true
    }

    /// Whether it is an address of the far side.
    pub fn is_contact(&self, address: SocketAddr) -> bool {
        self.contacts.contains(&address)
    }

    /// Whether the stack is to have this datagram.
    pub fn admits(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        local: SocketAddr,
        is_connected: bool,
        now: Instant,
    ) -> bool {
        // RFC 7983, section 7.
        match datagram.first() {
            // STUN is authenticated by the stack, which keeps whoever has shown the password.
            Some(0..4) => self.admits_stun(source, local, is_connected),
            // So is DTLS once there are keys.
            Some(20..64) => is_connected || self.is_contact(source),
            Some(128..192) => {
                ssrc(datagram).is_some_and(|ssrc| self.admits_stream(ssrc, source, now))
            }
            _ => false,
        }
    }

    fn admits_stun(&mut self, source: SocketAddr, local: SocketAddr, is_connected: bool) -> bool {
        // Whoever is heard is answered with one check at once (RFC 8445, section 7.3.1.4).
        self.checks.remove(&(local, source));
        let most = if is_connected {
            MAX_CONTACTS
        } else {
            MAX_CHECKED
        };
        self.is_contact(source) || self.contacts.len() < most
    }

    fn admits_stream(&mut self, ssrc: u32, source: SocketAddr, now: Instant) -> bool {
        if self.streams.contains(&ssrc) {
            return true;
        }
        if !self.is_contact(source) || self.streams.len() >= MAX_STREAMS {
            return false;
        }
        let earned = now.saturating_duration_since(self.since).as_secs() / NEXT_STREAM.as_secs();
        if earned > 0 {
            self.since = now;
            let allowed = self.allowed.saturating_add(earned as u32);
            self.allowed = allowed.min(AT_ONCE);
        }
        if self.allowed == 0 {
            return false;
        }
        self.allowed -= 1;
        self.streams.insert(ssrc)
    }
}

/// RFC 7983, section 7.
fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4)
}

/// Whether it is RTP, and not RTCP (RFC 5761, section 4).
pub(super) fn is_rtp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..192, kind, ..] if !(192..224).contains(kind))
}

/// The stream of an RTP or RTCP packet.
fn ssrc(datagram: &[u8]) -> Option<u32> {
    let at = if is_rtp(datagram) { 8 } else { 4 };
    let ssrc = datagram.get(at..at + 4)?;
    Some(u32::from_be_bytes(ssrc.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4_000);

    fn rtp(ssrc: u32) -> Vec<u8> {
        let mut packet = vec![0x80, 111, 0, 1, 0, 0, 0, 0];
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet
    }

    fn begun() -> (Admission, SocketAddr, SocketAddr, Instant) {
        let now = Instant::now();
        let [far, stranger] = ["192.0.2.1:5000", "192.0.2.2:5000"].map(|it| it.parse().unwrap());
        let mut admission = Admission::new(now);
        assert!(admission.sends(&[0, 1], HERE, far, false, now));
        (admission, far, stranger, now)
    }

    #[test]
    fn strangers_take_no_part_in_the_handshake_and_begin_no_stream() {
        let (mut admission, far, stranger, now) = begun();
        let handshake = [22, 254, 253];
        assert!(admission.admits(&handshake, far, HERE, false, now));
        assert!(!admission.admits(&handshake, stranger, HERE, false, now));
        assert!(!admission.admits(&rtp(7), stranger, HERE, true, now));
        assert!(admission.admits(&rtp(7), far, HERE, true, now));
        // The far side's network may give it another address.
        assert!(admission.admits(&rtp(7), stranger, HERE, true, now));
        assert!(admission.admits(&[0, 1], stranger, HERE, true, now));
        for garbage in [&[][..], &[10, 1], &[255; 20], &[0x80, 111, 0, 1]] {
            assert!(
                !admission.admits(garbage, far, HERE, true, now),
                "{garbage:?}"
            );
        }
    }

    #[test]
    fn streams_are_bounded_in_rate_and_number_and_none_is_driven_out() {
        let (mut admission, far, _, now) = begun();
        assert!(admission.admits(&rtp(0), far, HERE, true, now));
        let admitted = (1..1000).filter(|ssrc| admission.admits(&rtp(*ssrc), far, HERE, true, now));
        assert_eq!(admitted.count() as u32, AT_ONCE - 1);
        let later = now + Duration::from_secs(3);
        let admitted =
            (1000..2000).filter(|ssrc| admission.admits(&rtp(*ssrc), far, HERE, true, later));
        assert_eq!(admitted.count(), 3);
        for second in 4..5000 {
            let later = now + Duration::from_secs(second);
            admission.admits(&rtp(10_000 + second as u32), far, HERE, true, later);
        }
        assert_eq!(admission.streams.len(), MAX_STREAMS);
        assert!(admission.admits(&rtp(0), far, HERE, true, now));
    }

    fn address(n: usize) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, (n % 200) as u8 + 1], (n / 200) as u16 + 5_000))
    }

    #[test]
    fn checks_of_addresses_that_do_not_answer_are_spaced() {
        let begin = Instant::now();
        let sent = |addresses: usize, heard: Option<usize>| {
            let mut admission = Admission::new(begin);
            let mut sent = vec![0; addresses];
            for tick in 0..200 {
                let now = begin + Duration::from_millis(50) * tick;
                for (n, sent) in sent.iter_mut().enumerate() {
                    if heard == Some(n) && tick > 0 {
                        assert!(admission.admits(&[1, 1], address(n), HERE, false, now));
                    }
                    *sent += u32::from(admission.sends(&[0, 1], HERE, address(n), false, now));
                }
                // Answers are no checks.
                assert!(admission.sends(&[1, 1], HERE, address(0), false, now));
            }
            sent
        };
        assert_eq!(sent(8, None), [200; 8]);
        let many = sent(MAX_CHECKED, Some(3));
        assert_eq!(many[3], 200);
        let others: u32 = many.iter().sum::<u32>() - 200;
        assert!(others < 2_100, "{others} in 10 s");
        assert!(many.iter().all(|it| *it >= 38), "{many:?}");
    }

    #[test]
    fn the_addresses_of_the_far_side_are_bounded() {
        let now = Instant::now();
        let mut admission = Admission::new(now);
        let mut come = |is_connected| {
            let come = (0..2_000).filter(|n| {
                let is_admitted = admission.admits(&[0, 1], address(*n), HERE, is_connected, now);
                // The stack answers whoever has shown the password.
                is_admitted && admission.sends(&[1, 1], HERE, address(*n), is_connected, now)
            });
            come.count()
        };
        assert_eq!(come(false), MAX_CHECKED);
        assert_eq!(come(true), MAX_CONTACTS);
        assert!(admission.admits(&[0, 1], address(7), HERE, true, now));
    }

    #[test]
    fn reports_are_told_from_sound() {
        let report = [0x81, 201, 0, 1, 0, 0, 0, 9, 0, 0, 0, 7];
        assert!(!is_rtp(&report) && is_rtp(&rtp(1)));
        assert_eq!((ssrc(&report), ssrc(&rtp(5))), (Some(9), Some(5)));
    }
}
