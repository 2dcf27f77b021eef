//! What is known of function calls that are still being generated, for servers that say of a call in
//! several events what others say in one.

use std::collections::VecDeque;

/// How many are kept. A response has a few.
const MAX: usize = 64;

/// How many of those that arrived whole are remembered.
const MAX_ARRIVED: usize = 256;

/// A function call of which something is known. What is not known is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PartialCall {
    pub(super) item_id: String,
    pub(super) call_id: String,
    pub(super) response_id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    /// Whether the server said that the arguments are whole.
    pub(super) complete: bool,
}

impl PartialCall {
    fn is(&self, other: &Self) -> bool {
        let same = |one: &str, another: &str| !one.is_empty() && one == another;
        same(&self.item_id, &other.item_id) || same(&self.call_id, &other.call_id)
    }

    /// Fills what this one lacks with what `other` has.
    fn fill(&mut self, other: Self) {
        let pairs = [
            (&mut self.item_id, other.item_id),
            (&mut self.call_id, other.call_id),
            (&mut self.response_id, other.response_id),
            (&mut self.name, other.name),
            (&mut self.arguments, other.arguments),
        ];
        for (own, others) in pairs {
            if own.is_empty() {
                *own = others;
            }
        }
        self.complete |= other.complete;
    }
}

#[derive(Debug, Default)]
pub(super) struct PartialCalls {
    calls: VecDeque<PartialCall>,
    /// The responses, items and ids of calls that arrived whole.
    arrived: VecDeque<(String, String, String)>,
}

impl PartialCalls {
    /// Takes note of a call. The newest word counts.
    pub(super) fn note(&mut self, call: PartialCall) {
        let call = self.complete(call);
        self.calls.push_back(call);
        if self.calls.len() > MAX {
            self.calls.pop_front();
        }
    }

    /// Completes `call` with what is known of it, and forgets that.
    pub(super) fn complete(&mut self, mut call: PartialCall) -> PartialCall {
        if let Some(at) = self.calls.iter().position(|known| known.is(&call))
            && let Some(known) = self.calls.remove(at)
        {
            call.fill(known);
        }
        call
    }

    /// Whether a call of that response is being generated.
    pub(super) fn any_of(&self, response_id: &str) -> bool {
        self.calls
            .iter()
            .any(|call| call.response_id == response_id)
    }

    /// Forgets what is known of the calls of a response, and returns it.
    pub(super) fn end(&mut self, response_id: &str) -> Self {
        let of_response =
            |call: &PartialCall| call.response_id.is_empty() || call.response_id == response_id;
        let (ended, others): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.calls)
            .into_iter()
            .partition(of_response);
        self.calls = others;
        Self {
            calls: ended,
            arrived: VecDeque::new(),
        }
    }

    /// The calls that are whole.
    pub(super) fn into_whole(self) -> impl Iterator<Item = PartialCall> {
        self.calls.into_iter().filter(|call| call.complete)
    }

    /// Takes note that a call arrived whole.
    pub(super) fn arrived(&mut self, call: &PartialCall) {
        self.arrived.push_back((
            call.response_id.clone(),
            call.item_id.clone(),
            call.call_id.clone(),
        ));
        if self.arrived.len() > MAX_ARRIVED {
            self.arrived.pop_front();
        }
    }

    /// Whether that call of that response arrived whole, under either of its ids.
    pub(super) fn has_arrived(&self, call: &PartialCall) -> bool {
        let same = |one: &str, another: &str| !one.is_empty() && one == another;
        self.arrived.iter().any(|(response_id, item_id, call_id)| {
            *response_id == call.response_id
                && (same(item_id, &call.item_id) || same(call_id, &call.call_id))
        })
    }

    pub(super) fn reset(&mut self) {
        self.calls.clear();
        self.arrived.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(item_id: &str, call_id: &str, name: &str, arguments: &str) -> PartialCall {
        PartialCall {
            item_id: item_id.to_owned(),
            call_id: call_id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            ..PartialCall::default()
        }
    }

    #[test]
    fn what_several_events_say_of_a_call_is_put_together() {
        let mut calls = PartialCalls::default();
        calls.note(call("i", "c", "weather", ""));
        calls.note(PartialCall {
            complete: true,
            ..call("i", "", "", "{}")
        });
        let whole = calls.complete(call("", "c", "", ""));
        assert_eq!(
            whole,
            PartialCall {
                complete: true,
                ..call("i", "c", "weather", "{}")
            }
        );
        assert!(calls.calls.is_empty());
    }

    #[test]
    fn the_end_of_a_response_returns_its_whole_calls_and_keeps_those_of_others() {
        let mut calls = PartialCalls::default();
        for (item, response, complete) in [("a", "r1", true), ("b", "r1", false), ("c", "r2", true)]
        {
            calls.note(PartialCall {
                response_id: response.to_owned(),
                complete,
                ..call(item, "", "", "")
            });
        }
        let ended = |calls: PartialCalls| -> Vec<String> {
            calls.into_whole().map(|call| call.item_id).collect()
        };
        assert_eq!(ended(calls.end("r1")), ["a"]);
        assert_eq!(ended(calls.end("r1")), [""; 0]);
        assert_eq!(ended(calls.end("r2")), ["c"]);
    }

    #[test]
    fn a_call_that_arrived_is_known_by_either_id_in_its_response() {
        let mut calls = PartialCalls::default();
        calls.arrived(&call("i", "", "", ""));
        calls.arrived(&call("j", "c", "", ""));
        assert!(calls.has_arrived(&call("i", "x", "", "")));
        assert!(calls.has_arrived(&call("", "c", "", "")));
        assert!(!calls.has_arrived(&call("", "", "", "")));
        let elsewhere = PartialCall {
            response_id: "r2".to_owned(),
            ..call("i", "c", "", "")
        };
        assert!(!calls.has_arrived(&elsewhere));
    }

    #[test]
    fn a_server_that_announces_many_fills_no_memory() {
        let mut calls = PartialCalls::default();
        for n in 0..1_000 {
            calls.note(call(&n.to_string(), "", "", ""));
            calls.arrived(&call(&n.to_string(), "", "", ""));
        }
        assert_eq!((calls.calls.len(), calls.arrived.len()), (MAX, MAX_ARRIVED));
    }
}
