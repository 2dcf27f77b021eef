//! Frames of the model server, each with what it means.

/// What a frame tells the client, for the checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Nothing that is checked.
    Nothing,
    SessionUpdated,
    Created {
        response: u32,
        apart: bool,
        /// The `response.create` that it answers.
        request: Option<String>,
    },
    Sound {
        response: u32,
        item: u32,
        part: usize,
        ms: u64,
    },
    /// `spoken`: they have a sound.
    Words {
        response: u32,
        item: u32,
        part: usize,
        spoken: bool,
    },
    /// All sound of a part has been sent. `stated`: by `response.output_audio.done`.
    SoundEnds {
        item: u32,
        part: usize,
        stated: bool,
    },
    Done {
        response: u32,
        apart: bool,
        /// The last text of its output.
        text: String,
    },
    /// `response.create` was refused.
    Refused {
        event_id: String,
        /// Because a response is active.
        busy: bool,
    },
    /// `response.cancel` found nothing to cancel.
    NothingToCancel,
    /// An error that the client's race with the server explains.
    OtherError,
    SpeechStarted,
}

#[derive(Debug, Clone)]
pub struct Frame {
    pub text: String,
    pub fact: Fact,
}

/// The number of an id such as `item_12`.
pub fn number(id: &str) -> Option<u32> {
    id.rsplit('_').next()?.parse().ok()
}
