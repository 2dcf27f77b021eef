//! Moves a path to another local address, by ICE's own means and without a word of signalling.
//!
//! The stack nominates one pair of candidates and keeps it. When the address of this machine changes, the
//! far side is told by a check from the new one (RFC 8445, section 7.3): it knows the password, so it is us.
//! The stack is not told: it goes on with the local candidate that it has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::crypto::{RTCCryptoProvider, default_provider};
use rtc::ice::attributes::control::{AttrControlled, AttrControlling};
use rtc::ice::attributes::priority::PriorityAttr;
use rtc::ice::attributes::use_candidate::UseCandidateAttr;
use rtc::shared::error::Error;
use rtc::stun::attributes::ATTR_USERNAME;
use rtc::stun::fingerprint::FINGERPRINT;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, Setter, TransactionId};
use rtc::stun::textattrs::Username;

use super::following::Following;

/// The time between two checks, and how long they go on.
const INTERVAL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(3);

/// The priority of a peer-reflexive candidate (RFC 8445, section 5.1.2).
const PRIORITY: u32 = (110 << 24) | (65_535 << 8) | 255;

/// What two sides of a call show each other in checks.
#[derive(Clone)]
pub(super) struct Credentials {
    ours: Shown,
    theirs: Shown,
    /// Whether we say which pair is used.
    is_controlling: bool,
}

#[derive(Clone)]
struct Shown {
    name: String,
    password: String,
}

impl Credentials {
    /// Those of two descriptions. Nothing is returned where one of them has none.
    pub fn of(ours: &str, theirs: &str, we_offered: bool) -> Option<Self> {
        // RFC 8445, section 6.1.1.
        let is_lite = theirs.lines().any(|line| line.trim_end() == "a=ice-lite");
        Some(Self {
            ours: Shown::of(ours)?,
            theirs: Shown::of(theirs)?,
            is_controlling: we_offered || is_lite,
        })
    }
}

impl Credentials {
    /// What follows the far side, where it is the one that nominates.
    pub fn following(&self) -> Option<Following> {
        let is_followed = !self.is_controlling;
        is_followed.then(|| Following::new(&self.ours.password))?
    }
}

impl Shown {
    fn of(description: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut lines = description.lines().map(str::trim_end);
            lines.find_map(|line| line.strip_prefix(name).map(str::to_owned))
        };
        Some(Self {
            name: value("a=ice-ufrag:")?,
            password: value("a=ice-pwd:")?,
        })
    }
}

/// The checks from one new address.
pub(super) struct Nomination {
    credentials: Credentials,
    crypto: Arc<dyn RTCCryptoProvider>,
    tie_breaker: u64,
    asked: Vec<TransactionId>,
    next: Instant,
    until: Instant,
}

impl Nomination {
    pub fn begin(credentials: Credentials, now: Instant) -> Option<Self> {
        Some(Self {
            credentials,
            crypto: default_provider().ok()?,
            tie_breaker: super::random(),
            asked: Vec::new(),
            next: now,
            until: now + PATIENCE,
        })
    }

    /// When [`check`](Self::check) has something to do.
    pub fn due(&self) -> Instant {
        self.next.min(self.until)
    }

    /// Whether the far side has not answered in time.
    pub fn has_failed(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// The next check, if it is due.
    pub fn check(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now < self.next {
            return None;
        }
        self.next = now + INTERVAL;
        let id = TransactionId::new();
        let check = self.request(id).ok()?;
        self.asked.push(id);
        Some(check)
    }

    fn request(&self, id: TransactionId) -> Result<Vec<u8>, Error> {
        let Credentials { ours, theirs, .. } = &self.credentials;
        let username = format!("{}:{}", theirs.name, ours.name);
        let mut setters: Vec<Box<dyn Setter + '_>> = vec![
            Box::new(BINDING_REQUEST),
            Box::new(id),
            Box::new(Username::new(ATTR_USERNAME, username)),
            Box::new(PriorityAttr(PRIORITY)),
        ];
        if self.credentials.is_controlling {
            setters.push(Box::<UseCandidateAttr>::default());
            setters.push(Box::new(AttrControlling(self.tie_breaker)));
        } else {
            setters.push(Box::new(AttrControlled(self.tie_breaker)));
        }
        let integrity = MessageIntegrity::new_short_term_integrity_with_provider(
            theirs.password.clone(),
            self.crypto.crypto(),
        );
        setters.push(Box::new(integrity));
        setters.push(Box::new(FINGERPRINT));
        let mut message = Message::new();
        message.build(&setters)?;
        Ok(message.raw)
    }

    /// Whether a datagram is the far side's answer to one of the checks.
    pub fn is_answered_by(&self, datagram: &[u8]) -> bool {
        let mut message = Message::new();
        let is_answer = message.unmarshal_binary(datagram).is_ok()
            && message.typ == BINDING_SUCCESS
            && self.asked.contains(&message.transaction_id);
        let password = self.credentials.theirs.password.as_bytes();
        is_answer && MessageIntegrity::check(&mut message, password, self.crypto.crypto()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "v=0\r\na=ice-ufrag:us\r\na=ice-pwd:our password\r\n";
    const THEIRS: &str = "v=0\r\na=ice-lite\r\na=ice-ufrag:them\r\na=ice-pwd:their password\r\n";

    fn answer(check: &[u8], password: &str) -> Vec<u8> {
        let mut request = Message::new();
        request.unmarshal_binary(check).unwrap();
        let crypto = default_provider().unwrap();
        let integrity = MessageIntegrity::new_short_term_integrity_with_provider(
            password.to_owned(),
            crypto.crypto(),
        );
        let mut message = Message::new();
        message
            .build(&[
                Box::new(BINDING_SUCCESS),
                Box::new(request.transaction_id),
                Box::new(integrity),
                Box::new(FINGERPRINT),
            ])
            .unwrap();
        message.raw
    }

    #[test]
    fn the_far_sides_answer_is_known_by_its_password() {
        let now = Instant::now();
        let credentials = Credentials::of(OURS, THEIRS, false).unwrap();
        let mut nomination = Nomination::begin(credentials, now).unwrap();
        let check = nomination.check(now).unwrap();
        assert!(nomination.check(now).is_none());
        assert!(nomination.is_answered_by(&answer(&check, "their password")));
        for other in [answer(&check, "a guess"), check.clone(), b"any".to_vec()] {
            assert!(!nomination.is_answered_by(&other));
        }
        let again = nomination.check(now + INTERVAL).unwrap();
        assert_ne!(check, again);
        assert!(!nomination.has_failed(now + PATIENCE / 2));
        assert!(nomination.has_failed(now + PATIENCE));
    }

    #[test]
    fn a_side_without_credentials_cannot_be_moved_to() {
        assert!(Credentials::of(OURS, "v=0\r\na=ice-ufrag:x\r\n", true).is_none());
    }
}
