//! What a session is for.

/// What becomes of the user's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// A model answers it.
    #[default]
    Conversation,
    /// It is written down.
    Transcription,
    /// It is spoken in another language, as it comes.
    Translation,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::Conversation, Self::Transcription, Self::Translation];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Transcription => "transcription",
            Self::Translation => "translation",
        }
    }

    /// The purpose of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }
}
