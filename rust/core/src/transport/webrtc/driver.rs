//! The driver of a call: one task that moves messages and sound between a peer and an endpoint.
//!
//! One timer serves both directions. The answer's sound is passed on at the points of the process's
//! timer grid (`timer_grid`), so that what is due in many calls is decoded in one go and read in one
//! go. The user's sound is sent at its own time.

use std::collections::VecDeque;
use std::error::Error;
use std::future::{Future, pending};
use std::mem;
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::info;

use super::downlink::DownlinkDecoder;
use super::media_watch::MediaWatch;
use super::options::WebRtcOptions;
use super::peer::{Peer, PeerError, PeerEvent, PeerState};
use super::uplink::UplinkEncoder;
use crate::audio::opus::OpusError;
use crate::audio::rtp::sender::SenderOptions;
use crate::transport::endpoint::{CloseReason, Frame, Outgoing};
use crate::transport::media::{MediaChange, SampleRates, SoundEndpoint, SoundStats, Uplink};
use crate::transport::net::ConnectError;
use crate::transport::timer_grid::{self, GRID, TimerGrid};

/// The interval between two reports of [`SoundStats`] to the endpoint.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// The longest time that the timer is set ahead.
const FAR: Duration = Duration::from_secs(3600);

/// How long the end of the call may follow that of its data channel: without it the channel was lost, and
/// the server did not hang up.
const CHANNEL_GRACE: Duration = Duration::from_millis(250);

/// How much earlier than it is due sound is passed on, at most: it is late by the rest of a step, 2.5 ms.
const EARLY: Duration = Duration::from_micros(GRID.as_micros() as u64 * 3 / 4);

/// The options that the driver uses.
#[derive(Debug, Clone)]
pub(super) struct DriverSettings {
    close_timeout: Duration,
    stalled_after: Duration,
    disconnected_after: Duration,
    disconnected_grace: Duration,
    send_batch_bytes: usize,
}

impl From<&WebRtcOptions> for DriverSettings {
    fn from(options: &WebRtcOptions) -> Self {
        Self {
            close_timeout: options.close_timeout,
            stalled_after: options.stalled_after,
            disconnected_after: options.disconnected_after,
            disconnected_grace: options.disconnected_grace,
            send_batch_bytes: options.send_batch_bytes,
        }
    }
}

/// The codecs and buffers of a call, one for each direction.
pub(super) struct AudioPipelines {
    uplink_encoder: UplinkEncoder,
    downlink_decoder: DownlinkDecoder,
}

impl AudioPipelines {
    /// Fails with an error that names the invalid option.
    pub fn new(options: &WebRtcOptions, rates: SampleRates) -> Result<Self, ConnectError> {
        let invalid = |error: &dyn Error| ConnectError::InvalidOption {
            problem: error.to_string(),
        };
        let sender = SenderOptions {
            encoder: options.encoder,
            max_queue: options.max_queue,
            ..SenderOptions::default()
        };
        Ok(Self {
            uplink_encoder: UplinkEncoder::new(rates.input, sender, options.min_bitrate)
                .map_err(|error| invalid(&error))?,
            downlink_decoder: DownlinkDecoder::new(rates.output, options.jitter)
                .map_err(|error| invalid(&error))?,
        })
    }

    /// Encodes for a far side that takes so many bits per second at most.
    pub fn limit(&mut self, max_bitrate: u32) -> Result<(), OpusError> {
        self.uplink_encoder.limit(max_bitrate)
    }
}

/// What was sent of a batch of messages.
enum Sent {
    All,
    /// The messages before the end of the connection.
    Close,
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<Sent, PeerError>> + Send + 'a>>;

/// Runs `endpoint` over `peer` until the connection ends, closes the peer, and returns how the
/// connection ended.
pub(super) async fn drive<P: Peer, E: SoundEndpoint + ?Sized>(
    peer: &P,
    endpoint: &E,
    settings: DriverSettings,
    pipelines: AudioPipelines,
) -> CloseReason {
    // Before the call begins: all of its times are on the grid then.
    let grid = TimerGrid::shared();
    let started = Instant::now();
    let mut driver = Driver {
        peer,
        endpoint,
        settings: &settings,
        started,
        grid,
        pipelines,
        timer_fired: false,
        play_at: None,
        lost_at: None,
        channel_lost_at: None,
        stats_at: STATS_INTERVAL,
        media: MediaWatch::new(settings.stalled_after),
    };
    let ended = driver.run().await;
    driver.finish(&ended);
    // What was sent over a call that is lost is not acknowledged any more.
    let patience = match ended {
        CloseReason::ClosedByUs => settings.close_timeout,
        _ => Duration::ZERO,
    };
    peer.close(patience).await;
    ended
}

struct Driver<'a, P, E: ?Sized> {
    peer: &'a P,
    endpoint: &'a E,
    settings: &'a DriverSettings,
    started: Instant,
    grid: TimerGrid,
    pipelines: AudioPipelines,
    /// The timer has fired, and what is due has not been handled since.
    timer_fired: bool,
    /// When the answer's sound is polled next.
    play_at: Option<Duration>,
    /// When the connection counts as lost, unless it recovers before.
    lost_at: Option<Duration>,
    /// When the data channel counts as lost, unless the call ends before.
    channel_lost_at: Option<Duration>,
    stats_at: Duration,
    media: MediaWatch,
}

impl<'a, P: Peer, E: SoundEndpoint + ?Sized> Driver<'a, P, E> {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    async fn run(&mut self) -> CloseReason {
        let (peer, endpoint) = (self.peer, self.endpoint);
        let mut held = endpoint.reading_held();
        let mut holding = *held.borrow_and_update();
        let mut sending = Self::next_batch(peer, endpoint, self.settings);
        // The first messages may be too long for the server. Nothing is received before they are sent:
        // the session would count as connected, and then fail.
        let mut is_beginning = sending.is_some();
        let mut timer = pin!(sleep_until(self.started));
        self.offer_to_pass();
        loop {
            if let Break(ended) = self.handle_timers() {
                return ended;
            }
            if holding {
                // What comes is not looked at.
                self.media.playing(0, self.now());
            }
            let next = self.next_deadline().unwrap_or(self.now() + FAR);
            if timer.deadline() != self.started + next {
                timer.as_mut().reset(self.started + next);
            }
            let flow = tokio::select! {
                event = peer.receive(), if !holding && !is_beginning => self.receive(event),
                () = peer.tend(), if holding || is_beginning => Continue(()),
                sent = async {
                    match &mut sending {
                        Some(sending) => sending.await,
                        None => pending().await,
                    }
                } => {
                    (sending, is_beginning) = (None, false);
                    match sent {
                        Ok(Sent::All) => {
                            endpoint.on_flushed();
                            sending = Self::next_batch(peer, endpoint, self.settings);
                            Continue(())
                        }
                        Ok(Sent::Close) => Break(CloseReason::ClosedByUs),
                        Err(PeerError::Closed) => self.channel_closed(),
                        // Another call would be told the same.
                        Err(error @ PeerError::TooLong { .. }) => {
                            Break(CloseReason::Unsayable { cause: error.to_string() })
                        }
                        Err(error) => Break(CloseReason::Lost { cause: error.to_string() }),
                    }
                },
                () = endpoint.outgoing_ready().notified(),
                    if sending.is_none() && self.channel_lost_at.is_none() =>
                {
                    sending = Self::next_batch(peer, endpoint, self.settings);
                    Continue(())
                }
                () = async {
                    match endpoint.uplink() {
                        Some(uplink) => uplink.ready().notified().await,
                        None => pending().await,
                    }
                } => Continue(()),
                changed = held.changed(), if changed_can_come(&held) => {
                    if changed.is_ok() {
                        holding = *held.borrow_and_update();
                    }
                    Continue(())
                }
                () = timer.as_mut() => {
                    self.timer_fired = true;
                    Continue(())
                }
            };
            if let Break(ended) = flow {
                return ended;
            }
        }
    }

    /// Takes the endpoint's next messages, if there are any, and returns the future that sends them.
    fn next_batch<'b>(
        peer: &'b P,
        endpoint: &'b E,
        settings: &DriverSettings,
    ) -> Option<Sending<'b>> {
        let mut batch = Vec::new();
        endpoint.take_outgoing(&mut batch, settings.send_batch_bytes);
        if batch.is_empty() {
            return None;
        }
        Some(Box::pin(send(peer, batch)))
    }

    fn receive(&mut self, event: PeerEvent) -> ControlFlow<CloseReason> {
        match event {
            PeerEvent::Opus(packet) => {
                let now = self.now();
                self.pipelines.downlink_decoder.insert(packet, now);
                self.play_at = self.next_play();
                let change = self.media.sound(now);
                self.media_changed(change);
            }
            PeerEvent::Report(report) => {
                let now = self.now();
                if let Err(error) = self.pipelines.uplink_encoder.follow(report, now) {
                    let cause = error.to_string();
                    return Break(CloseReason::Lost { cause });
                }
                self.offer_to_pass();
            }
            PeerEvent::Text(text) => {
                self.endpoint.on_frame(Frame::Text(&text));
                let (segment, now) = (self.endpoint.segment(), self.now());
                self.pipelines.downlink_decoder.set_arriving(segment, now);
                self.media.playing(segment, now);
                // The text may have cut the answer: its segment then ends at once.
                self.play_at = Some(Duration::ZERO);
            }
            PeerEvent::Binary(bytes) => self.endpoint.on_frame(Frame::Binary(&bytes)),
            PeerEvent::Changed(PeerState::Disconnected) => {
                let now = self.now();
                self.lost_at = Some(now + self.settings.disconnected_grace);
                let change = self.media.no_sign(self.settings.disconnected_after, now);
                self.media_changed(change);
            }
            PeerEvent::Changed(PeerState::Connected) => {
                self.lost_at = None;
                let change = self.media.sign(self.now());
                self.media_changed(change);
            }
            PeerEvent::Changed(PeerState::Failed) => return Break(self.timed_out()),
            PeerEvent::RelayLost { cause } => return Break(CloseReason::Lost { cause }),
            PeerEvent::AddressLost => {
                return Break(CloseReason::Lost {
                    cause: "this machine's network address has changed, and the server does not \
                            take the call from the new one"
                        .to_owned(),
                });
            }
            PeerEvent::ChannelClosed => return self.channel_closed(),
            PeerEvent::Changed(PeerState::Closed) => return Break(closed_by_peer()),
            PeerEvent::Opened | PeerEvent::Changed(_) => {}
        }
        Continue(())
    }

    /// The user's sound. When the channel is lost, the next call sends what waits.
    fn uplink(&self) -> Option<&'a Uplink> {
        let endpoint: &'a E = self.endpoint;
        let uplink = endpoint.uplink();
        uplink.filter(|_| self.channel_lost_at.is_none())
    }

    /// Says which packets of a caller's are sent as they are.
    fn offer_to_pass(&self) {
        if let Some(uplink) = self.uplink() {
            let limits = self.peer.packet_limits();
            uplink.take_packets(self.pipelines.uplink_encoder.passes(limits));
        }
    }

    fn media_changed(&self, change: Option<MediaChange>) {
        if let Some(change) = change {
            let silence = change.silence.as_secs_f64();
            info!(silence, "the answer's sound has {}", change.status.as_str());
            self.endpoint.on_media(change);
        }
    }

    /// The data channel is closed. Where the server hangs up, the end of the call follows at once.
    fn channel_closed(&mut self) -> ControlFlow<CloseReason> {
        let due = self.now() + CHANNEL_GRACE;
        self.channel_lost_at.get_or_insert(due);
        Continue(())
    }

    /// Tells the endpoint what it has to know before it hears of the end.
    fn finish(&mut self, ended: &CloseReason) {
        self.report_stats();
        let unsent = self.pipelines.uplink_encoder.take_unsent();
        self.endpoint.on_unsent(unsent);
        if *ended != CloseReason::ClosedByUs {
            let change = self.media.lost(self.now());
            self.media_changed(change);
        }
    }

    fn timed_out(&self) -> CloseReason {
        let waited = self.settings.disconnected_after + self.settings.disconnected_grace;
        CloseReason::Lost {
            cause: format!(
                "nothing has been heard from the server for {} s (disconnected_after and \
                 disconnected_grace); it or the network is down",
                waited.as_secs_f64()
            ),
        }
    }

    fn report_stats(&mut self) {
        let sent = self.peer.stats().packets_sent;
        let passed = self.pipelines.uplink_encoder.passed();
        let (bitrate, report) = self.pipelines.uplink_encoder.network();
        let received = self.pipelines.downlink_decoder.stats();
        let stats = SoundStats::of(sent, passed, received, bitrate, report);
        self.endpoint.on_stats(stats);
    }

    /// Handles every deadline that has passed.
    fn handle_timers(&mut self) -> ControlFlow<CloseReason> {
        let now = self.now();
        let timer_fired = mem::take(&mut self.timer_fired);
        if self.lost_at.is_some_and(|at| at <= now) {
            return Break(self.timed_out());
        }
        if self.channel_lost_at.is_some_and(|at| at <= now) {
            return Break(CloseReason::Lost {
                cause: "the server closed the data channel, and not the call".to_owned(),
            });
        }
        let change = self.media.poll(now);
        self.media_changed(change);
        // Statistics set no timer of their own: an idle call reports nothing.
        if self.stats_at <= self.now() {
            self.stats_at = self.now() + STATS_INTERVAL;
            self.report_stats();
            // It may carry the user's sound only now.
            self.offer_to_pass();
        }
        let is_due = |at| timer_grid::is_due(at, now, timer_fired);
        if self.play_at.is_some_and(is_due) {
            let until = now + EARLY;
            if let Err(error) = self.pipelines.downlink_decoder.play(self.endpoint, until) {
                return Break(CloseReason::Lost {
                    cause: error.to_string(),
                });
            }
            self.play_at = self.next_play();
        }
        let Some(uplink) = self.uplink() else {
            return Continue(());
        };
        loop {
            let dropped = self.pipelines.uplink_encoder.take(uplink, self.now());
            if dropped > 0 {
                self.endpoint.on_dropped(dropped);
            }
            let mut has_sent = false;
            loop {
                match self.pipelines.uplink_encoder.poll(self.now()) {
                    Ok(Some(packet)) => {
                        if self.peer.send_opus(packet).is_err() {
                            // `receive` reports how the connection ended.
                            return Continue(());
                        }
                        has_sent = true;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        return Break(CloseReason::Lost {
                            cause: error.to_string(),
                        });
                    }
                }
            }
            if has_sent {
                self.pipelines.uplink_encoder.report_held(uplink);
                self.endpoint.on_room();
            }
            if !self.pipelines.uplink_encoder.passed_mark() {
                return Continue(());
            }
            self.endpoint.on_mark();
        }
    }

    /// The point of the grid at which sound that is due next is passed on.
    fn next_play(&self) -> Option<Duration> {
        let due = self.pipelines.downlink_decoder.next_deadline()?;
        let from = self.started + due.saturating_sub(EARLY);
        Some(self.grid.at_or_after(from) - self.started)
    }

    fn next_deadline(&self) -> Option<Duration> {
        let uplink = self.uplink();
        [
            self.lost_at,
            self.channel_lost_at,
            self.media.deadline(),
            self.play_at,
            uplink.and_then(|_| self.pipelines.uplink_encoder.next_deadline()),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// The peer closed the data channel, which carries no code and no reason.
fn closed_by_peer() -> CloseReason {
    CloseReason::ClosedByPeer {
        code: 1005,
        reason: String::new(),
    }
}

/// Whether the sender still exists.
fn changed_can_come(held: &tokio::sync::watch::Receiver<bool>) -> bool {
    held.has_changed().is_ok()
}

async fn send<P: Peer>(peer: &P, batch: Vec<Outgoing>) -> Result<Sent, PeerError> {
    let mut texts = VecDeque::new();
    let mut sent = Sent::All;
    for outgoing in batch {
        match outgoing {
            Outgoing::Text(text) => texts.push_back(text),
            // The realtime protocol has no binary messages.
            Outgoing::Binary(_) => {}
            // A data channel carries no code and no reason.
            Outgoing::Close { .. } => {
                sent = Sent::Close;
                break;
            }
        }
    }
    peer.send_events(&mut texts).await?;
    Ok(sent)
}
