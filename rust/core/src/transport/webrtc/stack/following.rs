//! Follows a far side that goes on from another address.
//!
//! It says so by a check that nominates the new pair (RFC 8445, section 7.3.1.5). The stack keeps the pair
//! that was nominated first, so that address stands for the new one: what the stack sends to the first goes
//! to the new one, and the answers to its checks come from there.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use rtc::crypto::{RTCCryptoProvider, default_provider};
use rtc::stun::attributes::ATTR_USE_CANDIDATE;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{BINDING_REQUEST, Message};

/// The most checks whose answers are awaited.
const MAX_CHECKS: usize = 16;

/// The far side's address, of a call in which it is the one that nominates.
pub(super) struct Following {
    password: String,
    crypto: Arc<dyn RTCCryptoProvider>,
    /// The one that the stack knows, and the one where it is.
    moved: Option<(SocketAddr, SocketAddr)>,
    /// The checks of the stack that went to the latter.
    checks: VecDeque<[u8; 12]>,
}

impl Following {
    /// `password` is what the far side shows us in checks.
    pub fn new(password: &str) -> Option<Self> {
        Some(Self {
            password: password.to_owned(),
            crypto: default_provider().ok()?,
            moved: None,
            checks: VecDeque::new(),
        })
    }

    /// Takes a datagram of a call whose far side was at `known`. Returns the source that the stack is to see,
    /// and whether the far side has moved by it.
    pub fn receive(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        known: SocketAddr,
    ) -> (SocketAddr, bool) {
        let Some((kind, id)) = check(datagram) else {
            return (source, false);
        };
        match kind {
            REQUEST => {
                let now = self.moved.map_or(known, |(_, now)| now);
                let has_moved = source != now && self.nominates(datagram);
                if has_moved {
                    self.moved = Some((known, source)).filter(|_| source != known);
                }
                (source, has_moved)
            }
            SUCCESS if self.checks.contains(&id) => match self.moved {
                Some((known, now)) if now == source => (known, false),
                _ => (source, false),
            },
            _ => (source, false),
        }
    }

    /// Where a datagram of the stack goes to.
    pub fn send(&mut self, datagram: &[u8], to: SocketAddr) -> SocketAddr {
        let Some((_, now)) = self.moved.filter(|(known, _)| *known == to) else {
            return to;
        };
        if let Some((REQUEST, id)) = check(datagram) {
            if self.checks.len() == MAX_CHECKS {
                self.checks.pop_front();
            }
            self.checks.push_back(id);
        }
        now
    }

    fn nominates(&self, datagram: &[u8]) -> bool {
        let mut message = Message::new();
        message.unmarshal_binary(datagram).is_ok()
            && message.typ == BINDING_REQUEST
            && message.contains(ATTR_USE_CANDIDATE)
            && MessageIntegrity::check(&mut message, self.password.as_bytes(), self.crypto.crypto())
                .is_ok()
    }
}

/// The types of a binding request and of its success (RFC 8489, section 5).
const REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;

/// The type and the transaction of a STUN message.
fn check(datagram: &[u8]) -> Option<(u16, [u8; 12])> {
    let kind = u16::from_be_bytes([*datagram.first()?, *datagram.get(1)?]);
    let id = datagram.get(8..20)?.try_into().ok()?;
    (kind < 0x4000).then_some((kind, id))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::nomination::{Credentials, Nomination};
    use super::*;

    const OURS: &str = "v=0\r\na=ice-ufrag:us\r\na=ice-pwd:our password\r\n";
    const THEIRS: &str = "v=0\r\na=ice-ufrag:them\r\na=ice-pwd:their password\r\n";

    /// A check of a far side that nominates.
    fn nomination() -> Vec<u8> {
        let credentials = Credentials::of(THEIRS, OURS, true).unwrap();
        let now = Instant::now();
        let mut nomination = Nomination::begin(credentials, now).unwrap();
        nomination.check(now).unwrap()
    }

    #[test]
    fn a_far_side_is_sent_to_where_it_nominates() {
        let [known, new] = ["192.0.2.1:5000", "192.0.2.2:6000"].map(|it| it.parse().unwrap());
        let mut following = Following::new("our password").unwrap();
        assert_eq!(following.send(&[0x80; 20], known), known);
        assert_eq!(
            following.receive(&nomination(), known, known),
            (known, false)
        );
        assert_eq!(following.receive(&nomination(), new, known), (new, true));
        assert_eq!(following.send(&[0x80; 20], known), new);
        // The answer to a check of the stack is that of whom it asked.
        let mut request = [0; 20];
        request[1] = 1;
        let mut answer = request;
        answer[0] = 1;
        assert_eq!(following.receive(&answer, new, known), (new, false));
        assert_eq!(following.send(&request, known), new);
        assert_eq!(following.receive(&answer, new, known), (known, false));
        // It may come back.
        assert_eq!(
            following.receive(&nomination(), known, known),
            (known, true)
        );
        assert_eq!(following.send(&[0x80; 20], known), known);
    }

    #[test]
    fn strangers_are_not_followed() {
        let [known, new] = ["192.0.2.1:5000", "192.0.2.2:6000"].map(|it| it.parse().unwrap());
        let mut following = Following::new("another password").unwrap();
        for datagram in [&nomination()[..], &[0, 1], &[0; 20], &[0x80; 40]] {
            assert_eq!(following.receive(datagram, new, known), (new, false));
        }
        assert_eq!(following.send(&[0x80; 20], known), known);
    }
}
