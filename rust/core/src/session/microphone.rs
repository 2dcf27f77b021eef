//! The user's sound: converted to the format of the wire, framed, and sent.

use std::borrow::Cow;
use std::fmt;
use std::ops::DerefMut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::audio::buffers;
use crate::audio::convert::ToWire;
use crate::audio::format::AudioFormat;
use crate::audio::passthrough::Passed;
use crate::audio::resample::ResampleError;
use crate::conversation::{ClientEvent, Conversation, Media, Rejected};

use super::Session;
use super::text_pool;

/// Sound of the user's.
#[derive(Debug, Clone, Copy)]
pub enum AudioInput<'a> {
    /// PCM, mono, at a rate of its own, or at the wire's where none is named.
    Samples(&'a [i16], Option<u32>),
    /// In the format of the wire.
    Wire(&'a [u8]),
    /// Opus, sent as it is. For a session that [takes it](Session::packet_limits) alone.
    Opus(&'a Passed),
}

impl<'a> AudioInput<'a> {
    /// Its bytes, where they are in the format of the wire.
    fn wire(self) -> Option<&'a [u8]> {
        match self {
            Self::Samples(samples, None) => Some(bytemuck::cast_slice(samples)),
            Self::Samples(_, Some(_)) | Self::Opus(_) => None,
            Self::Wire(bytes) => Some(bytes),
        }
    }
}

/// Why sound was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendAudioError {
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error("sample_rate: {0}")]
    Rate(#[from] ResampleError),
    #[error("the session's connection takes no packets of Opus: decode them")]
    Packet,
}

/// A session's microphone. All sound that it is given with [`send`](Microphone::send) is one stream,
/// from whatever thread it comes.
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
        self.send_through(self.encoder(), input, commit, commit)
    }

    /// Sends sound of a source that has a `converter` of its own, so that sources at different rates do
    /// not disturb each other. `is_last`: the source has no more.
    pub fn send_through(
        &self,
        converter: impl DerefMut<Target = ToWire>,
        input: AudioInput<'_>,
        is_last: bool,
        commit: bool,
    ) -> Result<(), SendAudioError> {
        let how = |conversation: &Conversation| {
            let media = conversation.capabilities().media;
            (media, conversation.has_binary_audio())
        };
        let (media, in_frames) = self.session.look(how);
        if media == Media::Track {
            let samples = samples_of(converter, input, is_last)?;
            match input {
                AudioInput::Opus(packet) => {
                    let packet = packet.clone();
                    self.session.send_packet(samples, packet, commit)?;
                }
                _ => self.session.send_sound(samples, commit)?,
            }
            return Ok(());
        }
        if matches!(input, AudioInput::Opus(_)) {
            return Err(SendAudioError::Packet);
        }
        let (append, wire) = append_of(converter, input, is_last, in_frames)?;
        let sent = self
            .session
            .act(|conversation, now| conversation.send_audio(append, &wire, commit, now));
        if let Cow::Owned(converted) = wire {
            buffers::release(converted);
        }
        Ok(sent?)
    }
}

/// The message for the sound, and the same as bytes; or nothing: the resampler may hold back all of a
/// short chunk, and a message without sound is an error to the server. `in_frame`: the message is a binary
/// frame.
fn append_of(
    mut converter: impl DerefMut<Target = ToWire>,
    input: AudioInput<'_>,
    is_last: bool,
    in_frame: bool,
) -> Result<(Option<ClientEvent>, Cow<'_, [u8]>), ResampleError> {
    let format = converter.format();
    // Most sound is in the format of the wire already, and is not copied.
    if let Some(bytes) = input.wire().filter(|_| !converter.is_resampling()) {
        return Ok((audio_append(bytes, in_frame), Cow::Borrowed(bytes)));
    }
    let mut wire = buffers::acquire();
    match input {
        AudioInput::Samples(samples, rate) => {
            let rate = rate.unwrap_or(format.sample_rate());
            converter.push(samples, rate, &mut wire)?;
        }
        AudioInput::Wire(bytes) => {
            converter.finish(&mut wire);
            wire.extend_from_slice(bytes);
        }
        AudioInput::Opus(_) => {}
    }
    if is_last {
        converter.finish(&mut wire);
    }
    Ok((audio_append(&wire, in_frame), Cow::Owned(wire)))
}

/// The samples for a media track. Those that a resampler holds come before what is not resampled.
fn samples_of(
    mut converter: impl DerefMut<Target = ToWire>,
    input: AudioInput<'_>,
    is_last: bool,
) -> Result<Vec<i16>, ResampleError> {
    let mut sent = Vec::new();
    match input {
        AudioInput::Samples(samples, rate) => {
            let rate = rate.unwrap_or(converter.format().sample_rate());
            converter.push_samples(samples, rate, &mut sent)?;
        }
        // A media track takes PCM alone, which was checked before the connection was made.
        AudioInput::Wire(bytes) => {
            converter.finish_samples(&mut sent);
            converter.format().decode(bytes, &mut sent);
        }
        AudioInput::Opus(_) => converter.finish_samples(&mut sent),
    }
    if is_last {
        converter.finish_samples(&mut sent);
    }
    Ok(sent)
}

fn audio_append(bytes: &[u8], in_frame: bool) -> Option<ClientEvent> {
    (!bytes.is_empty()).then(|| {
        if in_frame {
            ClientEvent::audio_frame(bytes)
        } else {
            ClientEvent::audio_append(bytes, text_pool::acquire())
        }
    })
}
