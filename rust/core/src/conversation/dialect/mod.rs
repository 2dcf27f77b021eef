//! Other dialects of the protocol than that of `OpenAI`'s GA: which names they have, and which shapes.
//!
//! What is read is lenient, whatever the provider's profile says ([`reading`]). What is written follows the
//! profile: the conversation makes client events in the shape of the GA protocol, and [`writing`] rewrites
//! those that differ as they leave it.

mod reading;
mod writing;

pub(super) use reading::{added, current_name, is_whole, so_far};
pub(super) use writing::{told, words};

/// Where a session has what the GA protocol has in its `audio`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionLayout {
    /// In `audio`, as the GA protocol.
    #[default]
    Ga,
    /// In `audio`, but for the voice and the turn detection, which stand at the top.
    VoiceAtTop,
    /// All of it at the top, by the names of the beta.
    Flat,
}

impl SessionLayout {
    /// The names that profiles give them.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("ga", Self::Ga),
        ("voice_at_top", Self::VoiceAtTop),
        ("flat", Self::Flat),
    ];

    /// The layout of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, layout)| *layout)
    }

    pub fn as_str(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, layout)| *layout == self);
        found.map_or("", |(name, _)| name)
    }
}

/// How a provider wants client events written. The default is the GA protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    pub session: SessionLayout,
    /// Functions have a `function` of their own: `{"type": "function", "function": {...}}`.
    pub nested_tools: bool,
    /// The text of an assistant's message is a `text` part, not `output_text`.
    pub beta_parts: bool,
    /// The name of PCM in a flat session.
    pub pcm: String,
    /// The name of `max_output_tokens` in a flat session.
    pub max_tokens: String,
    /// A flat session states the rate of PCM input: `input_audio_sampling_rate`.
    pub states_input_rate: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            session: SessionLayout::Ga,
            nested_tools: false,
            beta_parts: false,
            pcm: "pcm16".to_owned(),
            max_tokens: "max_response_output_tokens".to_owned(),
            states_input_rate: false,
        }
    }
}

impl Dialect {
    /// Whether all client events have the shape of the GA protocol.
    pub fn is_ga(&self) -> bool {
        self.session == SessionLayout::Ga && !self.nested_tools && !self.beta_parts
    }
}
