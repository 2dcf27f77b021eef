//! Sound that is sent at once, or kept to be sent in time.

use std::borrow::Cow;

use super::{AudioInput, Recording};

/// Sound of the user's, borrowed where it can be.
#[derive(Debug)]
pub enum Sound<'a> {
    /// PCM, mono, at a rate of its own, or at the wire's where none is named.
    Samples(Cow<'a, [i16]>, Option<u32>),
    /// In the format of the wire.
    Wire(Cow<'a, [u8]>),
}

impl Sound<'_> {
    pub fn input(&self) -> AudioInput<'_> {
        match self {
            Self::Samples(samples, rate) => AudioInput::Samples(samples, *rate),
            Self::Wire(bytes) => AudioInput::Wire(bytes),
        }
    }

    pub fn into_recording(self) -> Recording {
        match self {
            Self::Samples(samples, rate) => Recording::Samples(samples.into(), rate),
            Self::Wire(bytes) => Recording::Wire(bytes.into()),
        }
    }
}
