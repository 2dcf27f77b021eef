//! The user's sound: converted to the format of the wire, framed, and sent.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::audio::convert::ToWire;
use crate::audio::format::AudioFormat;
use crate::audio::resample::ResampleError;
use crate::conversation::{ClientEvent, Conversation, Media, Rejected};

use super::Session;
use super::texts;

/// Sound of the user's.
#[derive(Debug, Clone, Copy)]
pub enum AudioInput<'a> {
    /// PCM, mono, at a rate of its own, or at the wire's where none is named.
    Samples(&'a [i16], Option<u32>),
    /// In the format of the wire.
    Wire(&'a [u8]),
}

/// Why sound was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendAudioError {
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error("sample_rate: {0}")]
    Rate(#[from] ResampleError),
}

/// A session's microphone. All sound that it is given is one stream, from whatever thread it comes.
pub struct Microphone {
    session: Arc<Session>,
    encoder: Mutex<ToWire>,
}

impl fmt::Debug for Microphone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Microphone")
            .field("format", &self.format())
            .finish_non_exhaustive()
    }
}

impl Microphone {
    pub fn new(session: Arc<Session>) -> Self {
        Self {
            session,
            encoder: Mutex::new(ToWire::new(AudioFormat::default())),
        }
    }

    fn encoder(&self) -> MutexGuard<'_, ToWire> {
        self.encoder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The format of the user's sound on the wire.
    pub fn format(&self) -> AudioFormat {
        self.encoder().format()
    }

    /// Changes the format of the wire. Samples that the resampler holds are dropped.
    pub fn set_format(&self, format: AudioFormat) {
        *self.encoder() = ToWire::new(format);
    }

    /// Sends sound. With `commit` the user's turn ends after it.
    pub fn send(&self, input: AudioInput<'_>, commit: bool) -> Result<(), SendAudioError> {
        if self.session.look(Conversation::capabilities).media == Media::Track {
            return self.send_on_track(input, commit);
        }
        let mut encoder = self.encoder();
        let append = match input {
            AudioInput::Samples(samples, Some(rate)) => {
                let mut wire = Vec::new();
                encoder.push(samples, rate, &mut wire)?;
                if commit {
                    encoder.finish(&mut wire);
                }
                // The resampler may hold back all of a short chunk: then nothing is sent. An empty chunk
                // of the user's is sent, as the reference does.
                (!wire.is_empty() || samples.is_empty()).then(|| audio_append(&wire))
            }
            AudioInput::Samples(samples, None) => Some(audio_append(bytemuck::cast_slice(samples))),
            AudioInput::Wire(bytes) => Some(audio_append(bytes)),
        };
        drop(encoder);
        Ok(self
            .session
            .act(|conversation, now| conversation.send_audio(append, commit, now))?)
    }

    /// Over a transport with a media track.
    fn send_on_track(&self, input: AudioInput<'_>, commit: bool) -> Result<(), SendAudioError> {
        let mut sent = Vec::new();
        match input {
            AudioInput::Samples(samples, Some(rate)) => {
                let mut encoder = self.encoder();
                encoder.push_samples(samples, rate, &mut sent)?;
                if commit {
                    encoder.finish_samples(&mut sent);
                }
            }
            AudioInput::Samples(samples, None) => sent.extend_from_slice(samples),
            // A media track takes PCM alone, which was checked before the connection was made.
            AudioInput::Wire(_) => {}
        }
        Ok(self.session.send_sound(sent, commit)?)
    }
}

fn audio_append(bytes: &[u8]) -> ClientEvent {
    ClientEvent::audio_append(bytes, texts::take())
}
