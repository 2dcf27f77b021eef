//! What comes from the caller, and what time does.

use std::time::Duration;

use super::{CallEnd, Leg, Stage};
use crate::audio::passthrough::Passed;
use crate::calls::carrier::{Carrier, Ignored, LegCommand, LegMessage, Started};
use crate::calls::event::{CallEvent, Digit, EndedBy};
use crate::transport::Frame;

/// What follows from a frame, or from time that has passed.
#[derive(Debug, Default)]
pub struct Effects {
    /// The caller's sound, in the format of the leg: for the model.
    pub sound: Vec<u8>,
    /// The caller's sound in Opus, after that: for the model.
    pub packets: Vec<Passed>,
    pub events: Vec<CallEvent>,
    /// The stream has started, for the first time.
    pub started: bool,
    /// Something was played to its end, as far as is known.
    pub progressed: bool,
    /// Those who waited for the end of playback, and whether all was heard.
    pub played: Vec<(u64, bool)>,
    /// The call is over.
    pub ended: bool,
}

/// What a frame says, as far as it has to be kept beyond the carrier's borrow.
enum Said {
    Started(Box<Started>),
    Unusable(String),
    Dtmf(char, Option<Duration>),
    Mark(u64),
    Unplayed(f64),
    Message(String),
    Full(bool),
    Held(bool),
    Stopped(String),
    Ignored(Ignored),
}

impl Leg {
    /// A frame of the carrier, or a piece of its byte stream, has come.
    pub fn receive(&mut self, frame: Frame<'_>, now: Duration, effects: &mut Effects) {
        if self.is_over() {
            return;
        }
        self.last_frame = now;
        let Self {
            carrier,
            capabilities,
            intake,
            stage,
            sound_rate,
            format,
            ..
        } = self;
        let (mut said, mut packets) = (Vec::new(), Vec::new());
        carrier.read(frame, &mut |message| {
            let is_started = matches!(stage, Stage::Started);
            said.push(match message {
                LegMessage::Media(media) if is_started => {
                    let length_ms = format.duration_ms(media.sound.len() as u64);
                    if sound_rate.take(length_ms, now) {
                        let leapt_ms = intake.packet(media, capabilities.reorders, now);
                        if leapt_ms > 0.0 {
                            sound_rate.charge(leapt_ms);
                        }
                        return;
                    }
                    // It was sent: no silence is put in its place.
                    intake.forget_place();
                    Said::Ignored(Ignored::TooFast)
                }
                LegMessage::Packet(packet, at_ms) if is_started => {
                    let length_ms = packet.ms();
                    if sound_rate.take(length_ms, now) {
                        if intake.pass(at_ms, length_ms, now) {
                            packets.push(packet);
                        }
                        return;
                    }
                    intake.forget_place();
                    Said::Ignored(Ignored::TooFast)
                }
                LegMessage::Media(_) | LegMessage::Packet(..) => {
                    Said::Ignored(Ignored::BeforeStart)
                }
                LegMessage::Started(started) => Said::Started(started),
                LegMessage::Unusable(why) => Said::Unusable(why),
                LegMessage::Dtmf { digit, duration } => Said::Dtmf(digit, duration),
                LegMessage::Mark(id) => Said::Mark(id),
                LegMessage::Unplayed(ms) => Said::Unplayed(ms),
                LegMessage::Message(json) => Said::Message(json.to_owned()),
                LegMessage::Full(full) => Said::Full(full),
                LegMessage::Held(held) => Said::Held(held),
                LegMessage::Stopped(reason) => Said::Stopped(reason),
                LegMessage::Ignored(why) => Said::Ignored(why),
            });
        });
        for said in said {
            self.handle(said, now, effects);
        }
        if !packets.is_empty() {
            effects.sound = self.intake.take();
            effects.packets = packets;
        }
        self.pass_on(now, effects);
    }

    fn handle(&mut self, said: Said, now: Duration, effects: &mut Effects) {
        match said {
            Said::Started(started) => self.start(started, now, effects),
            Said::Unusable(why) => self.finish(EndedBy::Us, &why, now),
            Said::Dtmf(digit, duration) => {
                self.last_voice = now;
                self.was_idle = false;
                let digit = Digit(digit.to_string());
                effects.events.push(CallEvent::Dtmf { digit, duration });
            }
            Said::Mark(id) => effects.progressed |= self.playout.mark_returned(id, now),
            Said::Unplayed(ms) => effects.progressed |= self.playout.unplayed_is(ms, now),
            Said::Message(json) if self.message_rate.take(1.0, now) => {
                self.last_voice = now;
                self.was_idle = false;
                effects.events.push(CallEvent::CallText { json });
            }
            Said::Message(_) => self.handle(Said::Ignored(Ignored::TooFast), now, effects),
            Said::Full(full) => {
                self.is_full = full;
                self.pump(now);
            }
            Said::Held(held) => effects.events.push(CallEvent::CallHeld { held }),
            Said::Stopped(reason) => self.finish(EndedBy::Caller, &reason, now),
            Said::Ignored(why) => self.ignore(&why, 1, effects),
        }
    }

    /// So many frames have no effect, for this reason.
    pub fn ignore(&mut self, why: &Ignored, frames: u64, effects: &mut Effects) {
        let before = self.ignored;
        self.ignored += frames;
        // The first, and then ever more rarely: 1, 2, 4, 8, ...
        if before.leading_zeros() > self.ignored.leading_zeros() {
            let (reason, count) = (why.to_string(), self.ignored);
            effects
                .events
                .push(CallEvent::CallFrameIgnored { reason, count });
        }
    }

    fn start(&mut self, mut started: Box<Started>, now: Duration, effects: &mut Effects) {
        let is_first = self.started.is_none();
        started.add(self.query.drain(..));
        let can = self.carrier.capabilities();
        if !can.packets || started.format != self.format {
            self.decode_unsent();
        }
        self.set_format(started.format);
        self.capabilities = can;
        self.playout.take_marks(can.marks_at_once(), can.messages);
        self.intake.restart(started.format);
        self.started = Some(started);
        if !is_first {
            // A new stream has nothing of what was sent to the one before.
            self.playout.restart();
            effects.progressed = true;
            effects.events.push(CallEvent::CallResumed {});
        }
        self.stage = Stage::Started;
        self.last_voice = now;
        if self.capabilities.messages {
            self.write(LegCommand::Started { resumed: !is_first });
            for json in std::mem::take(&mut self.held) {
                self.write(LegCommand::Message(&json));
            }
        }
        self.pause_new_line(now);
        effects.started |= is_first;
        self.play_early(now);
        self.pump(now);
    }

    /// Another line takes the place of the one that was lost: `carrier` has read its start.
    pub fn resume(
        &mut self,
        carrier: Box<dyn Carrier>,
        started: Box<Started>,
        now: Duration,
        effects: &mut Effects,
    ) {
        self.carrier = carrier;
        self.waiting.clear();
        if self.is_over() {
            return self.turn_away();
        }
        self.is_full = false;
        self.take_packets(None);
        self.limit_messages(usize::MAX);
        self.forget_pauses_of_line();
        self.frame_due = None;
        self.start(started, now, effects);
        self.pass_on(now, effects);
    }

    /// Gives away the codec and what it has read, for the leg of a call that goes on over this line.
    pub fn into_line(self) -> (Box<dyn Carrier>, Option<Box<Started>>) {
        (self.carrier, self.started)
    }

    /// The line is over. A caller who did not hang up may come back.
    pub fn line_ended(
        &mut self,
        reason: &str,
        is_clean: bool,
        now: Duration,
        effects: &mut Effects,
    ) {
        match self.stage {
            Stage::Over(_) | Stage::Lost(_) => {}
            Stage::Started if !is_clean && !self.options.resume_timeout.is_zero() => {
                self.stage = Stage::Lost(now + self.options.resume_timeout);
                self.waiting.clear();
                self.playout.restart();
                self.frame_due = None;
                effects.progressed = true;
                let reason = reason.to_owned();
                effects.events.push(CallEvent::CallInterrupted { reason });
            }
            Stage::Started | Stage::Awaited => {
                let by = if is_clean {
                    EndedBy::Caller
                } else {
                    EndedBy::LineLost
                };
                self.stage = Stage::Over(CallEnd {
                    by,
                    reason: reason.to_owned(),
                });
                self.drop_unheard(now);
            }
        }
        self.pass_on(now, effects);
    }

    /// Handles all that is due by now.
    pub fn handle_timeout(&mut self, now: Duration, effects: &mut Effects) {
        match self.stage {
            Stage::Over(_) => {}
            _ if self
                .options
                .max_call
                .is_some_and(|most| self.begun + most <= now) =>
            {
                self.finish(
                    EndedBy::Limit,
                    "the call has reached its longest time (max_call)",
                    now,
                );
            }
            Stage::Awaited if self.begun + self.options.start_timeout <= now => {
                self.finish(
                    EndedBy::Limit,
                    "the stream did not start in time (start_timeout)",
                    now,
                );
            }
            Stage::Lost(until) if until <= now => {
                self.finish(
                    EndedBy::LineLost,
                    "the line broke, and nobody came back",
                    now,
                );
            }
            Stage::Started => {
                self.intake.handle_timeout(now);
                self.send_due_frames(now);
                if self.rest_due.is_some_and(|due| due <= now) {
                    self.fill_rest(now);
                }
                self.pump(now);
                self.look_for_session(now);
                self.look_for_voices(now, effects);
                effects.progressed = true;
            }
            Stage::Awaited | Stage::Lost(_) => {}
        }
        self.pass_on(now, effects);
    }

    /// Ends a call whose session was lost, once the caller has heard what it still said.
    fn look_for_session(&mut self, now: Duration) {
        if self.unattended_until.is_none_or(|until| until > now) {
            return;
        }
        let left = Duration::from_secs_f64(self.playout.left_ms(now) / 1000.0);
        let silent = self.silence_due(now).unwrap_or(now);
        let left = left.max(silent.saturating_sub(now));
        if left.is_zero() {
            self.finish(
                EndedBy::Limit,
                "its session was lost, and no other took its place (session_timeout)",
                now,
            );
        } else {
            self.unattended_until = Some(now + left);
        }
    }

    /// When both sides will have been silent for too long.
    pub(super) fn idle_due(&self, now: Duration) -> Option<Duration> {
        let idle = self.options.idle_timeout?;
        let times = if self.was_idle { 2 } else { 1 };
        let is_quiet = !self.is_speech_open && self.playout.left_ms(now) <= 0.0;
        is_quiet.then_some(self.last_voice + idle * times)
    }

    fn look_for_voices(&mut self, now: Duration, effects: &mut Effects) {
        if self.is_speech_open || self.playout.left_ms(now) > 0.0 {
            self.last_voice = now;
            self.was_idle = false;
            return;
        }
        if self.idle_due(now).is_none_or(|due| due > now) {
            return;
        }
        if std::mem::replace(&mut self.was_idle, true) {
            self.finish(
                EndedBy::Limit,
                "both sides were silent for too long (idle_timeout)",
                now,
            );
        } else {
            let silence = now.saturating_sub(self.last_voice);
            effects.events.push(CallEvent::CallIdle { silence });
        }
    }

    /// Passes on what follows from a command.
    pub fn settle(&mut self, now: Duration, effects: &mut Effects) {
        self.pass_on(now, effects);
    }

    /// Passes on what has come together.
    fn pass_on(&mut self, now: Duration, effects: &mut Effects) {
        if self.intake.is_ready(now) || (self.is_over() && self.intake.has_sound()) {
            effects.sound = self.intake.take();
        }
        // Before the end, which drops what was not heard.
        let is_played = !self.played_waiters.is_empty() && !self.is_over() && self.is_played(now);
        if self.is_hang_up_due(now) {
            self.finish(
                EndedBy::Us,
                "hung up by this side, after all was heard",
                now,
            );
        }
        let is_over = self.is_over();
        if is_over || is_played {
            let waiters = self.played_waiters.drain(..);
            effects
                .played
                .extend(waiters.map(|token| (token, is_played)));
        }
        if self.awaits_end() && self.confirm_by.is_none() {
            // All of it may have been sent only now.
            self.await_confirmation(now);
        }
        effects.ended |= is_over;
    }
}
