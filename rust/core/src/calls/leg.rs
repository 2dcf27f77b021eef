//! The caller's end of a call as a state machine: bytes of the carrier in and out, sound to and from the
//! session, time as an argument.

mod ending;
mod incoming;
mod options;
mod outgoing;
mod packets;
mod pausing;
mod rates;

use std::collections::VecDeque;
use std::time::Duration;

pub use incoming::Effects;
pub use options::LegOptions;
#[cfg(feature = "webrtc")]
pub(super) use outgoing::MAX_WAITING_MESSAGES;
pub use outgoing::UnsentMessage;

use super::carrier::{Capabilities, Carrier, LegCommand, Started};
use super::event::EndedBy;
use super::intake::{Intake, IntakeStats};
use super::playout::{PlayoutTracker, ms};
use crate::audio::AudioFormat;
use crate::audio::convert::Converter;
use crate::audio::mixed_queue::MixedQueue;
use crate::audio::passthrough::PacketLimits;
use crate::transport::Outgoing;
use rates::Rate;

/// Milliseconds of sound that the far end may send in a second, for as long as it likes: a little more than
/// real time, for its clock is another one.
const SOUND_PER_SECOND: f64 = 1_100.0;

/// Messages that an application at the far end may send at once, and in a second.
const MESSAGE_BURST: f64 = 50.0;
const MESSAGES_PER_SECOND: f64 = 10.0;

/// A message that waits to be sent.
#[derive(Debug)]
struct Waiting {
    message: Outgoing,
    /// It is sound, or a mark of it, which a clear drops.
    is_sound: bool,
}

/// How the call ends, once it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallEnd {
    pub by: EndedBy,
    pub reason: String,
}

/// What a leg is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// The stream has not started.
    Awaited,
    Started,
    /// The line is lost. Until this time another one may take its place.
    Lost(Duration),
    Over(CallEnd),
}

/// The caller's end of one call.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are independent of each other"
)]
pub struct Leg {
    carrier: Box<dyn Carrier>,
    capabilities: Capabilities,
    options: LegOptions,
    stage: Stage,
    started: Option<Box<Started>>,
    /// What the URL of the stream brought: parameters of the call, where its start has none of the name.
    query: Vec<(String, String)>,
    format: AudioFormat,
    /// Sound that was given before the stream has started, and with it its format.
    early: Vec<(AudioFormat, Vec<u8>)>,
    intake: Intake,
    playout: PlayoutTracker,
    /// Sound that was not sent: bytes in the format of the leg, and packets.
    unsent: MixedQueue<u8>,
    /// Which packets the line takes.
    packet_limits: Option<PacketLimits>,
    /// The last that was sent was a packet.
    is_passing: bool,
    /// Converts sound that comes in another format than that of the leg.
    converter: Option<Converter>,
    waiting: VecDeque<Waiting>,
    /// Why the far side is paused: for the application, for a sound of the caller's, for a silent line.
    paused_for: [bool; 3],
    /// Messages of the application that wait for the next line.
    held: VecDeque<String>,
    /// The longest message that the line takes, in bytes.
    max_message: usize,
    /// The close code of the line, when the call ends.
    close_code: u16,
    /// The far side takes no more for now.
    is_full: bool,
    /// When the next frame is due, where this side paces.
    frame_due: Option<Duration>,
    /// Frames of silence that are to follow.
    trailing: u32,
    /// A part of a frame waits for the rest until then.
    rest_due: Option<Duration>,
    /// Hang up as soon as all was heard, at this time at the latest.
    hang_up_by: Option<Duration>,
    /// The session is lost: the call ends then, unless another connection takes its place.
    unattended_until: Option<Duration>,
    begun: Duration,
    /// When the far end last sent anything.
    last_frame: Duration,
    /// How much sound, in milliseconds, and how many messages the far end may send.
    sound_rate: Rate,
    message_rate: Rate,
    /// When the caller or the agent was last heard.
    last_voice: Duration,
    is_speech_open: bool,
    was_idle: bool,
    /// Those who wait until all that was played has been heard.
    played_waiters: Vec<u64>,
    /// Until then the end of playback may be unconfirmed.
    confirm_by: Option<Duration>,
    ignored: u64,
    /// What [`Carrier::write`] fills, to be used again.
    out: Vec<Outgoing>,
}

impl Leg {
    pub fn new(carrier: Box<dyn Carrier>, options: LegOptions, now: Duration) -> Self {
        let capabilities = carrier.capabilities();
        Self {
            carrier,
            capabilities,
            stage: Stage::Awaited,
            started: None,
            query: Vec::new(),
            format: AudioFormat::Mulaw,
            early: Vec::new(),
            intake: Intake::new(options.intake, AudioFormat::Mulaw),
            playout: PlayoutTracker::new(capabilities.marks_at_once()),
            sound_rate: Rate::new(ms(options.max_ahead), SOUND_PER_SECOND, now),
            message_rate: Rate::new(MESSAGE_BURST, MESSAGES_PER_SECOND, now),
            options,
            unsent: MixedQueue::default(),
            packet_limits: None,
            is_passing: false,
            converter: None,
            waiting: VecDeque::new(),
            paused_for: [false; 3],
            held: VecDeque::new(),
            max_message: usize::MAX,
            close_code: 1000,
            is_full: false,
            frame_due: None,
            trailing: 0,
            rest_due: None,
            hang_up_by: None,
            unattended_until: None,
            begun: now,
            last_frame: now,
            last_voice: now,
            is_speech_open: false,
            was_idle: false,
            played_waiters: Vec::new(),
            confirm_by: None,
            ignored: 0,
            out: Vec::new(),
        }
    }

    /// A leg that is over from the beginning.
    pub(super) fn over(now: Duration) -> Self {
        let mut leg = Self::new(
            Box::new(super::carriers::Nobody),
            LegOptions::default(),
            now,
        );
        leg.stage = Stage::Over(CallEnd {
            by: EndedBy::LineLost,
            reason: "the call goes on over another line".to_owned(),
        });
        leg.waiting.push_back(Waiting {
            message: Outgoing::Close {
                code: 1000,
                reason: "the call goes on over another line".to_owned(),
            },
            is_sound: false,
        });
        leg
    }

    /// The URL of the stream brought these parameters.
    pub fn set_query(&mut self, query: Vec<(String, String)>) {
        self.query = query;
    }

    pub fn begun(&self) -> Duration {
        self.begun
    }

    /// Whether the line is lost, and another one may take its place.
    pub fn is_lost(&self) -> bool {
        matches!(self.stage, Stage::Lost(_))
    }

    /// Whether nothing has come for so long: its line may be over without anybody knowing.
    pub fn is_silent(&self, length: Duration, now: Duration) -> bool {
        self.is_standing() && self.last_frame + length <= now
    }

    pub fn carrier_name(&self) -> &'static str {
        self.carrier.name()
    }

    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Who called; `None` before the stream has started.
    pub fn started(&self) -> Option<&Started> {
        self.started.as_deref()
    }

    pub fn is_standing(&self) -> bool {
        matches!(self.stage, Stage::Started)
    }

    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    /// How the call ended, if it has.
    pub fn end(&self) -> Option<&CallEnd> {
        match &self.stage {
            Stage::Over(end) => Some(end),
            _ => None,
        }
    }

    /// The format of the sound in both directions; before the stream has started, a guess.
    pub fn format(&self) -> AudioFormat {
        self.format
    }

    pub fn intake_stats(&self) -> IntakeStats {
        self.intake.stats()
    }

    /// How much sound the far end may send faster than in real time.
    pub fn max_ahead(&self) -> Duration {
        self.options.max_ahead
    }

    /// How many frames had no effect.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    pub fn poll_timeout(&self, now: Duration) -> Option<Duration> {
        let stage = match &self.stage {
            Stage::Awaited => Some(self.begun + self.options.start_timeout),
            Stage::Lost(until) => Some(*until),
            Stage::Over(_) => return None,
            Stage::Started => None,
        };
        let running = matches!(self.stage, Stage::Started);
        let of_running = [
            self.intake.poll_timeout(),
            self.frame_due,
            self.rest_due,
            self.hang_up_by,
            self.unattended_until,
            self.confirm_by.filter(|by| *by > now),
            self.playout.end_of_sent(now),
            self.silence_due(now).filter(|_| self.awaits_end()),
            self.refill_due(now),
            self.idle_due(now),
        ];
        let of_running = of_running.into_iter().flatten().filter(|_| running);
        let most = self.options.max_call.map(|most| self.begun + most);
        of_running.chain(stage).chain(most).min()
    }

    fn write(&mut self, command: LegCommand<'_>) {
        let is_sound = matches!(
            command,
            LegCommand::Sound(_) | LegCommand::Packet(_) | LegCommand::Mark(_)
        );
        self.carrier.write(command, &mut self.out);
        let messages = self
            .out
            .drain(..)
            .map(|message| Waiting { message, is_sound });
        self.waiting.extend(messages);
    }

    /// Whether messages wait to be sent.
    pub fn has_outgoing(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Moves messages into `batch`, up to about `max_bytes`.
    pub fn take_outgoing(&mut self, batch: &mut Vec<Outgoing>, max_bytes: usize) {
        let mut bytes = 0;
        while bytes < max_bytes
            && let Some(next) = self.waiting.pop_front()
        {
            bytes += match &next.message {
                Outgoing::Text(text) => text.len(),
                Outgoing::Binary(bytes) => bytes.len(),
                Outgoing::Close { .. } => 0,
            };
            batch.push(next.message);
        }
    }
}

#[cfg(test)]
mod tests;
