//! Times that a server states: `Date` (RFC 9110, section 6.6.1), and what is told by it.

use std::time::SystemTime;

use ::http::HeaderMap;
use ::http::header::DATE;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::time::Instant;

/// Reads an HTTP date in the one form that may be sent (`Sun, 06 Nov 1994 08:49:37 GMT`).
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let date = OffsetDateTime::parse(text.trim(), &Rfc2822).ok()?;
    Some(date.into())
}

/// The `Date` of a response.
pub(super) fn of(headers: &HeaderMap) -> Option<SystemTime> {
    parse(headers.get(DATE)?.to_str().ok()?)
}

/// A server's clock, as its answer to the handshake showed it. It is exact to a second, the unit of
/// the header, and the way of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transport) struct ServerClock {
    date: SystemTime,
    arrived: Instant,
}

impl ServerClock {
    /// The clock of a response that has arrived now; `None` where it states no date.
    pub fn arriving(headers: &HeaderMap) -> Option<Self> {
        let date = of(headers)?;
        let arrived = Instant::now();
        Some(Self { date, arrived })
    }

    /// What it shows now.
    pub fn now(self) -> Option<SystemTime> {
        self.date.checked_add(self.arrived.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use ::http::HeaderValue;

    use super::*;

    const DATED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const SINCE_1970: Duration = Duration::from_secs(784_111_777);

    #[test]
    fn a_date_is_read_as_it_may_be_sent() {
        let wanted = Some(UNIX_EPOCH + SINCE_1970);
        assert_eq!(parse(DATED), wanted);
        assert_eq!(parse(&format!(" {DATED} ")), wanted);
        for text in ["", "now", "784111777", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_response_may_state_no_date_or_none_that_can_be_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(ServerClock::arriving(&headers), None);
        for value in [&b"yesterday"[..], b"\xff"] {
            headers.insert(DATE, HeaderValue::from_bytes(value).unwrap());
            assert_eq!(ServerClock::arriving(&headers), None);
        }
    }

    #[test]
    fn the_clock_of_a_server_goes_on_after_its_answer() {
        let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static(DATED))]);
        let mut clock = ServerClock::arriving(&headers).unwrap();
        let ago = Duration::from_secs(3);
        clock.arrived = clock.arrived.checked_sub(ago).expect("it ran before");
        let shown = clock.now().unwrap().duration_since(UNIX_EPOCH).unwrap();
        assert!(shown >= SINCE_1970 + ago, "{shown:?}");
        assert!(shown < SINCE_1970 + ago * 10, "{shown:?}");
    }
}
