//! The driver of a page's line: one task that moves sound and messages between a peer and a call.
//!
//! The page's sound is decoded at the points of the process's timer grid, so that what is due in many calls
//! is done at one wake-up. The call paces the sound for the page: each frame is encoded and sent as it comes.

mod messages;
mod sound;
#[cfg(test)]
mod tests;
mod timeline;

use std::future::pending;
use std::mem;
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::debug;

pub use self::sound::PipelineError;

pub(super) use self::sound::Pipelines;

use self::messages::{Channel, Messages, NothingTaken, Sending, send};
use self::sound::HALF_GRID;
use super::pending::PendingOffer;
use super::{WebRtcCallOptions, WebRtcLine};
use crate::calls::carriers::webrtc::{refusal_of, start_of};
use crate::calls::leg::Leg;
use crate::calls::line::CallLine;
use crate::transport::timer_grid::{self, TimerGrid};
use crate::transport::webrtc::{Peer, PeerError, PeerEvent, PeerState};
use crate::transport::{CloseReason, EndGuard, Endpoint as _, Frame, Outgoing};

/// The interval between two reports of statistics.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// The longest time that the timer is set ahead.
const FAR: Duration = Duration::from_secs(3600);

/// How long a connected page has to open the data channel that it has offered, before the call starts without
/// its word. Of SCTP's handshake two packets in a row may be lost, each of which costs a second or more.
const CHANNEL_PATIENCE: Duration = Duration::from_secs(5);

/// How long the end of the line may follow that of its data channel: without it the channel was lost.
const CHANNEL_GRACE: Duration = Duration::from_millis(250);

/// The bytes of messages that are taken from the call at once.
const BATCH: usize = 64 << 10;

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
    let mut driver = Driver::new(&peer, end.endpoint(), &options, id, pipelines);
    driver.messages = Messages::new(has_messages);
    driver.pending = Some(pending);
    let ended = driver.run().await;
    driver.report_stats();
    let patience = match ended {
        CloseReason::ClosedByUs => options.close_timeout,
        _ => Duration::ZERO,
    };
    peer.close(patience).await;
    end.report(ended);
}

struct Driver<'a, P> {
    peer: &'a P,
    line: &'a Arc<CallLine>,
    options: &'a WebRtcCallOptions,
    id: String,
    started: Instant,
    grid: TimerGrid,
    pipelines: Pipelines,
    messages: Messages,
    /// Held until the call has started.
    pending: Option<PendingOffer>,
    /// The timer has fired, and what is due has not been handled since.
    timer_fired: bool,
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
}

impl<'a, P: Peer> Driver<'a, P> {
    /// Of a page without a data channel.
    fn new(
        peer: &'a P,
        line: &'a Arc<CallLine>,
        options: &'a WebRtcCallOptions,
        id: String,
        mut pipelines: Pipelines,
    ) -> Self {
        // What the call would drop is not even decoded.
        let max_ahead = line.call().look(Leg::max_ahead);
        pipelines.receiver.allow_ahead(max_ahead);
        Self {
            peer,
            line,
            options,
            id,
            started: Instant::now(),
            grid: TimerGrid::shared(),
            pipelines,
            messages: Messages::new(false),
            pending: None,
            timer_fired: false,
            play_at: None,
            start_at: None,
            lost_at: None,
            channel_lost_at: None,
            close_by: None,
            stats_at: STATS_INTERVAL,
        }
    }

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
            if sending.is_none() && self.messages.can_be_sent() {
                sending = Some(send(peer, self.messages.take()));
            }
            if self.close_by.is_some() && sending.is_none() {
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
                self.messages.channel = Channel::Open;
                self.start_at = None;
            }
            PeerEvent::ChannelClosed => return self.channel_closed(),
            PeerEvent::Changed(PeerState::Connected) => {
                if self.lost_at.take().is_some() {
                    self.line.call().line_is_silent(None);
                } else if self.messages.channel != Channel::Open {
                    let patience = match self.messages.channel {
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
            PeerEvent::Changed(PeerState::Failed) => return Break(self.timed_out()),
            PeerEvent::RelayLost { cause } => return Break(CloseReason::Lost { cause }),
            PeerEvent::AddressLost => {
                return Break(CloseReason::Lost {
                    cause:
                        "this machine's network address has changed, and the page does not take \
                            the call from the new one"
                            .to_owned(),
                });
            }
            PeerEvent::Changed(PeerState::Closed) => {
                return Break(CloseReason::ClosedByPeer {
                    code: 1005,
                    reason: String::new(),
                });
            }
            PeerEvent::Report(report) => return self.follow(report),
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
                    Outgoing::Text(text) => self.say(text)?,
                    Outgoing::Close { code, reason } => {
                        // A line without close codes tells a refusal in words.
                        if let Some(refusal) = refusal_of(code, &reason) {
                            self.say(refusal)?;
                        }
                        let by = self.now() + self.options.close_timeout;
                        self.close_by.get_or_insert(by);
                    }
                }
            }
        }
    }

    /// Sends the page a message, when the channel takes it.
    fn say(&mut self, text: String) -> ControlFlow<CloseReason> {
        match self.messages.push(text) {
            Ok(()) => Continue(()),
            Err(NothingTaken) => Break(CloseReason::Lost {
                cause: NothingTaken.to_string(),
            }),
        }
    }

    /// Handles every deadline that has passed.
    fn handle_timers(&mut self) -> ControlFlow<CloseReason> {
        let now = self.now();
        let timer_fired = mem::take(&mut self.timer_fired);
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
        let plays = |at| timer_grid::is_due(at, now, timer_fired);
        if self.play_at.is_some_and(plays)
            && let Err(error) = self.play(now + HALF_GRID)
        {
            return Break(CloseReason::Lost {
                cause: error.to_string(),
            });
        }
        self.send_packets()
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
