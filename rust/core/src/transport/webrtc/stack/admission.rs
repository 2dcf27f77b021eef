//! Which datagrams are given to the stack.
//!
//! The stack keeps a state for each stream (SSRC) of which it was given a packet, though the packet may
//! prove not to be authentic, and takes part in a handshake with anybody. What a stranger sends must
//! neither fill memory nor disturb a call.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The most streams of a call.
const MAX_STREAMS: usize = 1024;

/// How many streams may begin at once, and how soon another one may.
const AT_ONCE: u32 = 16;
const NEXT_STREAM: Duration = Duration::from_secs(1);

/// Decides about the datagrams of one call.
pub(super) struct Admission {
    /// The addresses of the far side: those of its description, and those that have shown its password.
    contacts: Vec<SocketAddr>,
    streams: HashSet<u32>,
    /// How many more streams may begin now.
    allowed: u32,
    /// Since when it counts.
    since: Instant,
}

impl Admission {
    pub fn new(now: Instant) -> Self {
        Self {
            contacts: Vec::new(),
            streams: HashSet::new(),
            allowed: AT_ONCE,
            since: now,
        }
    }

    /// Notes to whom the stack sends. It sends checks (STUN) to nobody else than the far side.
    pub fn sent(&mut self, datagram: &[u8], to: SocketAddr) {
        if datagram.first().is_some_and(|first| *first < 4) && !self.is_contact(to) {
            self.contacts.push(to);
        }
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
        is_connected: bool,
        now: Instant,
    ) -> bool {
        // RFC 7983, section 7.
        match datagram.first() {
            // STUN is authenticated by the stack.
            Some(0..4) => true,
            // So is DTLS once there are keys.
            Some(20..64) => is_connected || self.is_contact(source),
            Some(128..192) => {
                ssrc(datagram).is_some_and(|ssrc| self.admits_stream(ssrc, source, now))
            }
            _ => false,
        }
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
    use super::*;

    fn rtp(ssrc: u32) -> Vec<u8> {
        let mut packet = vec![0x80, 111, 0, 1, 0, 0, 0, 0];
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet
    }

    fn begun() -> (Admission, SocketAddr, SocketAddr, Instant) {
        let now = Instant::now();
        let [far, stranger] = ["192.0.2.1:5000", "192.0.2.2:5000"].map(|it| it.parse().unwrap());
        let mut admission = Admission::new(now);
        admission.sent(&[0, 1], far);
        (admission, far, stranger, now)
    }

    #[test]
    fn strangers_take_no_part_in_the_handshake_and_begin_no_stream() {
        let (mut admission, far, stranger, now) = begun();
        let handshake = [22, 254, 253];
        assert!(admission.admits(&handshake, far, false, now));
        assert!(!admission.admits(&handshake, stranger, false, now));
        assert!(!admission.admits(&rtp(7), stranger, true, now));
        assert!(admission.admits(&rtp(7), far, true, now));
        // The far side's network may give it another address.
        assert!(admission.admits(&rtp(7), stranger, true, now));
        assert!(admission.admits(&[0, 1], stranger, true, now));
        for garbage in [&[][..], &[10, 1], &[255; 20], &[0x80, 111, 0, 1]] {
            assert!(!admission.admits(garbage, far, true, now), "{garbage:?}");
        }
    }

    #[test]
    fn streams_are_bounded_in_rate_and_number_and_none_is_driven_out() {
        let (mut admission, far, _, now) = begun();
        assert!(admission.admits(&rtp(0), far, true, now));
        let admitted = (1..1000).filter(|ssrc| admission.admits(&rtp(*ssrc), far, true, now));
        assert_eq!(admitted.count() as u32, AT_ONCE - 1);
        let later = now + Duration::from_secs(3);
        let admitted = (1000..2000).filter(|ssrc| admission.admits(&rtp(*ssrc), far, true, later));
        assert_eq!(admitted.count(), 3);
        for second in 4..5000 {
            let later = now + Duration::from_secs(second);
            admission.admits(&rtp(10_000 + second as u32), far, true, later);
        }
        assert_eq!(admission.streams.len(), MAX_STREAMS);
        assert!(admission.admits(&rtp(0), far, true, now));
    }

    #[test]
    fn reports_are_told_from_sound() {
        let report = [0x81, 201, 0, 1, 0, 0, 0, 9, 0, 0, 0, 7];
        assert!(!is_rtp(&report) && is_rtp(&rtp(1)));
        assert_eq!((ssrc(&report), ssrc(&rtp(5))), (Some(9), Some(5)));
    }
}
