//! What a transport does itself, so that the conversation need not.

/// Where sound travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Media {
    /// Within the messages, as base64.
    #[default]
    InFrames,
    /// Beside them, as over RTP. Sound names no response then: it belongs to the one that
    /// `output_audio_buffer.started` names.
    Track,
}

/// Who knows what was played of an answer, and cuts it where it was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Truncation {
    /// We do, and say so by `conversation.item.truncate`.
    #[default]
    Client,
    /// The server does, for it sends the sound in real time. It is asked to stop by
    /// `output_audio_buffer.clear`.
    Server,
}

/// What a transport declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    pub media: Media,
    pub truncation: Truncation,
}

impl Capabilities {
    /// Sound beside the messages, sent by the server as it is played: WebRTC.
    pub const MEDIA_TRACK: Self = Self {
        media: Media::Track,
        truncation: Truncation::Server,
    };
}
