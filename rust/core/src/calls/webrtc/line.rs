//! The driver of a page's line: one task that moves sound and messages between a peer and a call.
//!
//! The page's sound is decoded at the points of the process's timer grid, so that what is due in many calls
//! is done at one wake-up. The call paces the sound for the page: each frame is encoded and sent as it comes.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::mem;
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info};

use super::{WebRtcCallOptions, WebRtcLine};
use crate::audio::rtp::following::Following;
use crate::audio::rtp::jitter::RtpPacket;
use crate::audio::rtp::receiver::{OpusReceiver, ReceiverError};
use crate::audio::rtp::sender::{OpusSender, SenderError, SenderOptions};
use crate::calls::carriers::webrtc::{RATE, Sound, refusal_of, start_of, timed_sound};
use crate::calls::line::CallLine;
use crate::transport::timer_grid::{GRID, TimerGrid};
use crate::transport::webrtc::{Opus, Peer, PeerError, PeerEvent, PeerState, Received};
use crate::transport::{CloseReason, EndGuard, Endpoint as _, Frame, Outgoing, SoundStats};

/// The interval between two reports of [`SoundStats`].
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// The longest time that the timer is set ahead.
const FAR: Duration = Duration::from_secs(3600);

/// How far anything can be from its nearest point of the grid.
const HALF_GRID: Duration = Duration::from_micros(GRID.as_micros() as u64 / 2);

/// How long a connected page has to open the data channel that it has offered, before the call starts without
/// its word. Of SCTP's handshake two packets in a row may be lost, each of which costs a second or more.
const CHANNEL_PATIENCE: Duration = Duration::from_secs(5);

/// How long the end of the line may follow that of its data channel: without it the channel was lost.
const CHANNEL_GRACE: Duration = Duration::from_millis(250);

/// The bytes of messages that are taken from the call at once.
const BATCH: usize = 64 << 10;

/// Ticks of the RTP clock in a millisecond.
const TICKS_PER_MS: u64 = 48;

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
pub(super) struct Pipelines {
    receiver: OpusReceiver,
    sender: OpusSender,
    following: Following,
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
        })
    }
}

/// Drives a line until it ends, and tells its call so.
pub(super) async fn drive(line: WebRtcLine, endpoint: Arc<CallLine>, id: String) {
    let WebRtcLine {
        peer,
        options,
        pipelines,
        has_messages,
        pending,
    } = line;
    let end = EndGuard::new(endpoint);
    let mut driver = Driver {
        peer: &peer,
        line: end.endpoint(),
        options: &options,
        id,
        started: Instant::now(),
        grid: TimerGrid::shared(),
        pipelines,
        channel: if has_messages {
            Channel::Awaited
        } else {
            Channel::None
        },
        pending,
        texts: VecDeque::new(),
        play_at: None,
        start_at: None,
        lost_at: None,
        channel_lost_at: None,
        close_by: None,
        stats_at: STATS_INTERVAL,
        newest: None,
        samples: Vec::new(),
        sound: Vec::new(),
    };
    let ended = driver.run().await;
    driver.report_stats();
    let patience = match ended {
        CloseReason::ClosedByUs => options.close_timeout,
        _ => Duration::ZERO,
    };
    peer.close(patience).await;
    end.report(ended);
}

/// The page's data channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channel {
    /// The page has none.
    None,
    Awaited,
    Open,
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), PeerError>> + Send + 'a>>;

struct Driver<'a, P> {
    peer: &'a P,
    line: &'a Arc<CallLine>,
    options: &'a WebRtcCallOptions,
    id: String,
    started: Instant,
    grid: TimerGrid,
    pipelines: Pipelines,
    channel: Channel,
    /// Held until the call has started.
    pending: Option<OwnedSemaphorePermit>,
    /// Messages that wait for the channel.
    texts: VecDeque<String>,
    /// When the page's sound is due next.
    play_at: Option<Duration>,
    /// When the call starts without a word of the page.
    start_at: Option<Duration>,
    /// When the line counts as lost, unless it recovers before.
    lost_at: Option<Duration>,
    channel_lost_at: Option<Duration>,
    /// The call is over: the line is closed when its messages are sent, and at this time at the latest.
    close_by: Option<Duration>,
    stats_at: Duration,
    /// The last timestamp of the page's sound, and its place on a clock that does not wrap.
    newest: Option<(u32, u64)>,
    samples: Vec<i16>,
    sound: Vec<u8>,
}

impl<P: Peer> Driver<'_, P> {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    async fn run(&mut self) -> CloseReason {
        let (peer, line) = (self.peer, self.line);
        let mut sending: Option<Sending<'_>> = None;
        let mut timer = pin!(sleep_until(self.started));
        loop {
            if let Break(ended) = self.handle_timers() {
                return ended;
            }
            if sending.is_none() && self.has_texts() {
                sending = Some(send(peer, mem::take(&mut self.texts)));
            }
            if self.close_by.is_some() && sending.is_none() && !self.has_texts() {
                return CloseReason::ClosedByUs;
            }
            let next = self.started + self.next_deadline();
            if timer.deadline() != next {
                timer.as_mut().reset(next);
            }
            let flow = tokio::select! {
                event = peer.receive() => self.receive(event),
                sent = async {
                    match &mut sending {
                        Some(sending) => sending.await,
                        None => pending().await,
                    }
                } => {
                    sending = None;
                    self.sent(sent)
                }
                () = line.outgoing_ready().notified() => self.take_outgoing(),
                () = timer.as_mut() => Continue(()),
            };
            if let Break(ended) = flow {
                return ended;
            }
        }
    }

    /// Whether messages wait that can be sent.
    fn has_texts(&self) -> bool {
        self.channel == Channel::Open && !self.texts.is_empty()
    }

    fn sent(&mut self, sent: Result<(), PeerError>) -> ControlFlow<CloseReason> {
        match sent {
            Ok(()) => Continue(()),
            Err(PeerError::Closed) => self.channel_closed(),
            Err(error) => Break(CloseReason::Lost {
                cause: error.to_string(),
            }),
        }
    }

    fn receive(&mut self, event: PeerEvent) -> ControlFlow<CloseReason> {
        match event {
            PeerEvent::Opus(packet) => self.insert(packet),
            PeerEvent::Text(text) => {
                self.hear(&text);
                return self.take_outgoing();
            }
            // Pages send sound over RTP alone.
            PeerEvent::Binary(_) => debug!("a page has sent a binary message"),
            PeerEvent::Opened => {
                self.channel = Channel::Open;
                self.start_at = None;
            }
            PeerEvent::ChannelClosed => return self.channel_closed(),
            PeerEvent::Changed(PeerState::Connected) => {
                if self.lost_at.take().is_some() {
                    self.line.call().line_is_silent(None);
                } else if self.channel != Channel::Open {
                    let patience = match self.channel {
                        Channel::None => Duration::ZERO,
                        _ => CHANNEL_PATIENCE,
                    };
                    self.start_at = Some(self.now() + patience);
                }
            }
            PeerEvent::Changed(PeerState::Disconnected) => {
                self.lost_at = Some(self.now() + self.options.disconnected_grace);
                let silence = self.options.disconnected_after.as_secs_f64();
                let reason = format!("nothing has come from the page for {silence} s");
                self.line.call().line_is_silent(Some(&reason));
            }
            PeerEvent::Changed(PeerState::Failed) | PeerEvent::AddressLost => {
                return Break(self.timed_out());
            }
            PeerEvent::Changed(PeerState::Closed) => {
                return Break(CloseReason::ClosedByPeer {
                    code: 1005,
                    reason: String::new(),
                });
            }
            PeerEvent::Report(report) => {
                let now = self.now();
                let settings = self.pipelines.following.report(report, now);
                if let Err(error) = self.pipelines.sender.adapt(settings) {
                    let cause = error.to_string();
                    return Break(CloseReason::Lost { cause });
                }
                self.offer_to_pass();
            }
            PeerEvent::Changed(_) => {}
        }
        Continue(())
    }

    fn hear(&mut self, text: &str) {
        self.line.on_frame(Frame::Text(text));
        if self.pending.is_some() && self.line.call().started().is_some() {
            self.pending = None;
        }
        self.offer_to_pass();
    }

    /// Says which packets of the model's are sent to the page as they are.
    fn offer_to_pass(&self) {
        let limits = self.pipelines.following.passes(self.peer.packet_limits());
        self.line.call().take_packets(limits);
    }

    fn insert(&mut self, packet: Received) {
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

    /// The data channel is closed. Where the page hangs up, the end of the line follows at once.
    fn channel_closed(&mut self) -> ControlFlow<CloseReason> {
        let due = self.now() + CHANNEL_GRACE;
        self.channel_lost_at.get_or_insert(due);
        Continue(())
    }

    fn timed_out(&self) -> CloseReason {
        let waited = self.options.disconnected_after + self.options.disconnected_grace;
        CloseReason::Lost {
            cause: format!(
                "nothing has come from the page for {} s (disconnected_after and disconnected_grace)",
                waited.as_secs_f64()
            ),
        }
    }

    /// Takes what the call has for the page.
    fn take_outgoing(&mut self) -> ControlFlow<CloseReason> {
        let mut batch = Vec::new();
        loop {
            self.line.take_outgoing(&mut batch, BATCH);
            if batch.is_empty() {
                return self.send_packets();
            }
            for outgoing in batch.drain(..) {
                match outgoing {
                    Outgoing::Binary(sound) => self.queue(&sound),
                    Outgoing::Text(text) => self.texts.push_back(text),
                    Outgoing::Close { code, reason } => {
                        // A line without close codes tells a refusal in words.
                        self.texts.extend(refusal_of(code, &reason));
                        let by = self.now() + self.options.close_timeout;
                        self.close_by.get_or_insert(by);
                    }
                }
            }
        }
    }

    fn queue(&mut self, sound: &[u8]) {
        let now = self.now();
        match Sound::read(sound) {
            Some(Sound::Samples(sound)) => {
                self.samples.clear();
                let samples = sound.as_chunks::<2>().0.iter();
                self.samples
                    .extend(samples.map(|it| i16::from_le_bytes(*it)));
                self.pipelines.sender.push(&self.samples, now);
            }
            Some(Sound::Opus(packet)) => {
                self.pipelines.sender.pass(packet, now);
            }
            // The codec writes nothing else.
            None => {}
        }
    }

    fn send_packets(&mut self) -> ControlFlow<CloseReason> {
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

    /// Handles every deadline that has passed.
    fn handle_timers(&mut self) -> ControlFlow<CloseReason> {
        let now = self.now();
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        if is_due(self.lost_at) {
            return Break(self.timed_out());
        }
        if is_due(self.close_by) {
            return Break(CloseReason::ClosedByUs);
        }
        if is_due(self.channel_lost_at) {
            return Break(CloseReason::Lost {
                cause: "the page closed the data channel, and not the call".to_owned(),
            });
        }
        if is_due(self.start_at) {
            self.start_at = None;
            self.hear(&start_of(&self.id));
        }
        if self.stats_at <= now {
            self.stats_at = now + STATS_INTERVAL;
            self.report_stats();
        }
        if is_due(self.play_at)
            && let Err(error) = self.play(now + HALF_GRID)
        {
            return Break(CloseReason::Lost {
                cause: error.to_string(),
            });
        }
        self.send_packets()
    }

    /// Passes the page's sound that is due on to the call.
    fn play(&mut self, now: Duration) -> Result<(), ReceiverError> {
        loop {
            self.samples.clear();
            let limits = self.line.call().input_limits();
            let receiver = &mut self.pipelines.receiver;
            let due = receiver.poll_passing(now, limits, &mut self.samples)?;
            let Some((frame, passed)) = due else {
                break;
            };
            let at_ms = self.place(frame.timestamp) / TICKS_PER_MS;
            let sound = match passed {
                Some(packet) => Sound::Opus(packet),
                None => Sound::Samples(bytemuck::cast_slice(&self.samples)),
            };
            timed_sound(at_ms, &sound, &mut self.sound);
            self.line.on_frame(Frame::Binary(&self.sound));
        }
        self.play_at = self.next_play();
        Ok(())
    }

    /// The place of a timestamp on a clock that does not wrap.
    fn place(&mut self, timestamp: u32) -> u64 {
        let place = match self.newest {
            None => u64::from(u32::MAX),
            Some((last, place)) => {
                place.saturating_add_signed(i64::from(timestamp.wrapping_sub(last) as i32))
            }
        };
        self.newest = Some((timestamp, place));
        place
    }

    fn report_stats(&mut self) {
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

    fn next_deadline(&self) -> Duration {
        let deadlines = [
            self.lost_at,
            self.channel_lost_at,
            self.close_by,
            self.start_at,
            self.play_at,
            self.pipelines.sender.next_deadline(),
        ];
        let next = deadlines.into_iter().flatten().min();
        next.unwrap_or_else(|| self.now() + FAR)
    }
}

/// Sends messages. Of one that is too long its sender is told by nobody: what a page is sent is bounded by
/// what made it.
fn send<P: Peer>(peer: &P, mut texts: VecDeque<String>) -> Sending<'_> {
    Box::pin(async move {
        loop {
            match peer.send_events(&mut texts).await {
                Err(error @ PeerError::TooLong { .. }) => {
                    info!(%error, "a message for a page was not sent");
                }
                sent => return sent,
            }
        }
    })
}
