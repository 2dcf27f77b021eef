//! The cancellations that the server has not answered, so that a refusal is taken for that of the one
//! which caused it.
//!
//! The server answers each of them once: it ends the response that a cancellation stops, or refuses it
//! where nothing was in progress. A refusal may name the client's event; many servers name none. It may
//! come late, when the next response is in progress and is itself being cancelled. So each answer takes
//! one off, and a refusal says something of the current response only where no other one is left that
//! it may be of.

use std::collections::VecDeque;
use std::sync::Arc;

/// How many are remembered. The server answers each within a moment.
const MAX_UNANSWERED: usize = 64;

/// A `response.cancel` that was sent.
#[derive(Debug)]
struct Sent {
    event_id: Option<String>,
    /// The response that it names; without one it stops whichever is in progress.
    names: Option<Arc<str>>,
    /// The response of the conversation that was in progress and that it meant, by its index; `None`
    /// if it meant none of these.
    meant: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Cancellations {
    unanswered: VecDeque<Sent>,
}

impl Cancellations {
    /// A `response.cancel` is sent.
    pub(super) fn sent(
        &mut self,
        event_id: Option<&str>,
        names: Option<Arc<str>>,
        meant: Option<u64>,
    ) {
        if self.unanswered.len() >= MAX_UNANSWERED {
            self.unanswered.pop_front();
        }
        // It is rare that several wait: no room is kept for more.
        self.unanswered.reserve_exact(1);
        self.unanswered.push_back(Sent {
            event_id: event_id.map(str::to_owned),
            names,
            meant,
        });
    }

    /// A response has ended because this side cancelled it.
    pub(super) fn stopped(&mut self, response_id: Option<&str>, out_of_band: bool) {
        let mut sent = self.unanswered.iter();
        let stops = |sent: &Sent| match (sent.names.as_deref(), response_id) {
            (Some(named), Some(id)) => named == id,
            (Some(_), None) => false,
            (None, _) => !out_of_band,
        };
        if let Some(at) = sent.position(stops) {
            self.unanswered.remove(at);
        }
    }

    /// The server refused a cancellation: nothing was in progress. `current`: the index of the response
    /// that is in progress as far as this side knows. Returns whether the refusal says that this
    /// response is over.
    pub(super) fn refused(&mut self, event_id: Option<&str>, current: Option<u64>) -> bool {
        let is_of_current = |sent: &Sent| sent.meant.is_some() && sent.meant == current;
        if let Some(event_id) = event_id {
            let mut sent = self.unanswered.iter();
            let Some(at) = sent.position(|sent| sent.event_id.as_deref() == Some(event_id)) else {
                return false;
            };
            let refused = self.unanswered.remove(at);
            return refused.is_some_and(|sent| is_of_current(&sent));
        }
        // Rather one that did not mean the current response, whose end may still come.
        let mut sent = self.unanswered.iter();
        let earlier = sent.position(|sent| !is_of_current(sent));
        let is_only = self.unanswered.len() == 1;
        let refused = self.unanswered.remove(earlier.unwrap_or(0));
        earlier.is_none() && is_only && refused.is_some()
    }

    /// Forgets all: the connection is over.
    pub(super) fn reset(&mut self) {
        self.unanswered.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: &str) -> Arc<str> {
        id.into()
    }

    #[test]
    fn a_refusal_of_the_current_responses_cancellation_ends_it() {
        for event_id in [None, Some("c1")] {
            let mut c = Cancellations::default();
            c.sent(event_id, Some(id("r1")), Some(1));
            assert!(c.refused(event_id, Some(1)));
        }
    }

    #[test]
    fn a_late_refusal_is_of_an_earlier_response() {
        let mut c = Cancellations::default();
        c.sent(None, Some(id("r1")), Some(1));
        c.sent(None, Some(id("r2")), Some(2));
        assert!(!c.refused(None, Some(2)), "of r1, which had ended");
        assert!(c.refused(None, Some(2)), "of r2");
    }

    #[test]
    fn a_refusal_of_a_users_cancellation_of_nothing_says_nothing() {
        let mut c = Cancellations::default();
        c.sent(None, None, None);
        c.sent(None, Some(id("r1")), Some(1));
        assert!(!c.refused(None, Some(1)));
        c.stopped(Some("r1"), false);
        assert!(!c.refused(None, Some(2)), "none is left");
    }

    #[test]
    fn a_refusal_is_of_the_event_that_it_names() {
        let mut c = Cancellations::default();
        c.sent(Some("mine"), None, None);
        c.sent(None, Some(id("r1")), Some(1));
        assert!(!c.refused(Some("another"), Some(1)));
        assert!(!c.refused(Some("mine"), Some(1)));
        assert!(c.refused(None, Some(1)));
    }

    #[test]
    fn an_unnamed_cancellation_may_have_stopped_the_next_response() {
        let mut c = Cancellations::default();
        c.sent(None, None, Some(1));
        c.sent(None, Some(id("r2")), Some(2));
        // The first one came when r1 had ended, and stopped r2.
        c.stopped(Some("r2"), false);
        c.sent(None, Some(id("r3")), Some(3));
        assert!(!c.refused(None, Some(3)), "of the second, which was late");
    }

    #[test]
    fn it_does_not_matter_which_of_two_a_refusal_is_taken_for() {
        let mut c = Cancellations::default();
        c.sent(None, None, None);
        c.sent(None, Some(id("r1")), Some(1));
        c.sent(None, Some(id("r2")), Some(2));
        // The first one stopped r2, the second one was refused, and the third one is late.
        assert!(!c.refused(None, Some(2)));
        c.stopped(Some("r2"), false);
        c.sent(None, Some(id("r3")), Some(3));
        assert!(!c.refused(None, Some(3)));
    }

    #[test]
    fn what_the_server_never_answers_fills_no_memory() {
        let mut c = Cancellations::default();
        for n in 0..1000 {
            c.sent(None, None, Some(n));
        }
        assert_eq!(c.unanswered.len(), MAX_UNANSWERED);
    }
}
