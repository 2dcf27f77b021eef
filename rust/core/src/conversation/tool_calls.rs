//! The ledger of function calls: which are running, which await approval, which have been answered.
//!
//! A call id names one invocation. The same call delivered twice is run once and answered twice,
//! with the same output. A different call with a used id is refused.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::lenient;

/// A function call of the model, for the session layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall {
    /// The id of the item.
    pub item_id: Arc<str>,
    /// The id of the call; the item's id if the model gave none.
    pub call_id: Arc<str>,
    pub name: String,
    pub arguments: String,
    pub response_id: Arc<str>,
    /// The agent of the response that made the call.
    pub agent_version: u64,
    /// The connection over which the call arrived.
    pub connection_id: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Running {
        /// How often the same call arrived again in the meantime.
        repeats: usize,
    },
    AwaitingApproval,
    Answered {
        output: String,
        /// Whether the answer asked for a response.
        respond: bool,
    },
}

#[derive(Debug)]
struct Entry {
    call: Arc<FunctionCall>,
    fingerprint: String,
    state: State,
}

impl Entry {
    fn is_open(&self) -> bool {
        !matches!(self.state, State::Answered { .. })
    }
}

/// How to handle a call that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The call is new: run it.
    Run,
    /// The call has been answered: send the output again, and ask for a response again if
    /// `respond`.
    AnswerAgain { output: String, respond: bool },
    /// The call is known and not answered yet.
    Known,
    /// The id belongs to a different call; the text says in which state that call is.
    IdReused(&'static str),
}

#[derive(Debug)]
pub(super) struct ToolCalls {
    entries: HashMap<Arc<str>, Entry>,
    /// Answered calls, oldest first: they are forgotten in this order.
    answered: VecDeque<Arc<str>>,
    /// How many answered calls are remembered.
    memory: usize,
}

/// Identifies a call by its name and arguments, whatever the order of keys and the whitespace.
fn fingerprint(name: &str, arguments: &str) -> String {
    let arguments = lenient::parse(arguments).map_or_else(
        |_| arguments.to_owned(),
        |(mut value, _)| {
            value.sort_all_objects();
            value.to_string()
        },
    );
    format!("{name}\n{arguments}")
}

impl ToolCalls {
    pub(super) fn new(memory: usize) -> Self {
        Self {
            entries: HashMap::new(),
            answered: VecDeque::new(),
            memory,
        }
    }

    pub(super) fn arrive(&mut self, call: &Arc<FunctionCall>) -> Arrival {
        let fingerprint = fingerprint(&call.name, &call.arguments);
        let Some(entry) = self.entries.get_mut(&call.call_id) else {
            let call_id = Arc::clone(&call.call_id);
            let call = Arc::clone(call);
            let state = State::Running { repeats: 0 };
            self.entries.insert(
                call_id,
                Entry {
                    call,
                    fingerprint,
                    state,
                },
            );
            return Arrival::Run;
        };
        let same = entry.fingerprint == fingerprint;
        match &mut entry.state {
            State::Running { repeats } if same => {
                *repeats += 1;
                Arrival::Known
            }
            State::AwaitingApproval if same => Arrival::Known,
            State::Answered { output, respond } if same => Arrival::AnswerAgain {
                output: output.clone(),
                respond: *respond,
            },
            State::Running { .. } => Arrival::IdReused("while it was running"),
            State::AwaitingApproval => Arrival::IdReused("while approval was pending"),
            State::Answered { .. } => Arrival::IdReused("after completion"),
        }
    }

    /// The call, if it belongs to that connection and has not been answered.
    pub(super) fn open(&self, call_id: &str, connection_id: u64) -> Option<&Arc<FunctionCall>> {
        let entry = self.entries.get(call_id)?;
        let open = !matches!(entry.state, State::Answered { .. });
        (open && entry.call.connection_id == connection_id).then_some(&entry.call)
    }

    /// Whether a call is running, or awaits approval.
    pub(super) fn any_open(&self) -> bool {
        self.entries.values().any(Entry::is_open)
    }

    /// Whether a call is running.
    pub(super) fn any_at_work(&self) -> bool {
        let mut entries = self.entries.values();
        entries.any(|entry| matches!(entry.state, State::Running { .. }))
    }

    /// Whether that call is running, or awaits approval.
    pub(super) fn is_open(&self, call_id: &str) -> bool {
        self.entries.get(call_id).is_some_and(Entry::is_open)
    }

    /// Whether a call of that response has arrived, whatever became of it.
    pub(super) fn any_of(&self, response_id: &str) -> bool {
        let mut entries = self.entries.values();
        entries.any(|entry| *entry.call.response_id == *response_id)
    }

    /// Whether a call of that response is running. A call that awaits approval is not running.
    pub(super) fn any_running(&self, response_id: &str) -> bool {
        self.entries.values().any(|entry| {
            matches!(entry.state, State::Running { .. }) && *entry.call.response_id == *response_id
        })
    }

    pub(super) fn await_approval(&mut self, call_id: &str) {
        if let Some(entry) = self.entries.get_mut(call_id) {
            entry.state = State::AwaitingApproval;
        }
    }

    pub(super) fn resume(&mut self, call_id: &str) {
        if let Some(entry) = self.entries.get_mut(call_id)
            && entry.state == State::AwaitingApproval
        {
            entry.state = State::Running { repeats: 0 };
        }
    }

    /// Records the answer. Returns how often it must be sent again, for repeats of the call.
    pub(super) fn answer(&mut self, call_id: &str, output: &str, respond: bool) -> usize {
        let Some(entry) = self.entries.get_mut(call_id) else {
            return 0;
        };
        let repeats = match entry.state {
            State::Running { repeats } => repeats,
            _ => 0,
        };
        entry.state = State::Answered {
            output: output.to_owned(),
            respond,
        };
        self.answered.push_back(Arc::clone(&entry.call.call_id));
        while self.answered.len() > self.memory {
            if let Some(oldest) = self.answered.pop_front() {
                self.entries.remove(&oldest);
            }
        }
        repeats
    }

    pub(super) fn reset(&mut self) {
        self.entries.clear();
        self.answered.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, arguments: &str) -> Arc<FunctionCall> {
        Arc::new(FunctionCall {
            item_id: "item".into(),
            call_id: id.into(),
            name: "weather".to_owned(),
            arguments: arguments.to_owned(),
            response_id: "resp".into(),
            agent_version: 0,
            connection_id: 1,
        })
    }

    #[test]
    fn the_same_call_is_answered_again_and_another_under_its_id_is_refused() {
        let mut tool_calls = ToolCalls::new(4);
        assert_eq!(
            tool_calls.arrive(&call("c", r#"{"a":1,"b":2}"#)),
            Arrival::Run
        );
        tool_calls.answer("c", "Sunny", false);
        let again = call("c", r#"{ "b": 2, "a": 1 }"#);
        assert_eq!(
            tool_calls.arrive(&again),
            Arrival::AnswerAgain {
                output: "Sunny".to_owned(),
                respond: false
            }
        );
        assert_eq!(
            tool_calls.arrive(&call("c", "{}")),
            Arrival::IdReused("after completion")
        );
    }

    #[test]
    fn a_repeat_of_a_running_call_is_answered_with_it() {
        let mut tool_calls = ToolCalls::new(4);
        tool_calls.arrive(&call("c", "{}"));
        assert_eq!(tool_calls.arrive(&call("c", "{}")), Arrival::Known);
        assert_eq!(tool_calls.answer("c", "ok", true), 1);
    }

    #[test]
    fn a_call_of_another_connection_is_not_open() {
        let mut tool_calls = ToolCalls::new(4);
        tool_calls.arrive(&call("c", "{}"));
        assert!(tool_calls.open("c", 1).is_some());
        assert!(tool_calls.open("c", 2).is_none());
        tool_calls.answer("c", "ok", true);
        assert!(tool_calls.open("c", 1).is_none());
    }

    #[test]
    fn answered_calls_are_forgotten_oldest_first() {
        let mut tool_calls = ToolCalls::new(2);
        for id in ["a", "b", "c"] {
            tool_calls.arrive(&call(id, "{}"));
            tool_calls.answer(id, "ok", true);
        }
        assert_eq!(tool_calls.arrive(&call("a", "{}")), Arrival::Run);
        assert_eq!(
            tool_calls.arrive(&call("c", "{}")),
            Arrival::AnswerAgain {
                output: "ok".to_owned(),
                respond: true
            }
        );
    }
}
