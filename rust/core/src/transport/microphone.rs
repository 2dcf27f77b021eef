//! The user's sound on its way in: turned into what the wire carries, framed, and sent.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::audio::convert::ToWire;
use crate::audio::format::AudioFormat;
use crate::audio::resample::ResampleError;
use crate::conversation::{Conversation, Media, Rejected, client_event};

use super::session::Session;
use super::texts;

/// Sound of the user's, as it is given.
#[derive(Debug, Clone, Copy)]
pub enum AudioInput<'a> {
    /// PCM, mono, at a rate of its own, or at the wire's where none is named.
    Samples(&'a [i16], Option<u32>),
    /// As the wire has it.
    Wire(&'a [u8]),
}

/// Why sound was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendAudioError {
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error("sample_rate: {0}")]
    Rate(#[from] ResampleError),
}

/// A session's microphone. What it is given is one stream of sound, whoever gives it.
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

    /// What the wire carries of the user's sound.
    pub fn format(&self) -> AudioFormat {
        self.encoder().format()
    }

    /// The wire carries another format from now on. What the resampler held is gone.
    pub fn set_format(&self, format: AudioFormat) {
        *self.encoder() = ToWire::new(format);
    }

    /// Sends sound; with `commit` the user's turn ends behind it.
    pub fn send(&self, input: AudioInput<'_>, commit: bool) -> Result<(), SendAudioError> {
        if self.session.look(Conversation::capabilities).media == Media::Track {
            return self.send_on_track(input, commit);
        }
        let mut encoder = self.encoder();
        let text = match input {
            AudioInput::Samples(samples, Some(rate)) => {
                let mut wire = Vec::new();
                encoder.push(samples, rate, &mut wire)?;
                if commit {
                    encoder.finish(&mut wire);
                }
                // The resampler may hold back all of a short piece. What the user gives empty is sent
                // as it is, as the reference does.
                if wire.is_empty() && !samples.is_empty() {
                    String::new()
                } else {
                    framed(&wire)
                }
            }
            AudioInput::Samples(samples, None) => framed(bytemuck::cast_slice(samples)),
            AudioInput::Wire(bytes) => framed(bytes),
        };
        drop(encoder);
        Ok(self
            .session
            .act(|conversation, now| conversation.send_audio(text, commit, now))?)
    }

    /// Over a transport that carries sound beside the messages.
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
            // The formats were checked when the connection was made.
            AudioInput::Wire(_) => {}
        }
        Ok(self.session.send_sound(sent, commit)?)
    }
}

/// The message that carries audio, in a pooled text.
fn framed(audio: &[u8]) -> String {
    let mut text = texts::take();
    client_event::append_input_audio(audio, &mut text);
    text
}
