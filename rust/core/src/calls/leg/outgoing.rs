//! What goes to the caller: sound, marks, and commands.

use std::time::Duration;

use thiserror::Error;

use super::Leg;
use super::pausing::Pause;
use crate::audio::AudioFormat;
use crate::audio::convert::Converter;
use crate::audio::passthrough::Passed;
use crate::calls::carrier::LegCommand;
use crate::calls::event::EndedBy;
use crate::conversation::CallerCommand;

/// The length of a frame that this side sends when it is due, where the carrier keeps no buffer.
const FRAME: Duration = Duration::from_millis(20);

/// Frames of silence that follow sound where pauses are not filled: a far side that has too few frames for
/// its jitter buffer would make up sound, or hold the last ones back.
const TRAILING: u32 = 10;

/// A pacer that fell behind by more than this begins anew.
const MAX_BEHIND: Duration = Duration::from_millis(200);

/// The most sound in one message.
const MAX_MESSAGE: usize = 32 * 1024;

/// The least sound between two marks, in milliseconds.
const MIN_PIECE_MS: f64 = 20.0;

/// Frames that may wait for a far side that does not read, where this side paces: 5 s of them.
const MAX_WAITING: usize = 250;

/// Messages that are kept while the line is lost.
const MAX_HELD: usize = 100;

/// Messages that may wait for a far side that does not read.
pub(in crate::calls) const MAX_WAITING_MESSAGES: usize = 2_000;

/// How long a part of a frame waits for the rest.
const REST: Duration = Duration::from_millis(60);

/// How often it is looked whether the far side takes more.
const REFILL: Duration = Duration::from_millis(250);

/// Whole samples that last so long, in bytes.
fn bytes_of(format: AudioFormat, ms: f64) -> usize {
    let samples = (ms.max(0.0) * f64::from(format.sample_rate()) / 1000.0).round();
    // Infinity becomes the largest number.
    (samples as usize).saturating_mul(format.bytes_per_sample())
}

/// Why a message of the application was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnsentMessage {
    #[error("nobody is there who takes messages")]
    NobodyThere,
    #[error(
        "the message has {bytes} bytes with its frame, and the browser of this page takes {most}: send it in \
         parts, or put it where the page can fetch it"
    )]
    TooLong { bytes: usize, most: usize },
}

impl Leg {
    /// Adds sound to the end of what is played. Returns its length in milliseconds.
    pub fn play(&mut self, sound: &[u8], format: AudioFormat, now: Duration) -> f64 {
        if self.is_over() {
            return 0.0;
        }
        if self.started.is_none() {
            return self.keep_early(sound, format, now);
        }
        let before = self.unsent.samples();
        if format == self.format {
            self.add(sound);
        } else {
            self.convert(sound, format);
        }
        let length_ms = self
            .format
            .duration_ms((self.unsent.samples() - before) as u64);
        self.playout.queued(length_ms);
        self.confirm_by = None;
        self.last_voice = self.last_voice.max(now);
        self.pump(now);
        length_ms
    }

    /// Adds sound in the format of the leg, as much as may wait.
    fn add(&mut self, sound: &[u8]) {
        let most = self.bytes_of(self.options.max_unsent.as_secs_f64() * 1000.0);
        let packets = self.bytes_of(self.unsent.ticks() as f64 / 48.0);
        let room = most.saturating_sub(self.unsent.samples() + packets);
        self.unsent.push(&sound[..sound.len().min(room)]);
    }

    /// Whether nothing that lasts so long may wait besides what does.
    pub(super) fn is_full_up(&self, length_ms: f64) -> bool {
        let waiting_ms = self.format.duration_ms(self.unsent.samples() as u64)
            + self.unsent.ticks() as f64 / 48.0;
        waiting_ms + length_ms > self.options.max_unsent.as_secs_f64() * 1000.0
    }

    /// Keeps sound as it is until the format of the stream is known.
    fn keep_early(&mut self, sound: &[u8], format: AudioFormat, now: Duration) -> f64 {
        let most_ms = self.options.max_unsent.as_secs_f64() * 1000.0;
        let room_ms = most_ms - self.playout.left_ms(now);
        let most = bytes_of(format, room_ms);
        let kept = &sound[..sound.len().min(most)];
        let length_ms = format.duration_ms(kept.len() as u64);
        self.early.push((format, kept.to_vec()));
        self.playout.queued(length_ms);
        length_ms
    }

    /// The format of the stream is known: plays what was kept until then.
    pub(super) fn play_early(&mut self, now: Duration) {
        if self.early.is_empty() {
            return;
        }
        // It is counted again, in the format of the stream.
        self.playout.unsent_is(0.0);
        for (format, sound) in std::mem::take(&mut self.early) {
            self.play(&sound, format, now);
        }
    }

    /// A stream has started in this format, perhaps after one in another.
    pub(super) fn set_format(&mut self, format: AudioFormat) {
        let before = std::mem::replace(&mut self.format, format);
        if before == format {
            return;
        }
        self.converter = None;
        if !self.unsent.is_empty() {
            // Packets were decoded before.
            let unsent = self.unsent.take(usize::MAX);
            self.convert(&unsent, before);
            // What follows comes in a format of its own.
            self.converter = None;
            let length_ms = format.duration_ms(self.unsent.samples() as u64);
            self.playout.unsent_is(length_ms);
        }
    }

    fn convert(&mut self, sound: &[u8], format: AudioFormat) {
        if self
            .converter
            .as_ref()
            .is_none_or(|it| it.source() != format)
        {
            // The rates of all formats are ones that the resampler takes.
            self.converter = Converter::new(format, self.format);
        }
        if let Some(mut converter) = self.converter.take() {
            self.add(converter.convert(sound));
            self.converter = Some(converter);
        }
    }

    pub(super) fn bytes_of(&self, ms: f64) -> usize {
        bytes_of(self.format, ms)
    }

    /// Sends what may be sent now.
    pub(super) fn pump(&mut self, now: Duration) {
        if !self.is_standing() {
            return;
        }
        let Some(far_buffer) = self.capabilities.far_buffer else {
            if !self.unsent.is_empty() || self.capabilities.fills_pauses {
                self.frame_due.get_or_insert(now);
            }
            return;
        };
        let most_ms = far_buffer.as_secs_f64() * 1000.0;
        while !self.unsent.is_empty() && !self.is_full {
            let room_ms = most_ms - self.playout.ahead_ms(now);
            // A frame that is longer than the way to the next mark goes as a whole.
            let frame = self.capabilities.whole_frames.unwrap_or_default();
            let least_ms = MIN_PIECE_MS.max(frame.as_secs_f64() * 1000.0);
            if room_ms < least_ms {
                return;
            }
            let until_mark_ms = self.playout.until_mark_ms(now).max(least_ms);
            let most = self.bytes_of(room_ms.min(until_mark_ms)).min(MAX_MESSAGE);
            let length = self.whole(self.unsent.ahead().min(most.max(1)));
            if length == 0 {
                self.rest_due.get_or_insert(now + REST);
                return;
            }
            self.rest_due = None;
            if let Some(id) = self.playout.probe(now) {
                self.write(LegCommand::Mark(id));
            }
            self.send_sound(length, now);
            if let Some(id) = self.playout.mark(now) {
                self.write(LegCommand::Mark(id));
            }
        }
    }

    /// Whole frames, or whole samples, of at most `length` bytes.
    fn whole(&self, length: usize) -> usize {
        let frame = match self.capabilities.whole_frames {
            Some(frame) => self.bytes_of(frame.as_secs_f64() * 1000.0),
            None => self.format.bytes_per_sample(),
        };
        length - length % frame.max(1)
    }

    fn send_sound(&mut self, length: usize, now: Duration) {
        let mut sound = self.unsent.take(length);
        // Most of the time nothing waits.
        self.unsent.shrink(0);
        self.is_passing = false;
        let length_ms = self.format.duration_ms(length as u64);
        self.playout.sent(length_ms, now);
        if self.capabilities.far_buffer.is_none() {
            let frame = self.bytes_of(FRAME.as_secs_f64() * 1000.0);
            sound.resize(frame.max(length), self.format.silence());
        }
        self.write(LegCommand::Sound(&sound));
    }

    /// When it is to be looked whether the far side takes more.
    pub(super) fn refill_due(&self, now: Duration) -> Option<Duration> {
        let waits = !self.unsent.is_empty()
            && !self.is_full
            && self.rest_due.is_none()
            && self.capabilities.far_buffer.is_some();
        waits.then(|| now + REFILL)
    }

    /// A part of a frame is filled up with silence: nothing came that continues it.
    pub(super) fn fill_rest(&mut self, now: Duration) {
        self.rest_due = None;
        self.fill_frame();
        self.pump(now);
    }

    /// Fills the last frame up, where frames are whole.
    pub(super) fn fill_frame(&mut self) {
        if let Some(frame) = self.capabilities.whole_frames {
            let frame = self.bytes_of(frame.as_secs_f64() * 1000.0);
            let missing = self.unsent.fill(frame, self.format.silence());
            self.playout.queued(self.format.duration_ms(missing as u64));
        }
    }

    /// Sends the frames that are due, where this side paces: sound, or silence where there is none and the
    /// far side expects some.
    pub(super) fn send_due_frames(&mut self, now: Duration) {
        let silence = self.capabilities.fills_pauses;
        while let Some(due) = self.frame_due
            && due <= now
        {
            let is_still = self.is_paused() || self.unsent.is_empty();
            if is_still && !silence && self.trailing == 0 {
                self.frame_due = None;
                return;
            }
            let packet = self.unsent.packet().filter(|_| !self.is_paused());
            let length = packet.map_or(FRAME, Passed::duration);
            let behind = now.saturating_sub(due);
            self.frame_due = Some(if behind > MAX_BEHIND {
                now + length
            } else {
                due + length
            });
            if self.waiting.len() >= MAX_WAITING {
                return self.finish(
                    EndedBy::LineLost,
                    "the far side reads nothing any more",
                    now,
                );
            }
            let frame = self.bytes_of(FRAME.as_secs_f64() * 1000.0);
            let length = self.whole(self.unsent.ahead().min(frame));
            if !is_still && let Some(packet) = self.unsent.take_packet() {
                self.rest_due = None;
                self.trailing = TRAILING;
                self.send_packet(&packet, now);
            } else if length > 0 && !self.is_paused() {
                self.rest_due = None;
                self.trailing = TRAILING;
                self.send_sound(length, now);
            } else if silence || is_still {
                self.trailing = self.trailing.saturating_sub(1);
                self.send_silence(frame);
            } else {
                self.rest_due.get_or_insert(now + REST);
                self.frame_due = None;
            }
        }
    }

    /// What the session has for the caller's end.
    pub fn command(&mut self, command: CallerCommand, now: Duration) {
        match command {
            CallerCommand::Play(packet) => self.play_packet(packet, now),
            CallerCommand::Clear => self.clear(now),
            CallerCommand::Pause(paused) => {
                self.pause_for(Pause::Sound, paused, now);
            }
            CallerCommand::Speech(is_open) => {
                self.is_speech_open = is_open;
                self.last_voice = self.last_voice.max(now);
                self.was_idle = false;
                self.intake.speech(is_open, now);
            }
            CallerCommand::Attended(is_attended) => {
                let most = self.options.session_timeout.filter(|_| !is_attended);
                self.unattended_until = most.map(|most| now + most);
                if !is_attended {
                    self.intake.forget_place();
                }
            }
        }
    }

    /// Drops the sound that was not heard.
    pub fn clear(&mut self, now: Duration) {
        let may_play = self.playout.may_play(now);
        let was_paused = self.is_paused();
        let was_silent = self.paused_for[Pause::Silence as usize];
        self.paused_for = [false, false, was_silent];
        self.drop_unheard(now);
        if was_silent {
            self.playout.pause(now);
        }
        self.rest_due = None;
        self.confirm_by = None;
        if let Some(converter) = &mut self.converter {
            converter.reset();
        }
        self.waiting.retain(|waiting| !waiting.is_sound);
        self.last_voice = self.last_voice.max(now);
        if may_play && self.is_standing() && self.capabilities.far_buffer.is_some() {
            // The codec tells a far side that was paused to go on.
            self.write(LegCommand::Clear);
        } else if was_paused && self.is_standing() {
            self.write(LegCommand::Resume);
        }
    }

    /// Counts all that was given as over.
    pub(super) fn drop_unheard(&mut self, now: Duration) {
        self.playout.clear(now);
        self.unsent.clear();
        self.early.clear();
    }

    /// How much of what was given is still to be heard, in milliseconds.
    pub fn left_to_play_ms(&self, now: Duration) -> f64 {
        self.playout.left_ms(now)
    }

    /// Sends a key. False where the carrier cannot.
    pub fn send_dtmf(&mut self, digit: char) -> bool {
        let can = self.capabilities.dtmf && self.is_standing();
        if can {
            self.write(LegCommand::Dtmf(digit));
        }
        can
    }

    /// The far side takes no longer message than this, in bytes.
    pub fn limit_messages(&mut self, most: usize) {
        self.max_message = most;
    }

    /// Sends the application at the far end a message, as JSON. While the line is lost, or silent, the newest
    /// are kept for the next one.
    pub fn send_message(&mut self, json: &str, now: Duration) -> Result<(), UnsentMessage> {
        if self.capabilities.messages && self.is_lost() {
            self.hold(json);
            return Ok(());
        }
        if !self.capabilities.messages || !self.is_standing() {
            return Err(UnsentMessage::NobodyThere);
        }
        let (bytes, most) = (json.len(), self.max_message);
        if bytes > most {
            return Err(UnsentMessage::TooLong { bytes, most });
        }
        if self.waiting.len() >= MAX_WAITING_MESSAGES {
            self.finish(
                EndedBy::LineLost,
                "the far side reads nothing any more",
                now,
            );
            return Err(UnsentMessage::NobodyThere);
        }
        if self.is_silenced() {
            // The line may never deliver it.
            self.hold(json);
        }
        self.write(LegCommand::Message(json));
        Ok(())
    }

    /// Keeps a message for the next line.
    fn hold(&mut self, json: &str) {
        if self.held.len() >= MAX_HELD {
            self.held.pop_front();
        }
        self.held.push_back(json.to_owned());
    }
}
