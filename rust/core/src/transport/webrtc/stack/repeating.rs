//! Repeats what is lost of the beginning of a call.
//!
//! Until the data channel is open, one side waits for the other: for the next flight of the DTLS handshake
//! (RFC 6347, section 4.2.4), then for SCTP's. The stack repeats a flight after 1 s. It does so no more once
//! it has received a part of the next flight, or a repetition of the one before: two sides that have received
//! such wait for each other until they give up. So what was sent since the far side was last heard is repeated
//! here, sooner and as it was (whoever has had a record drops it by its number). What the far side repeats is
//! no answer, and repetitions of a handshake's flight are kept from the stack.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The time before the first repetition. It doubles with each, and the last one is due before the stack's own.
const FIRST: Duration = Duration::from_millis(100);
const REPETITIONS: u32 = 3;

/// The most datagrams of a flight: the longest has a certificate, in two or three.
const MAX_FLIGHT: usize = 16;

/// How many of the far side's last datagrams are known again.
const KNOWN: usize = 32;

/// The sizes of headers, in bytes: of a record, and of a message of the handshake (RFC 6347, section 4).
const RECORD: usize = 13;
const MESSAGE: usize = 12;

/// The type of a record that carries the handshake, and types of its messages (RFC 5246, section 7.4).
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const HELLO_VERIFY_REQUEST: u8 = 3;
const CLIENT_KEY_EXCHANGE: u8 = 16;

/// What the handshake has come to on this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Begun,
    /// As the client, we have answered the server's cookie.
    Verified,
    /// As the client, we have sent our keys.
    Keyed,
    /// As the server, we have sent our hello.
    Greeted,
}

/// What one side of a call has sent and may have to send again.
pub(super) struct Repeating {
    flight: Vec<Sent>,
    stage: Stage,
    /// Hashes of the far side's last datagrams.
    known: VecDeque<u64>,
    hashing: RandomState,
    /// The far side has been heard since the flight was sent.
    is_answered: bool,
    repetitions: u32,
    /// When the flight is sent again. `None` before its time is known, and when it is not.
    due: Option<Instant>,
}

struct Sent {
    from: SocketAddr,
    to: SocketAddr,
    datagram: Vec<u8>,
}

impl Repeating {
    pub fn new() -> Self {
        Self {
            flight: Vec::new(),
            stage: Stage::Begun,
            known: VecDeque::new(),
            hashing: RandomState::new(),
            is_answered: false,
            repetitions: 0,
            due: None,
        }
    }

    /// Notes a datagram that was sent.
    pub fn sent(&mut self, datagram: &[u8], from: SocketAddr, to: SocketAddr) {
        if !is_dtls(datagram) {
            return;
        }
        for (kind, number) in messages(datagram) {
            self.stage = self.stage.max(match kind {
                CLIENT_HELLO if number > 0 => Stage::Verified,
                CLIENT_KEY_EXCHANGE => Stage::Keyed,
                SERVER_HELLO => Stage::Greeted,
                _ => Stage::Begun,
            });
        }
        if self.is_answered || self.repetitions == REPETITIONS {
            // The next flight, or this one as the stack repeats it.
            self.flight.clear();
            self.is_answered = false;
            self.repetitions = 0;
            self.due = None;
        }
        if self.flight.len() < MAX_FLIGHT {
            let datagram = datagram.to_vec();
            self.flight.push(Sent { from, to, datagram });
        }
    }

    /// Takes a datagram of the far side. Returns whether the stack is to see it.
    pub fn receive(&mut self, datagram: &[u8]) -> bool {
        if !is_dtls(datagram) {
            return true;
        }
        let hash = self.hashing.hash_one(datagram);
        if self.known.contains(&hash) || self.is_repetition(datagram) {
            return false;
        }
        if self.known.len() == KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(hash);
        self.is_answered = true;
        self.due = None;
        true
    }

    /// Whether a datagram repeats a flight that was answered.
    fn is_repetition(&self, datagram: &[u8]) -> bool {
        let Some((kind, number)) = messages(datagram).next() else {
            return false;
        };
        match self.stage {
            Stage::Begun => false,
            Stage::Verified => kind == HELLO_VERIFY_REQUEST && number == 0,
            // The server has nothing more to say without keys.
            Stage::Keyed => true,
            Stage::Greeted => kind == CLIENT_HELLO,
        }
    }

    /// Sends the flight again if it is due, and returns when this is to be called again.
    pub fn repeat(
        &mut self,
        now: Instant,
        mut send: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) -> Option<Instant> {
        if self.is_answered || self.flight.is_empty() || self.repetitions == REPETITIONS {
            return None;
        }
        if self.due.is_some_and(|due| due <= now) {
            for Sent { from, to, datagram } in &self.flight {
                send(*from, *to, datagram);
            }
            self.repetitions += 1;
            self.due = None;
        }
        let due = *self
            .due
            .get_or_insert(now + FIRST * (1 << self.repetitions));
        (self.repetitions < REPETITIONS).then_some(due)
    }
}

/// RFC 7983, section 7.
fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram, [20..64, ..])
}

/// The type and the number of each message of the handshake in a datagram that can be read without keys.
fn messages(datagram: &[u8]) -> impl Iterator<Item = (u8, u16)> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        loop {
            let (header, after) = rest.split_at_checked(RECORD)?;
            let length = u16::from_be_bytes([header[11], header[12]]).into();
            let (record, next) = after.split_at_checked(length)?;
            rest = next;
            let is_plain = header[3..5] == [0, 0];
            if header[0] == HANDSHAKE && is_plain && record.len() >= MESSAGE {
                return Some((record[0], u16::from_be_bytes([record[4], record[5]])));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: u8 = 11;
    const SERVER_HELLO_DONE: u8 = 14;

    fn record(kind: u8, keys: u8, content: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 254, 253, 0, keys, 0, 0, 0, 0, 0, 0];
        record.extend_from_slice(&(content.len() as u16).to_be_bytes());
        record.extend_from_slice(content);
        record
    }

    fn message(kind: u8, number: u8) -> Vec<u8> {
        let mut content = [0; 40];
        (content[0], content[5]) = (kind, number);
        record(HANDSHAKE, 0, &content)
    }

    /// A `Finished`, which cannot be read.
    fn finished() -> Vec<u8> {
        record(HANDSHAKE, 1, &[7; 40])
    }

    struct Side {
        repeating: Repeating,
        began: Instant,
        sent: Vec<Vec<u8>>,
    }

    impl Side {
        fn new() -> Self {
            Self {
                repeating: Repeating::new(),
                began: Instant::now(),
                sent: Vec::new(),
            }
        }

        fn send(&mut self, datagram: &[u8]) {
            let [from, to] = ["192.0.2.1:5000", "192.0.2.2:5000"].map(|it| it.parse().unwrap());
            self.repeating.sent(datagram, from, to);
        }

        /// What is repeated at a time, in milliseconds, and when there is more to do.
        fn at(&mut self, ms: u64) -> (Vec<Vec<u8>>, Option<u64>) {
            let now = self.began + Duration::from_millis(ms);
            let sent = &mut self.sent;
            let due = self
                .repeating
                .repeat(now, |_, _, datagram| sent.push(datagram.to_vec()));
            let due = due.map(|due| (due - self.began).as_millis() as u64);
            (std::mem::take(sent), due)
        }
    }

    #[test]
    fn a_flight_without_an_answer_is_repeated_until_the_stack_does() {
        let mut side = Side::new();
        assert_eq!(side.at(0), (vec![], None));
        let flight = [message(SERVER_HELLO, 1), message(SERVER_HELLO_DONE, 2)];
        for datagram in &flight {
            side.send(datagram);
        }
        // No DTLS.
        side.send(&[0, 1]);
        side.send(&[0x80, 111]);
        let flight = flight.to_vec();
        assert_eq!(side.at(0), (vec![], Some(100)));
        assert_eq!(side.at(99), (vec![], Some(100)));
        assert_eq!(side.at(100), (flight.clone(), Some(300)));
        assert_eq!(side.at(300), (flight.clone(), Some(700)));
        assert_eq!(side.at(700), (flight.clone(), None));
        assert_eq!(side.at(900), (vec![], None));
        // The stack's own, and so on.
        side.send(&flight[0]);
        assert_eq!(side.at(1000), (vec![], Some(1100)));
        assert_eq!(side.at(1100), (flight[..1].to_vec(), Some(1300)));
    }

    #[test]
    fn what_was_answered_is_not_repeated() {
        let mut side = Side::new();
        side.send(&message(CLIENT_HELLO, 0));
        side.at(0);
        assert!(side.repeating.receive(&message(HELLO_VERIFY_REQUEST, 0)));
        assert_eq!(side.at(500), (vec![], None));
        let next = message(CLIENT_HELLO, 1);
        side.send(&next);
        assert_eq!(side.at(500), (vec![], Some(600)));
        // Checks, sound and what was there before are no answer.
        assert!(!side.repeating.receive(&message(HELLO_VERIFY_REQUEST, 0)));
        assert!(side.repeating.receive(&[0, 1]) && side.repeating.receive(&[0x80, 111]));
        assert_eq!(side.at(600), (vec![next], Some(800)));
    }

    #[test]
    fn repetitions_of_what_was_answered_are_kept_from_the_stack_and_are_no_answer() {
        let mut client = Side::new();
        client.send(&message(CLIENT_HELLO, 0));
        let cookie = message(HELLO_VERIFY_REQUEST, 0);
        assert!(client.repeating.receive(&cookie));
        client.send(&message(CLIENT_HELLO, 1));
        assert!(!client.repeating.receive(&cookie));
        let hello = [message(SERVER_HELLO, 1), message(CERTIFICATE, 2)].concat();
        assert!(client.repeating.receive(&hello));
        let keys = [message(CERTIFICATE, 2), message(CLIENT_KEY_EXCHANGE, 3)].concat();
        client.send(&keys);
        client.at(0);
        assert!(!client.repeating.receive(&hello));
        assert_eq!(client.at(100).0, [keys]);
        assert!(client.repeating.receive(&finished()));
        assert!(client.repeating.receive(&record(23, 1, b"sound")));

        let mut server = Side::new();
        server.send(&cookie);
        // A client that has not had the cookie asks again, in a record of another number.
        let mut again = message(CLIENT_HELLO, 0);
        assert!(server.repeating.receive(&again) && !server.repeating.receive(&again));
        again[10] = 1;
        assert!(server.repeating.receive(&again));
        assert!(server.repeating.receive(&message(CLIENT_HELLO, 1)));
        server.send(&hello);
        assert!(!server.repeating.receive(&message(CLIENT_HELLO, 1)));
        assert!(server.repeating.receive(&message(CERTIFICATE, 2)));
    }

    #[test]
    fn a_flight_is_bounded_and_garbage_is_for_the_stack() {
        let mut side = Side::new();
        for _ in 0..100 {
            side.send(&message(SERVER_HELLO, 1));
        }
        side.at(0);
        assert_eq!(side.at(100).0.len(), MAX_FLIGHT);
        for number in 0..100 {
            assert!(side.repeating.receive(&record(23, 1, &[number])));
        }
        assert_eq!(side.repeating.known.len(), KNOWN);
        for garbage in [
            &[][..],
            &[22],
            &[22; 60],
            &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9],
        ] {
            assert!(side.repeating.receive(garbage), "{garbage:?}");
        }
    }
}
