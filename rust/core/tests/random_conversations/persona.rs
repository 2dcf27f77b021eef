//! What servers, transports and options may differ in. One is drawn for each conversation.

use stapes_core::conversation::{Options, PlaybackSource};

use crate::rng::Rng;

/// How function calls are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallShape {
    /// `response.output_item.done` with the status `completed`.
    Whole,
    /// Items have no status.
    WithoutStatus,
    /// The last that is said of a call is `response.function_call_arguments.done`.
    InArguments,
    /// Calls stand in `response.done` alone.
    InDone,
}

impl CallShape {
    /// Whether a call is known to be whole only when its response has ended.
    pub fn comes_late(self) -> bool {
        matches!(self, Self::InArguments | Self::InDone)
    }
}

/// All but the steps of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "traits that are independent of each other"
)]
pub struct Persona {
    /// G.711 in place of PCM at 24 kHz.
    pub mulaw: bool,
    /// The server sends `response.output_audio.done`.
    pub says_audio_done: bool,
    /// Errors name the client's event that they answer.
    pub links_errors: bool,
    /// A response that was cancelled says by what.
    pub states_reasons: bool,
    pub calls: CallShape,
    /// The server cancels its answer itself when the user speaks.
    pub interrupts: bool,
    /// The server answers by itself when the user has spoken.
    pub answers_speech: bool,
    /// A later `session.updated` names only what has changed.
    pub partial_updates: bool,
    /// The server refuses to truncate at 0 ms.
    pub refuses_empty_cuts: bool,
    /// Deltas leave out ids that are clear without them.
    pub terse: bool,
    /// A user who starts to speak interrupts, on this side.
    pub speech_interrupts: bool,
    /// What was heard is known from the player's reports, not from the clock.
    pub reports: bool,
}

impl Persona {
    pub fn plain() -> Self {
        Self {
            mulaw: false,
            says_audio_done: true,
            links_errors: true,
            states_reasons: true,
            calls: CallShape::Whole,
            interrupts: true,
            answers_speech: true,
            partial_updates: false,
            refuses_empty_cuts: false,
            terse: false,
            speech_interrupts: true,
            reports: false,
        }
    }

    pub fn draw(rng: &mut Rng) -> Self {
        Self {
            mulaw: rng.chance(30),
            says_audio_done: rng.chance(75),
            links_errors: rng.chance(60),
            calls: [
                CallShape::Whole,
                CallShape::WithoutStatus,
                CallShape::InArguments,
                CallShape::InDone,
            ][rng.weighted(&[6, 1, 1, 1])],
            interrupts: rng.chance(60),
            answers_speech: rng.chance(70),
            partial_updates: rng.chance(30),
            refuses_empty_cuts: rng.chance(10),
            terse: rng.chance(10),
            speech_interrupts: rng.chance(90),
            reports: rng.chance(25),
            states_reasons: rng.chance(80),
        }
    }

    /// The same persona with one trait as in [`Self::plain`], for each trait that differs.
    pub fn simpler(&self) -> Vec<Self> {
        let plain = Self::plain();
        let same = self.clone();
        [
            Self {
                mulaw: plain.mulaw,
                ..same.clone()
            },
            Self {
                says_audio_done: plain.says_audio_done,
                ..same.clone()
            },
            Self {
                links_errors: plain.links_errors,
                ..same.clone()
            },
            Self {
                states_reasons: plain.states_reasons,
                ..same.clone()
            },
            Self {
                calls: plain.calls,
                ..same.clone()
            },
            Self {
                interrupts: plain.interrupts,
                ..same.clone()
            },
            Self {
                answers_speech: plain.answers_speech,
                ..same.clone()
            },
            Self {
                partial_updates: plain.partial_updates,
                ..same.clone()
            },
            Self {
                refuses_empty_cuts: plain.refuses_empty_cuts,
                ..same.clone()
            },
            Self {
                terse: plain.terse,
                ..same.clone()
            },
            Self {
                speech_interrupts: plain.speech_interrupts,
                ..same.clone()
            },
            Self {
                reports: plain.reports,
                ..same
            },
        ]
        .into_iter()
        .filter(|simpler| simpler != self)
        .collect()
    }

    pub fn options(&self) -> Options {
        let playback = if self.reports {
            PlaybackSource::Reports
        } else {
            PlaybackSource::Clock
        };
        Options {
            speech_interrupts: self.speech_interrupts,
            playback,
            guardrail_debounce: 10,
            ..Options::default()
        }
    }

    /// The configuration that the server states.
    pub fn session(&self) -> String {
        let format = if self.mulaw {
            r#"{"type":"audio/pcmu"}"#
        } else {
            r#"{"type":"audio/pcm","rate":24000}"#
        };
        format!(
            r#"{{"type":"realtime","audio":{{"input":{{"turn_detection":{{"type":"server_vad","create_response":{},"interrupt_response":{}}}}},"output":{{"format":{format},"voice":"marin"}}}}}}"#,
            self.answers_speech, self.interrupts
        )
    }

    /// Silence of that length as base64. Both formats need whole groups of 3 ms.
    pub fn sound(&self, ms: u64) -> String {
        debug_assert!(ms.is_multiple_of(3));
        let characters = if self.mulaw { ms * 32 / 3 } else { ms * 64 };
        "A".repeat(characters as usize)
    }

    pub fn bytes(&self, ms: u64) -> usize {
        (if self.mulaw { ms * 8 } else { ms * 48 }) as usize
    }
}
