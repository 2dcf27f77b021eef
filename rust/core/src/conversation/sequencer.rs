//! Decides when a `response.create` may be sent: one at a time, and never while a response of the
//! conversation is in progress.
//!
//! Requests without a payload coalesce: one response answers all of them. Requests with a payload,
//! and raw `response.create` events, are sent one by one, in order. No request coalesces across
//! them.
//!
//! The server may begin a response by itself, when the user has spoken, and refuse a request that
//! arrives later. Such a request is sent again when that response has ended: one with a payload until
//! it is accepted, one without once, because the response that was first has then seen all that the
//! request was made for.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value};

use super::client_event::ClientEvent;
use super::item::text;

/// How many requests are remembered after the response that may be their answer has ended.
const MAX_EARLIER: usize = 8;

/// What is requested.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// Responses without a payload: how many requests this stands for.
    Auto(usize),
    /// This event, unchanged.
    Manual(Box<Map<String, Value>>),
}

/// A request for a response.
#[derive(Debug, Clone, PartialEq)]
struct Request {
    kind: Kind,
    /// Whether the server has refused it before, for another response was in progress.
    repeated: bool,
}

impl Request {
    fn new(kind: Kind) -> Self {
        let repeated = false;
        Self { kind, repeated }
    }
}

/// A request that was sent.
#[derive(Debug)]
struct Sent {
    event_id: String,
    request: Request,
    deadline: Duration,
    /// The answer was interrupted before it began.
    interrupted: bool,
    /// Nobody wants an answer to it any more.
    withdrawn: bool,
}

#[derive(Debug)]
pub(super) struct Sequencer {
    waiting: VecDeque<Request>,
    /// The request that the server has not answered.
    pending: Option<Sent>,
    /// The request that was sent before the current response began, which may be its answer. If the
    /// server began that response by itself, the refusal of the request is still to come.
    answered: Option<Sent>,
    /// Earlier ones, oldest first: a refusal that names one of them may come late.
    earlier: VecDeque<Sent>,
    /// The server refused a request because of a response that it has not announced: until when to
    /// wait for the end of that response.
    blocked_until: Option<Duration>,
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
            answered: None,
            earlier: VecDeque::new(),
            blocked_until: None,
            counter: 0,
            patience,
            limit,
        }
    }

    pub(super) fn request_auto(&mut self) {
        if let Some(Request {
            kind: Kind::Auto(count),
            repeated,
        }) = self.waiting.back_mut()
        {
            *count += 1;
            *repeated = false;
        } else {
            self.waiting.push_back(Request::new(Kind::Auto(1)));
        }
    }

    /// Queues this `response.create`. Fails with the limit if too many requests wait already.
    pub(super) fn request_manual(&mut self, event: Map<String, Value>) -> Result<(), usize> {
        if self.waiting.len() >= self.limit {
            return Err(self.limit);
        }
        self.waiting
            .push_back(Request::new(Kind::Manual(Box::new(event))));
        Ok(())
    }

    /// Whether a request waits to be sent.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a request waits to be sent, or to be answered.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.pending.is_none()
    }

    /// Whether a response that is in progress keeps requests waiting.
    pub(super) fn is_held_up(&self) -> bool {
        self.is_waiting() && self.pending.is_none()
    }

    /// Returns the next `response.create` if it may be sent now, with no response in progress.
    pub(super) fn next(&mut self, now: Duration) -> Option<Map<String, Value>> {
        if self.pending.is_some() || self.blocked_until.is_some() {
            return None;
        }
        let request = self.waiting.pop_front()?;
        let mut event = match &request.kind {
            Kind::Auto(_) => ClientEvent::response_create(),
            Kind::Manual(event) => Map::clone(event),
        };
        let event_id = self.name(&mut event);
        self.pending = Some(Sent {
            event_id,
            request,
            deadline: now + self.patience,
            interrupted: false,
            withdrawn: false,
        });
        Some(event)
    }

    /// The event id of a `response.create`, given to it if it has none.
    pub(super) fn name(&mut self, event: &mut Map<String, Value>) -> String {
        if let Some(id) = event.get("event_id").and_then(Value::as_str) {
            return id.to_owned();
        }
        self.counter += 1;
        let id = format!("stapes_response_create_{}", self.counter);
        event.insert("event_id".into(), id.as_str().into());
        id
    }

    /// The answer to the pending request is to be stopped when it begins. `withdrawn`: if the server
    /// refuses the request, it is not made again. The user who speaks withdraws nothing: the server
    /// may answer that first, without having seen what the request is about.
    pub(super) fn interrupt_pending(&mut self, withdrawn: bool) {
        if let Some(pending) = &mut self.pending {
            pending.interrupted = true;
            pending.withdrawn |= withdrawn;
        }
    }

    /// A response of the conversation has begun. Returns whether it was interrupted before.
    pub(super) fn begun(&mut self) -> bool {
        self.blocked_until = None;
        self.keep_answered();
        self.answered = self.pending.take();
        self.answered.as_ref().is_some_and(|sent| sent.interrupted)
    }

    /// A response of the conversation has ended; `announced`: its beginning was seen.
    pub(super) fn ended(&mut self, announced: bool) {
        self.blocked_until = None;
        self.keep_answered();
        if !announced {
            // It answers the request, although the server never said that it began.
            self.pending = None;
        }
    }

    fn keep_answered(&mut self) {
        if let Some(answered) = self.answered.take() {
            self.earlier.reserve_exact(1);
            self.earlier.push_back(answered);
        }
        if self.earlier.len() > MAX_EARLIER {
            self.earlier.pop_front();
        }
    }

    /// Handles an error of the server. `busy`: a response is in progress, as the server announced.
    /// An error without an event id is matched by its code and message.
    pub(super) fn refused(&mut self, error: &Value, busy: bool, now: Duration) {
        let code = text(error, "code").unwrap_or_default();
        let other_active = code == "conversation_already_has_active_response";
        let id = text(error, "event_id");
        let about_requests = other_active
            || code.contains("response_create")
            || text(error, "message").is_some_and(|message| message.contains("response.create"));
        let is_meant = |sent: &mut Sent| match id {
            Some(id) => sent.event_id == id,
            None => about_requests,
        };
        let refused = self.pending.take_if(is_meant);
        // A response began after the request was sent: an error that does not name the request is
        // about it only if it says that.
        let refused = refused.or_else(|| {
            self.answered
                .take_if(|sent| (id.is_some() || other_active) && is_meant(sent))
        });
        let refused = refused.or_else(|| {
            let mut earlier = self.earlier.iter();
            let at = earlier.position(|sent| id == Some(&sent.event_id))?;
            self.earlier.remove(at)
        });
        let Some(sent) = refused else { return };
        if sent.withdrawn {
            return;
        }
        if other_active {
            self.ask_again(sent.request, busy, now);
        } else {
            self.give_up(&sent.request.kind);
        }
    }

    /// Queues a request again that was refused because another response is in progress.
    fn ask_again(&mut self, request: Request, busy: bool, now: Duration) {
        let stands_for_others = matches!(request.kind, Kind::Auto(2..));
        if !busy && stands_for_others {
            return self.give_up(&request.kind);
        }
        let is_manual = matches!(request.kind, Kind::Manual(_));
        if request.repeated && !(busy && is_manual) {
            return;
        }
        // Where the server has not announced that response, and nothing else waits to be sent.
        let waits_for_unknown = !busy && (is_manual || self.waiting.is_empty());
        match request.kind {
            Kind::Auto(count) => self.put_back(count, true),
            kind @ Kind::Manual(_) => self.waiting.push_front(Request {
                kind,
                repeated: true,
            }),
        }
        if waits_for_unknown {
            self.blocked_until = Some(now + self.patience);
        }
    }

    /// Queues requests without a payload again, before all others.
    fn put_back(&mut self, count: usize, repeated: bool) {
        if let Some(Request {
            kind: Kind::Auto(waiting),
            ..
        }) = self.waiting.front_mut()
        {
            *waiting += count;
        } else {
            self.waiting.push_front(Request {
                kind: Kind::Auto(count),
                repeated,
            });
        }
    }

    /// Gives a request up. The other requests that it stood for are queued again.
    fn give_up(&mut self, kind: &Kind) {
        if let Kind::Auto(count @ 2..) = kind {
            self.put_back(count - 1, false);
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let pending = self.pending.as_ref().map(|pending| pending.deadline);
        pending.or(self.blocked_until)
    }

    /// Gives up the pending request if its deadline has passed. Returns its event id.
    pub(super) fn expire(&mut self, now: Duration) -> Option<String> {
        let sent = self.pending.take_if(|pending| pending.deadline <= now)?;
        self.give_up(&sent.request.kind);
        Some(sent.event_id)
    }

    /// Stops waiting for a response that the server has not announced, if its end did not come in
    /// time. Returns whether it was waited for.
    pub(super) fn unblock(&mut self, now: Duration) -> bool {
        self.blocked_until.take_if(|until| *until <= now).is_some()
    }

    /// The connection was lost, and another one follows: what was asked for and has not begun is asked
    /// for again. `ask_again`: so is the response that had begun.
    pub(super) fn suspend(&mut self, ask_again: bool) {
        let answered = self.answered.take();
        self.earlier.clear();
        self.blocked_until = None;
        let lost = match self.pending.take() {
            Some(sent) => Some(sent).filter(|sent| !sent.interrupted && !sent.withdrawn),
            None if ask_again => {
                let begun = answered.filter(|sent| !sent.interrupted);
                let request = begun.map_or(Request::new(Kind::Auto(1)), |sent| sent.request);
                return self.put_first(request.kind);
            }
            None => None,
        };
        match lost {
            Some(sent) => self.put_first(sent.request.kind),
            None if ask_again => self.put_first(Kind::Auto(1)),
            None => {}
        }
    }

    /// The answer that is asked for again is not wanted any more.
    pub(super) fn withdraw_first(&mut self) {
        if let Some(Request { repeated: true, .. }) = self.waiting.front() {
            self.waiting.pop_front();
        }
    }

    fn put_first(&mut self, kind: Kind) {
        match kind {
            Kind::Auto(count) => self.put_back(count, true),
            kind @ Kind::Manual(_) => self.waiting.push_front(Request {
                kind,
                repeated: true,
            }),
        }
    }

    /// Drops all requests: the connection is over.
    pub(super) fn reset(&mut self) {
        self.waiting.clear();
        self.pending = None;
        self.answered = None;
        self.earlier.clear();
        self.blocked_until = None;
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

    fn manual(event_id: &str) -> Map<String, Value> {
        let event = json!({"type": "response.create", "event_id": event_id});
        event.as_object().unwrap().clone()
    }

    fn other_active() -> Value {
        json!({"code": "conversation_already_has_active_response"})
    }

    #[test]
    fn requests_coalesce_while_they_wait() {
        let mut s = sequencer();
        s.request_auto();
        s.request_auto();
        assert_eq!(id(s.next(NOW)).as_deref(), Some("stapes_response_create_1"));
        assert_eq!(id(s.next(NOW)), None, "one is pending");
        s.begun();
        s.ended(true);
        assert_eq!(id(s.next(NOW)), None);
    }

    #[test]
    fn a_manual_request_is_sent_as_it_is_and_bounds_coalescing() {
        let mut s = sequencer();
        s.request_auto();
        s.request_manual(manual("mine")).unwrap();
        s.request_auto();
        for expected in [
            "stapes_response_create_1",
            "mine",
            "stapes_response_create_2",
        ] {
            assert_eq!(id(s.next(NOW)).as_deref(), Some(expected));
            s.begun();
            s.ended(true);
        }
    }

    #[test]
    fn a_request_that_another_response_was_first_of_is_sent_again_once() {
        for unnamed in [true, false] {
            let mut s = sequencer();
            s.request_auto();
            assert!(s.next(NOW).is_some());
            // The server's own response begins, then the refusal comes.
            s.begun();
            let mut error = other_active();
            if !unnamed {
                error["event_id"] = "stapes_response_create_1".into();
            }
            s.refused(&error, true, NOW);
            s.ended(true);
            assert!(s.next(NOW).is_some(), "asked again");
            s.begun();
            s.refused(&other_active(), true, NOW);
            s.ended(true);
            assert_eq!(s.next(NOW), None, "the response that was first has seen it");
        }
    }

    #[test]
    fn a_request_with_a_payload_is_sent_until_it_is_accepted() {
        let mut s = sequencer();
        s.request_manual(manual("mine")).unwrap();
        s.request_auto();
        for _ in 0..5 {
            assert_eq!(id(s.next(NOW)).as_deref(), Some("mine"));
            s.begun();
            s.refused(&other_active(), true, NOW);
            s.ended(true);
        }
        assert_eq!(id(s.next(NOW)).as_deref(), Some("mine"));
        s.begun();
        s.ended(true);
        assert_eq!(id(s.next(NOW)).as_deref(), Some("stapes_response_create_1"));
    }

    #[test]
    fn a_refused_request_goes_into_the_one_that_waits() {
        let mut s = sequencer();
        s.request_auto();
        s.request_auto();
        assert!(s.next(NOW).is_some());
        s.request_auto();
        let error = json!({"event_id": "stapes_response_create_1", "code": "rate_limit_exceeded"});
        s.refused(&error, false, NOW);
        assert_eq!(id(s.next(NOW)).as_deref(), Some("stapes_response_create_2"));
        s.begun();
        s.ended(true);
        assert_eq!(id(s.next(NOW)), None);
    }

    #[test]
    fn a_refusal_for_a_response_that_nobody_knows_waits_for_its_end() {
        let mut s = sequencer();
        s.request_auto();
        assert!(s.next(NOW).is_some());
        s.refused(&other_active(), false, NOW);
        assert_eq!(s.next(NOW), None);
        assert_eq!(s.deadline(), Some(Duration::from_secs(30)));
        let mut expired = sequencer();
        expired.request_auto();
        assert!(expired.next(NOW).is_some());
        expired.refused(&other_active(), false, NOW);
        assert!(!expired.unblock(Duration::from_secs(29)));
        assert!(expired.unblock(Duration::from_secs(30)) && expired.next(NOW).is_some());
        s.ended(true);
        assert!(s.next(NOW).is_some());
    }

    #[test]
    fn a_refusal_that_comes_after_another_response_ended_is_of_the_request_that_it_names() {
        let mut s = sequencer();
        s.request_auto();
        assert!(s.next(NOW).is_some());
        for _ in 0..2 {
            s.begun();
            s.ended(true);
        }
        s.begun();
        let mut error = other_active();
        error["event_id"] = "stapes_response_create_1".into();
        s.refused(&error, true, NOW);
        s.ended(true);
        assert_eq!(id(s.next(NOW)).as_deref(), Some("stapes_response_create_2"));
    }

    #[test]
    fn a_request_that_was_withdrawn_is_not_sent_again() {
        for withdrawn in [true, false] {
            let mut s = sequencer();
            s.request_auto();
            assert!(s.next(NOW).is_some());
            s.interrupt_pending(withdrawn);
            s.refused(&other_active(), true, NOW);
            s.ended(true);
            assert_eq!(s.next(NOW).is_none(), withdrawn);
        }
    }

    #[test]
    fn the_answer_to_an_interrupted_request_is_to_be_cancelled() {
        let mut s = sequencer();
        s.request_auto();
        assert!(s.next(NOW).is_some());
        s.interrupt_pending(false);
        assert!(s.begun());
    }

    #[test]
    fn a_refusal_of_something_else_changes_nothing() {
        let mut s = sequencer();
        s.request_auto();
        assert!(s.next(NOW).is_some());
        s.request_auto();
        let error = json!({"event_id": "other", "message": "no response.create today"});
        s.refused(&error, false, NOW);
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
        for _ in 0..8 {
            s.request_manual(manual("m")).unwrap();
        }
        assert_eq!(s.request_manual(manual("m")), Err(8));
    }
}
