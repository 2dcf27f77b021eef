//! The rules that every conversation keeps to.

use std::fmt;

/// A rule of the conversation. The documentation of each is what must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// No `response.create` for the conversation is sent while one is unanswered or a response is
    /// active.
    OneCreateAtATime,
    /// A `response.create` is sent for a request only, once.
    CreateForARequest,
    /// Each request is followed by a response, or by an error that says why not.
    ModelIsAsked,
    /// A complete call is handed out once, with its own agent, and an incomplete one never.
    CallIsHandedOut,
    /// A call is answered once.
    CallIsAnswered,
    /// A result that cannot be sent is told.
    LostResultIsTold,
    /// No sound of an answer comes after its interruption.
    SilenceAfterInterruption,
    /// Sound is passed on as it comes.
    SoundIsPassedOn,
    /// Every part that was not heard to its end is cut.
    UnheardIsCut,
    /// A part that was heard to its end is not cut, nor one that is unknown or cut already.
    OnlyUnheardIsCut,
    /// A cut stands where playback was.
    CutIsWhatWasPlayed,
    /// The history shows the cut before `AudioInterrupted`, and to the end.
    HistoryShowsTheCut,
    /// `AudioInterrupted` comes where something was cut, and only there.
    InterruptionIsTold,
    /// The end of the playback of each response is told once, with what was heard.
    EndOfPlaybackIsTold,
    /// `response.cancel` names an active response, once.
    CancelNamesAResponse,
    /// An interruption cancels the active response.
    ActiveIsCancelled,
    /// No item stands in the history twice.
    NoDuplicates,
    /// When all is quiet, no item is in progress.
    NothingHalfDone,
    /// When all is quiet, the history holds what the server's conversation holds.
    HistoryIsTheServers,
    /// The history has the order of the server's conversation.
    HistoryIsInOrder,
    /// Every change of the history is told.
    HistoryIsTold,
    /// When all is quiet, nobody waits.
    NobodyWaits,
    /// Whoever waits for the end of a response that never ends is told.
    EndlessResponseIsTold,
    /// A response begins once and ends once, with its agent and its text.
    ResponseIsPaired,
    /// `AudioStarted` is followed by `AudioStopped` or `AudioInterrupted` before it comes again. Sound
    /// stops where the server says that it is complete; that of a server which does not say so stops
    /// when the next response begins or the connection is lost, for the reference tells nothing of
    /// sound when its response ends.
    SoundIsPaired,
    /// A lost connection ends its responses, its sound and its items. One that the user closes does not:
    /// nothing more is told, and the history stays as it was told, as in the reference.
    LossEndsWhatWasBegun,
    /// No error is reported where the server kept to the protocol, and none after `close()`.
    NoFalseErrors,
    /// The client keeps to the protocol: it names what the server knows.
    ClientKeepsToTheProtocol,
    /// Acts on what is live succeed, acts on what is over do not, and their local events are
    /// emitted once.
    ActsAreHonoured,
    /// The numbers of outputs go up.
    OneOrder,
    /// Nothing panics.
    NoPanic,
}

/// A broken rule.
#[derive(Debug, Clone)]
pub struct Violation {
    pub rule: Rule,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

pub type Check = Result<(), Violation>;

/// Fails with `rule` unless `holds`.
pub fn require(holds: bool, rule: Rule, what: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { broken(rule, what()) }
}

pub fn broken<T>(rule: Rule, what: impl Into<String>) -> Result<T, Violation> {
    let what = what.into();
    Err(Violation { rule, what })
}
