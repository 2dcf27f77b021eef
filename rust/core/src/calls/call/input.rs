//! The caller's sound on its way to the session.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Call, Leg, lock};
use crate::audio::AudioFormat;
#[cfg(feature = "webrtc")]
use crate::audio::passthrough::PacketLimits;
use crate::audio::passthrough::Passed;
use crate::conversation::Status;
use crate::session::{AudioInput, Microphone};

impl Call {
    /// Sends the caller's sound to the model, in the order in which it came. While no session takes it,
    /// it is kept.
    pub(super) fn send_input(&self, sound: Vec<u8>) {
        let format = self.look(Leg::format);
        let microphone = self.microphone();
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
        let late_ms = format.duration_ms(waited.len() as u64);
        if waited.is_empty() {
            waited = sound;
        } else {
            waited.extend_from_slice(&sound);
        }
        if !waited.is_empty() {
            send(&microphone, &waited, format);
        }
        if late_ms > 0.0 {
            let late = Duration::from_secs_f64(late_ms / 1000.0);
            microphone.session().sound_came_late(late);
        }
    }

    /// The microphone of the session, where it takes sound.
    fn microphone(&self) -> Option<Arc<Microphone>> {
        let microphone = self.coupling.get()?.microphone.upgrade()?;
        let status = microphone.session().status();
        (status != Status::Disconnected).then_some(microphone)
    }

    /// Which packets of the caller's go to the model as they are; `None`: they are decoded. Nobody here
    /// listens to the caller's sound.
    #[cfg(feature = "webrtc")]
    pub(in crate::calls) fn input_limits(&self) -> Option<PacketLimits> {
        if self.has_early.load(Ordering::Acquire) {
            // It comes first.
            return None;
        }
        self.microphone()?.session().packet_limits()
    }

    /// Sends the caller's packets to the model as they are.
    pub(super) fn send_packets(&self, packets: &[Passed]) {
        if packets.is_empty() {
            return;
        }
        let Some(microphone) = self.microphone() else {
            return;
        };
        for packet in packets {
            // What a session refuses that is closing is nobody's loss.
            let _ = microphone.send(AudioInput::Opus(packet), false);
        }
    }

    /// The line takes packets of the model's within these limits; `None`: sound alone.
    #[cfg(feature = "webrtc")]
    pub(in crate::calls) fn take_packets(&self, limits: Option<PacketLimits>) {
        self.leg().take_packets(limits);
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
