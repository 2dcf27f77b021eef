//! The caller's sound on its way to the session.

use std::sync::atomic::Ordering;

use super::{Call, Leg, lock};
use crate::audio::AudioFormat;
use crate::conversation::Status;
use crate::session::{AudioInput, Microphone};

impl Call {
    /// Sends the caller's sound to the model, in the order in which it came. While no session takes it,
    /// it is kept.
    pub(super) fn send_input(&self, sound: Vec<u8>) {
        let format = self.look(Leg::format);
        let microphone = self
            .coupling
            .get()
            .and_then(|it| it.microphone.upgrade())
            .filter(|it| it.session().status() != Status::Disconnected);
        let mut early = lock(&self.early);
        let Some(microphone) = microphone else {
            early.extend_from_slice(&sound);
            let bytes_per_second = format.sample_rate() as usize * format.bytes_per_sample();
            let most = (self.max_early.as_secs_f64() * bytes_per_second as f64) as usize;
            // Whole samples.
            let excess = early.len().saturating_sub(most);
            let excess = excess.next_multiple_of(format.bytes_per_sample());
            let excess = excess.min(early.len());
            early.drain(..excess);
            self.has_early.store(!early.is_empty(), Ordering::Release);
            return;
        };
        let mut waited = std::mem::take(&mut *early);
        drop(early);
        self.has_early.store(false, Ordering::Release);
        if waited.is_empty() {
            waited = sound;
        } else {
            waited.extend_from_slice(&sound);
        }
        if !waited.is_empty() {
            send(&microphone, &waited, format);
        }
    }
}

fn send(microphone: &Microphone, sound: &[u8], format: AudioFormat) {
    let wire = microphone.format();
    // What a session refuses that is closing is nobody's loss.
    let _ = if wire == format {
        microphone.send(AudioInput::Wire(sound), false)
    } else {
        let mut samples = Vec::new();
        format.decode(sound, &mut samples);
        microphone.send(
            AudioInput::Samples(&samples, Some(format.sample_rate())),
            false,
        )
    };
}
