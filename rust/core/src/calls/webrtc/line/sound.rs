//! The sound of a page's line: the page's is put in order and decoded, the call's is encoded and sent.

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::Duration;

use super::Driver;
use super::timeline::Timeline;
use crate::audio::opus::OpusError;
use crate::audio::rtp::following::Following;
use crate::audio::rtp::jitter::RtpPacket;
use crate::audio::rtp::rate::Report;
use crate::audio::rtp::receiver::{OpusReceiver, ReceiverError};
use crate::audio::rtp::sender::{OpusSender, SenderError, SenderOptions};
use crate::calls::carrier::Ignored;
use crate::calls::carriers::webrtc::{RATE, Sound, timed_sound};
use crate::calls::webrtc::WebRtcCallOptions;
use crate::transport::timer_grid::GRID;
use crate::transport::webrtc::{Opus, Peer, Received};
use crate::transport::{CloseReason, Endpoint as _, Frame, SoundStats};

/// How far anything can be from its nearest point of the grid.
pub(super) const HALF_GRID: Duration = Duration::from_micros(GRID.as_micros() as u64 / 2);

/// Ticks of the RTP clock in a sample at [`RATE`].
const TICKS_PER_SAMPLE: u32 = 48_000 / RATE;

/// Why the codecs of a line cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    #[error(transparent)]
    Receiver(#[from] ReceiverError),
    #[error(transparent)]
    Sender(#[from] SenderError),
}

/// The codecs and buffers of a line, one for each direction.
pub(in crate::calls::webrtc) struct Pipelines {
    pub(super) receiver: OpusReceiver,
    pub(super) sender: OpusSender,
    following: Following,
    timeline: Timeline,
    /// How many packets of the page's were dropped for too much sound, as far as the call was told.
    too_fast: u64,
    samples: Vec<i16>,
    /// What the call is given.
    sound: Vec<u8>,
}

impl Pipelines {
    pub fn new(options: &WebRtcCallOptions) -> Result<Self, PipelineError> {
        let sender = SenderOptions {
            encoder: options.encoder,
            ..SenderOptions::default()
        };
        Ok(Self {
            receiver: OpusReceiver::new(RATE, options.jitter)?,
            sender: OpusSender::new(RATE, sender)?,
            following: Following::new(options.encoder, options.min_bitrate),
            timeline: Timeline::default(),
            too_fast: 0,
            samples: Vec::new(),
            sound: Vec::new(),
        })
    }

    /// Encodes for a page that takes so many bits per second at most.
    pub fn limit(&mut self, max_bitrate: u32) -> Result<(), OpusError> {
        self.sender.adapt(self.following.limit(max_bitrate))
    }
}

impl<P: Peer> Driver<'_, P> {
    /// A packet of the page's has come.
    pub(super) fn insert(&mut self, packet: Received) {
        let now = self.now();
        self.pipelines.receiver.insert(
            RtpPacket {
                ssrc: packet.ssrc,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                payload: packet.payload,
            },
            now,
        );
        self.play_at = self.next_play();
    }

    /// Passes the page's sound that is due on to the call.
    pub(super) fn play(&mut self, now: Duration) -> Result<(), ReceiverError> {
        loop {
            let limits = self.line.call().input_limits();
            let pipelines = &mut self.pipelines;
            pipelines.samples.clear();
            let due = pipelines
                .receiver
                .poll_passing(now, limits, &mut pipelines.samples)?;
            let Some((frame, passed)) = due else {
                break;
            };
            let ticks = frame.samples as u32 * TICKS_PER_SAMPLE;
            let restarts = pipelines.receiver.restarts();
            let at_ms = pipelines.timeline.place(frame.timestamp, ticks, restarts);
            let sound = match passed {
                Some(packet) => Sound::Opus(packet),
                None => Sound::Samples(bytemuck::cast_slice(&pipelines.samples)),
            };
            timed_sound(at_ms, &sound, &mut pipelines.sound);
            self.line.on_frame(Frame::Binary(&self.pipelines.sound));
        }
        self.tell_dropped();
        self.play_at = self.next_play();
        Ok(())
    }

    /// Tells the call of sound that was dropped before it was decoded, as of what it drops itself.
    fn tell_dropped(&mut self) {
        let too_fast = self.pipelines.receiver.too_fast();
        let dropped = too_fast - self.pipelines.too_fast;
        if dropped > 0 {
            self.pipelines.too_fast = too_fast;
            let call = self.line.call();
            call.frames_ignored(&Ignored::TooFast, dropped);
        }
    }

    /// Sound of the call's for the page.
    pub(super) fn queue(&mut self, sound: &[u8]) {
        let now = self.now();
        let pipelines = &mut self.pipelines;
        match Sound::read(sound) {
            Some(Sound::Samples(sound)) => {
                pipelines.samples.clear();
                let samples = sound.as_chunks::<2>().0.iter();
                pipelines
                    .samples
                    .extend(samples.map(|it| i16::from_le_bytes(*it)));
                pipelines.sender.push(&pipelines.samples, now);
            }
            Some(Sound::Opus(packet)) => {
                pipelines.sender.pass(packet, now);
            }
            // The codec writes nothing else.
            None => {}
        }
    }

    pub(super) fn send_packets(&mut self) -> ControlFlow<CloseReason> {
        loop {
            match self.pipelines.sender.poll(self.now()) {
                Ok(Some(packet)) => {
                    let packet = Opus {
                        timestamp: packet.timestamp,
                        marker: packet.marker,
                        payload: packet.payload,
                    };
                    if self.peer.send_opus(packet).is_err() {
                        // `receive` reports how the line ended.
                        return Continue(());
                    }
                }
                Ok(None) => return Continue(()),
                Err(error) => {
                    return Break(CloseReason::Lost {
                        cause: error.to_string(),
                    });
                }
            }
        }
    }

    /// What the page reports of the sound that it is sent.
    pub(super) fn follow(&mut self, report: Report) -> ControlFlow<CloseReason> {
        let settings = self.pipelines.following.report(report, self.now());
        if let Err(error) = self.pipelines.sender.adapt(settings) {
            let cause = error.to_string();
            return Break(CloseReason::Lost { cause });
        }
        self.offer_to_pass();
        Continue(())
    }

    /// Says which packets of the model's are sent to the page as they are, and how long a message it takes.
    pub(super) fn offer_to_pass(&self) {
        let limits = self.pipelines.following.passes(self.peer.packet_limits());
        let call = self.line.call();
        call.take_packets(limits);
        call.limit_messages(self.peer.max_message());
    }

    pub(super) fn report_stats(&mut self) {
        let bitrate = self.pipelines.sender.bitrate();
        let reported = self.pipelines.following.last();
        let (sent, received) = (self.peer.stats(), self.pipelines.receiver.stats());
        let passed = self.pipelines.sender.stats().passed;
        let stats = SoundStats::of(sent.packets_sent, passed, received, bitrate, reported);
        self.line.call().report_sound(stats);
    }

    /// The point of the grid that is nearest to when sound is due.
    fn next_play(&self) -> Option<Duration> {
        let due = self.pipelines.receiver.next_deadline()?;
        let nearest = self.started + due.saturating_sub(HALF_GRID);
        Some(self.grid.at_or_after(nearest) - self.started)
    }
}
