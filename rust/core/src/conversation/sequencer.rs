//! Decides when a `response.create` may be sent: one at a time, and never while a response is
//! active.
//!
//! Requests without a payload coalesce: one response answers all of them. Requests with a payload,
//! and raw `response.create` events, are sent one by one, in order. No request coalesces across
//! them.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value};

use super::client_event::ClientEvent;
use super::item::text;

/// A request for a response.
#[derive(Debug, Clone, PartialEq)]
enum Request {
    /// A request without a payload, and how many requests it stands for.
    Auto(usize),
    /// This event, unchanged.
    Manual(Map<String, Value>),
}

#[derive(Debug)]
struct Pending {
    event_id: String,
    request: Request,
    deadline: Duration,
}

#[derive(Debug)]
pub(super) struct Sequencer {
    waiting: VecDeque<Request>,
    pending: Option<Pending>,
    /// A response is active.
    ongoing: bool,
    /// The active response has been cancelled and has not ended yet.
    cancelling: bool,
    /// Counts event ids. It is not reset with the connection, as in the reference.
    counter: u64,
    /// How long the server may take to answer a request.
    patience: Duration,
    /// How many requests may wait.
    limit: usize,
}

impl Sequencer {
    pub(super) fn new(patience: Duration, limit: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            pending: None,
            ongoing: false,
            cancelling: false,
            counter: 0,
            patience,
            limit,
        }
    }

    pub(super) fn ongoing(&self) -> bool {
        self.ongoing
    }

    pub(super) fn request_auto(&mut self) {
        if let Some(Request::Auto(count)) = self.waiting.back_mut() {
            *count += 1;
        } else {
            self.waiting.push_back(Request::Auto(1));
        }
    }

    /// Queues this `response.create`. Fails with the limit if too many requests wait already.
    pub(super) fn request_manual(&mut self, event: Map<String, Value>) -> Result<(), usize> {
        if self.waiting.len() >= self.limit {
            return Err(self.limit);
        }
        self.waiting.push_back(Request::Manual(event));
        Ok(())
    }

    /// Returns the next `response.create` if it may be sent now.
    pub(super) fn next(&mut self, now: Duration) -> Option<Map<String, Value>> {
        if self.ongoing || self.cancelling || self.pending.is_some() {
            return None;
        }
        let request = self.waiting.pop_front()?;
        let mut event = match &request {
            Request::Auto(_) => ClientEvent::response_create(),
            Request::Manual(event) => event.clone(),
        };
        let event_id = if let Some(id) = event.get("event_id").and_then(Value::as_str) {
            id.to_owned()
        } else {
            self.counter += 1;
            let id = format!("stapes_response_create_{}", self.counter);
            event.insert("event_id".into(), id.as_str().into());
            id
        };
        self.pending = Some(Pending {
            event_id,
            request,
            deadline: now + self.patience,
        });
        Some(event)
    }

    pub(super) fn created(&mut self) {
        self.ongoing = true;
        self.cancelling = false;
        self.pending = None;
    }

    pub(super) fn done(&mut self) {
        self.ongoing = false;
        self.cancelling = false;
        self.pending = None;
    }

    /// Marks the active response as cancelled. Returns whether there was one to cancel.
    pub(super) fn begin_cancel(&mut self) -> bool {
        let begins = self.ongoing && !self.cancelling;
        self.cancelling |= begins;
        begins
    }

    /// Handles an error of the server. If it refuses the pending request, the next one may be sent.
    /// An error without an event id is matched by its code and message.
    pub(super) fn refused(&mut self, error: &Value) {
        let code = text(error, "code").unwrap_or_default();
        if code == "response_cancel_not_active" {
            // There was nothing to cancel, so no `response.done` will follow.
            self.ongoing = false;
            self.cancelling = false;
        }
        let ours = match text(error, "event_id") {
            Some(id) => self
                .pending
                .as_ref()
                .is_some_and(|pending| pending.event_id == id),
            None => {
                code.contains("response_create")
                    || code == "conversation_already_has_active_response"
                    || text(error, "message")
                        .unwrap_or_default()
                        .contains("response.create")
            }
        };
        if ours {
            self.release();
        }
    }

    /// Gives up the pending request. The other requests that it stood for are queued again.
    fn release(&mut self) {
        if let Some(Pending {
            request: Request::Auto(count @ 2..),
            ..
        }) = self.pending.take()
        {
            self.waiting.push_front(Request::Auto(count - 1));
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.pending.as_ref().map(|pending| pending.deadline)
    }

    /// Gives up the pending request if its deadline has passed. Returns its event id.
    pub(super) fn expire(&mut self, now: Duration) -> Option<String> {
        if self.deadline()? > now {
            return None;
        }
        let id = self
            .pending
            .as_ref()
            .map(|pending| pending.event_id.clone());
        self.release();
        id
    }

    /// Drops all requests: the connection is over.
    pub(super) fn reset(&mut self) {
        self.waiting.clear();
        self.done();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Duration = Duration::ZERO;

    fn sequencer() -> Sequencer {
        Sequencer::new(Duration::from_secs(30), 8)
    }

    fn id(event: Option<Map<String, Value>>) -> Option<String> {
        event.and_then(|event| event["event_id"].as_str().map(str::to_owned))
    }

    #[test]
    fn requests_coalesce_while_a_response_is_active() {
        let mut s = sequencer();
        s.created();
        s.request_auto();
        s.request_auto();
        assert_eq!(id(s.next(NOW)), None);
        s.done();
        assert_eq!(id(s.next(NOW)).as_deref(), Some("stapes_response_create_1"));
        s.created();
        s.done();
        assert_eq!(id(s.next(NOW)), None);
    }

    #[test]
    fn a_manual_request_is_sent_as_it_is_and_bounds_coalescing() {
        let mut s = sequencer();
        s.request_auto();
        let manual = json!({"type": "response.create", "event_id": "mine"});
        s.request_manual(manual.as_object().unwrap().clone())
            .unwrap();
        s.request_auto();
        for expected in [
            "stapes_response_create_1",
            "mine",
            "stapes_response_create_2",
        ] {
            assert_eq!(id(s.next(NOW)).as_deref(), Some(expected));
            s.created();
            s.done();
        }
    }

    #[test]
    fn a_refusal_without_event_id_frees_the_slot() {
        let mut s = sequencer();
        s.request_auto();
        assert!(s.next(NOW).is_some());
        s.request_auto();
        s.refused(&json!({"code": "conversation_already_has_active_response"}));
        assert_eq!(id(s.next(NOW)).as_deref(), Some("stapes_response_create_2"));
    }

    #[test]
    fn a_refusal_of_something_else_does_not() {
        let mut s = sequencer();
        s.request_auto();
        assert!(s.next(NOW).is_some());
        s.request_auto();
        s.refused(&json!({"event_id": "other", "message": "no response.create today"}));
        assert!(s.next(NOW).is_none());
    }

    #[test]
    fn an_unanswered_request_expires() {
        let mut s = sequencer();
        s.request_auto();
        assert!(s.next(NOW).is_some());
        assert_eq!(s.expire(Duration::from_secs(29)), None);
        assert_eq!(
            s.expire(Duration::from_secs(30)).as_deref(),
            Some("stapes_response_create_1")
        );
        assert_eq!(s.deadline(), None);
    }

    #[test]
    fn waiting_requests_are_bounded() {
        let mut s = sequencer();
        let manual = json!({"type": "response.create"})
            .as_object()
            .unwrap()
            .clone();
        for _ in 0..8 {
            s.request_manual(manual.clone()).unwrap();
        }
        assert_eq!(s.request_manual(manual), Err(8));
    }
}
