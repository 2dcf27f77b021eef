//! The work that a transport does itself, so that the conversation does not.

/// How audio travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Media {
    /// In the messages, as base64.
    #[default]
    InFrames,
    /// On a media track, as over RTP. The audio names no response: it belongs to the one that
    /// `output_audio_buffer.started` names.
    Track,
}

/// Who knows the playback position of an answer, and so truncates it after an interruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Truncation {
    /// The client, which sends `conversation.item.truncate`.
    #[default]
    Client,
    /// The server, because it sends the audio in real time. `output_audio_buffer.clear` asks it to
    /// stop.
    Server,
    /// Nobody: the provider cannot. What was heard stands in the history alone.
    Nobody,
}

/// The capabilities that a transport declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    pub media: Media,
    pub truncation: Truncation,
}

impl Capabilities {
    /// Audio on a media track, sent by the server in real time: WebRTC.
    pub const MEDIA_TRACK: Self = Self {
        media: Media::Track,
        truncation: Truncation::Server,
    };
}
