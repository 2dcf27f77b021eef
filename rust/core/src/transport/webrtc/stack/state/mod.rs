//! The state of a peer without its sockets (sans-IO): datagrams and time in, datagrams and events out.

mod negotiation;
mod path;
mod received;
mod sending;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc::data_channel::RTCDataChannelId;
use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::state::{RTCIceConnectionState, RTCPeerConnectionState};
use rtc::peer_connection::transport::RTCDtlsTransportState;
use rtc::rtp_transceiver::RTCRtpSenderId;
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use tracing::debug;

use super::admission::{Admission, is_rtp};
use super::candidate::Candidate;
use super::config;
use super::description::{self, Limits};
use super::following::Following;
use super::inbound::Inbound;
use super::nomination::{Credentials, Nomination};
use super::repeating::Repeating;
use super::voice::Voice;
use crate::audio::passthrough::PacketLimits;
use crate::transport::webrtc::peer::{
    OPUS_PAYLOAD_TYPE, PeerError, PeerEvent, PeerSettings, PeerState, PeerStats,
};

pub(super) use self::sending::Written;

/// The longest time that the deadline is set ahead.
const FAR: Duration = Duration::from_secs(3600);

/// The shortest, so that a stack that is late is not asked in a loop.
const NEAR: Duration = Duration::from_millis(1);

/// How long the data channel must have been quiet for its timers to be late by as much: the stack asks to be
/// called every 200 ms, though nothing is to be done.
const QUIET: Duration = Duration::from_secs(1);

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    New,
    /// ICE has found a path.
    Reached,
    /// The DTLS handshake is complete.
    Connected,
    /// The far side has sent nothing for a while.
    Silent,
    /// The connection has failed.
    Failed,
    /// We have closed it.
    Closed,
}

/// A peer made of `rtc`, without its sockets.
pub(super) struct State {
    rtc: RTCPeerConnection,
    inbound: Inbound,
    voice: Voice,
    admission: Admission,
    /// Our address and that of the far side between which the call goes.
    path: Option<(SocketAddr, SocketAddr)>,
    credentials: Option<Credentials>,
    nomination: Option<Nomination>,
    following: Option<Following>,
    /// Until the data channel is open.
    repeating: Option<Repeating>,
    pub events: VecDeque<PeerEvent>,
    /// When [`tick`](Self::tick) is to be called.
    pub deadline: Instant,
    sender: RTCRtpSenderId,
    ssrc: u32,
    payload_type: u8,
    label: &'static str,
    channel: Option<RTCDataChannelId>,
    opened: bool,
    /// The far side has ended the connection.
    hung_up: bool,
    limits: Limits,
    /// How many of the far side's candidates are used.
    most_candidates: usize,
    sequence: u16,
    stats: PeerStats,
    phase: Phase,
    last_received: Instant,
    /// When the stack was last called for its deadlines.
    ticked: Instant,
    /// When something was sent or received over DTLS.
    last_exchanged: Instant,
    channel_buffer: usize,
    disconnected_after: Duration,
    failed_after: Duration,
}

impl State {
    /// Creates the state with these local candidates.
    pub fn new(
        settings: &PeerSettings,
        locals: &[Candidate],
        now: Instant,
    ) -> Result<Self, PeerError> {
        let inbound = Inbound::default();
        let mut rtc = config::connection(settings, &inbound, now).map_err(|error| local(&error))?;
        for candidate in locals {
            let described = candidate.describe().map_err(|error| local(&error))?;
            rtc.add_local_candidate(described)
                .map_err(|error| local(&error))?;
        }
        let ssrc = super::random() as u32;
        let sender = rtc
            .add_track(config::track(settings, ssrc))
            .map_err(|error| local(&error))?;
        Ok(Self {
            rtc,
            inbound,
            voice: Voice::default(),
            admission: Admission::new(now),
            path: None,
            credentials: None,
            nomination: None,
            following: None,
            repeating: Some(Repeating::new()),
            events: VecDeque::new(),
            deadline: now + FAR,
            sender,
            ssrc,
            payload_type: OPUS_PAYLOAD_TYPE,
            label: settings.channel,
            channel: None,
            opened: false,
            hung_up: false,
            limits: Limits::default(),
            most_candidates: description::most_candidates(locals.len()),
            sequence: super::random() as u16 >> 1,
            stats: PeerStats::default(),
            phase: Phase::New,
            last_received: now,
            ticked: now,
            last_exchanged: now,
            channel_buffer: settings.channel_buffer,
            disconnected_after: settings.disconnected_after,
            failed_after: settings.failed_after,
        })
    }

    /// The longest message that the far side takes, in bytes.
    pub fn max_message(&self) -> usize {
        self.limits.message
    }

    pub fn packet_limits(&self) -> PacketLimits {
        self.limits.packets
    }

    /// The number of bytes that the far side has not acknowledged.
    pub fn unacknowledged(&mut self) -> usize {
        let channel = self.channel.and_then(|id| self.rtc.data_channel(id));
        channel.map_or(0, |channel| channel.outstanding_bytes())
    }

    /// Handles a datagram from `source` to `local`.
    pub fn handle(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        local: SocketAddr,
        now: Instant,
        send: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) {
        let is_connected = self.is_connected();
        if self.has_ended()
            || !self
                .admission
                .admits(datagram, source, local, is_connected, now)
        {
            return;
        }
        if self
            .repeating
            .as_mut()
            .is_some_and(|it| !it.receive(datagram))
        {
            return;
        }
        let source = self.notice_moves(datagram, source);
        if self.admission.is_contact(source) {
            self.last_received = now;
            if self.phase == Phase::Silent {
                self.phase = Phase::Connected;
                self.push_state(PeerState::Connected);
            }
        }
        let read = self.rtc.handle_read(TaggedBytesMut {
            now,
            transport: TransportContext {
                local_addr: local,
                peer_addr: source,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: BytesMut::from(datagram),
        });
        if let Err(error) = read {
            debug!(%error, "a datagram is not understood");
        }
        if is_connected && is_rtp(datagram) {
            // Nothing is sent because of it, and no deadline is earlier.
            return self.take_packets(now);
        }
        let is_dtls = matches!(datagram, [20..64, ..]);
        if is_dtls {
            self.last_exchanged = now;
        }
        self.drain(now, send);
        if is_dtls && self.is_connected() {
            self.check_dtls();
        }
    }

    /// The stack has no event for the far side's `close_notify`.
    fn check_dtls(&mut self) {
        let dtls = self.rtc.sctp().map(|sctp| sctp.transport().state());
        if !self.hung_up && dtls == Some(RTCDtlsTransportState::Closed) {
            self.hung_up = true;
            self.opened = false;
            self.push_state(PeerState::Closed);
        }
    }

    /// Handles the deadline.
    pub fn tick(&mut self, now: Instant, send: impl FnMut(SocketAddr, SocketAddr, &[u8])) {
        if self.has_ended() {
            return;
        }
        self.ticked = now;
        if let Err(error) = self.rtc.handle_timeout(now) {
            debug!(%error, "the stack could not handle a timeout");
        }
        self.drain(now, send);
    }

    /// Closes the connection.
    pub fn close(&mut self, now: Instant, mut send: impl FnMut(SocketAddr, SocketAddr, &[u8])) {
        if !self.has_ended() {
            let _ = self.rtc.handle_timeout(now);
            let _ = self.rtc.close();
            self.transmit(now, &mut send);
        }
        self.end(Phase::Closed);
        self.push_state(PeerState::Closed);
    }

    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected | Phase::Silent)
    }

    /// Closes the data channel.
    pub fn close_channel(&mut self, now: Instant, send: impl FnMut(SocketAddr, SocketAddr, &[u8])) {
        if let Some(mut channel) = self.channel.and_then(|id| self.rtc.data_channel(id)) {
            let _ = channel.close();
            self.tick(now, send);
        }
    }

    pub fn is_open(&self) -> bool {
        self.opened
    }

    pub fn has_ended(&self) -> bool {
        self.phase >= Phase::Failed
    }

    pub fn stats(&self) -> PeerStats {
        self.stats
    }

    fn drain(&mut self, now: Instant, mut send: impl FnMut(SocketAddr, SocketAddr, &[u8])) {
        loop {
            let mut again = false;
            while let Some(event) = self.rtc.poll_event() {
                again = true;
                self.handle_event(&event);
            }
            self.take_messages();
            self.take_packets(now);
            self.take_reports();
            self.transmit(now, &mut send);
            let due = self.rtc.poll_timeout();
            if !again {
                break self.set_deadline(due, now);
            }
            if due.is_some_and(|at| at <= now) {
                self.ticked = now;
                let _ = self.rtc.handle_timeout(now);
            }
        }
        if !self.has_ended() {
            self.check_silence(now);
            self.nominate(now, &mut send);
            self.repeat(now, &mut send);
        }
    }

    /// Sets the deadline, for a stack that is `due` then.
    fn set_deadline(&mut self, due: Option<Instant>, now: Instant) {
        if self.has_ended() {
            return;
        }
        let mut soonest = now + NEAR;
        if self.is_quiet(now) {
            // Not later with each datagram that comes: keep-alives and reports would never be sent.
            soonest = soonest.max(self.ticked + QUIET);
        }
        self.deadline = due.map_or(now + FAR, |at| at.clamp(soonest, now + FAR));
    }

    fn is_quiet(&mut self, now: Instant) -> bool {
        self.is_connected() && now >= self.last_exchanged + QUIET && self.unacknowledged() == 0
    }

    fn handle_event(&mut self, event: &RTCPeerConnectionEvent) {
        match *event {
            RTCPeerConnectionEvent::OnIceConnectionStateChangeEvent(state) => match state {
                RTCIceConnectionState::Checking => self.push_state(PeerState::Connecting),
                RTCIceConnectionState::Connected | RTCIceConnectionState::Completed
                    if self.phase == Phase::New =>
                {
                    self.phase = Phase::Reached;
                    self.push_state(PeerState::Reached);
                }
                _ => {}
            },
            RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) => match state {
                RTCPeerConnectionState::Connected if self.phase < Phase::Connected => {
                    self.phase = Phase::Connected;
                    self.push_state(PeerState::Connected);
                }
                RTCPeerConnectionState::Failed => {
                    self.end(Phase::Failed);
                    self.push_state(PeerState::Failed);
                }
                _ => {}
            },
            RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(id)) => {
                // Other channels of the far side are ignored.
                if self.channel.is_none() && self.is_ours(id) {
                    self.channel = Some(id);
                }
                if self.channel == Some(id) {
                    self.opened = true;
                    self.repeating = None;
                    self.events.push_back(PeerEvent::Opened);
                }
            }
            RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnClose(id))
                if self.channel == Some(id) =>
            {
                self.opened = false;
                self.events.push_back(PeerEvent::ChannelClosed);
            }
            _ => {}
        }
    }

    fn is_ours(&mut self, id: RTCDataChannelId) -> bool {
        let label = self.label;
        let channel = self.rtc.data_channel(id);
        channel.is_some_and(|channel| channel.label() == label)
    }

    fn push_state(&mut self, state: PeerState) {
        self.events.push_back(PeerEvent::Changed(state));
    }

    fn end(&mut self, phase: Phase) {
        self.phase = phase;
        self.opened = false;
        // There is no deadline any more.
        self.deadline += FAR;
    }
}

fn local(error: &dyn std::fmt::Display) -> PeerError {
    PeerError::Local(error.to_string())
}
