//! The state of a peer without its sockets (sans-IO): datagrams and time in, datagrams and events out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive, Transmit};
use str0m::rtp::{RtpPacket, RtpWrite, SeqNo, Ssrc};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcError};
use tracing::debug;

use super::config;
use super::description::{self, Limits};
use crate::transport::webrtc::peer::{
    OPUS_PAYLOAD_TYPE, Opus, PeerError, PeerEvent, PeerSettings, PeerState, PeerStats, Received,
};

/// The longest time that the deadline is set ahead.
const FAR: Duration = Duration::from_secs(3600);

/// The most streams at once that the far side's description does not name.
const MAX_STREAMS: usize = 8;

/// A stream that the far side's description does not name.
struct Unnamed {
    ssrc: u32,
    /// Whether a packet of it was authentic.
    is_heard: bool,
}

/// The result of writing a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Yes,
    /// The buffer is full until the far side acknowledges more.
    Full,
}

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

/// A peer made of str0m, without its sockets.
pub(super) struct State {
    rtc: Rtc,
    pub events: VecDeque<PeerEvent>,
    /// When [`tick`](Self::tick) is to be called.
    pub deadline: Instant,
    offered: Option<SdpPendingOffer>,
    label: &'static str,
    channel: Option<ChannelId>,
    opened: bool,
    mid: Option<Mid>,
    limits: Limits,
    /// The oldest first.
    unnamed: Vec<Unnamed>,
    sequence: u64,
    stats: PeerStats,
    phase: Phase,
    last_received: Instant,
    channel_buffer: usize,
    disconnected_after: Duration,
    failed_after: Duration,
}

impl State {
    /// Creates the state with these local candidates.
    pub fn new(settings: &PeerSettings, locals: &[Candidate], now: Instant) -> Self {
        let mut rtc = config::of(settings).build(now);
        for local in locals {
            rtc.add_local_candidate(local.clone());
        }
        Self {
            rtc,
            events: VecDeque::new(),
            deadline: now + FAR,
            offered: None,
            label: settings.channel,
            channel: None,
            opened: false,
            mid: None,
            limits: Limits::default(),
            unnamed: Vec::new(),
            sequence: u64::from(super::random() as u16 >> 1),
            stats: PeerStats::default(),
            phase: Phase::New,
            last_received: now,
            channel_buffer: settings.channel_buffer,
            disconnected_after: settings.disconnected_after,
            failed_after: settings.failed_after,
        }
    }

    /// Creates our offer.
    pub fn offer(&mut self) -> Result<String, PeerError> {
        let mut changes = self.rtc.sdp_api();
        let name = || Some("voice".to_owned());
        let stream = Some("stapes".to_owned());
        let mid = changes.add_media(MediaKind::Audio, Direction::SendRecv, stream, name(), None);
        let channel = changes.add_channel(self.label.to_owned());
        let (offer, pending) = changes
            .apply()
            .ok_or_else(|| PeerError::Local("the stack makes no offer".to_owned()))?;
        self.mid = Some(mid);
        self.channel = Some(channel);
        self.offered = Some(pending);
        Ok(description::with_end_of_candidates(&offer.to_sdp_string()))
    }

    /// Applies the answer to our offer.
    pub fn accept(
        &mut self,
        answer: &str,
        now: Instant,
        send: impl FnMut(&Transmit),
    ) -> Result<(), PeerError> {
        let pending = self.offered.take().ok_or(PeerError::Closed)?;
        let known = description::with_known_hash(answer);
        let answer = SdpAnswer::from_sdp_string(&known).map_err(|error| refused(&error))?;
        self.rtc
            .sdp_api()
            .accept_answer(pending, answer)
            .map_err(|error| refused(&error))?;
        self.check_description(&known)?;
        self.tick(now, send);
        Ok(())
    }

    /// Applies an offer and creates our answer.
    pub fn answer(
        &mut self,
        offer: &str,
        now: Instant,
        send: impl FnMut(&Transmit),
    ) -> Result<String, PeerError> {
        let known = description::with_known_hash(offer);
        let offer = SdpOffer::from_sdp_string(&known).map_err(|error| refused(&error))?;
        let answer = self
            .rtc
            .sdp_api()
            .accept_offer(offer)
            .map_err(|error| refused(&error))?;
        let answer = answer.to_sdp_string();
        self.mid = description::audio_mid(&answer).map(Mid::from);
        self.check_description(&known)?;
        self.tick(now, send);
        Ok(description::with_end_of_candidates(&answer))
    }

    /// Reads the limits of the far side's description, and checks that it takes sound and has Opus.
    fn check_description(&mut self, theirs: &str) -> Result<(), PeerError> {
        self.limits = Limits::of(theirs);
        if let Some(why) = description::audio_refused(theirs) {
            return Err(PeerError::Description(why.to_owned()));
        }
        let media = self.mid.and_then(|mid| self.rtc.media(mid));
        if media.is_none_or(|media| media.remote_pts().is_empty()) {
            return Err(PeerError::Description("it has no Opus in it".to_owned()));
        }
        Ok(())
    }

    /// Writes a text to the data channel if its buffer has room. A message that is longer than the whole
    /// buffer is sent alone.
    pub fn write_text(
        &mut self,
        text: &str,
        now: Instant,
        send: impl FnMut(&Transmit),
    ) -> Result<Written, PeerError> {
        if text.len() > self.limits.message {
            return Err(PeerError::TooLong { bytes: text.len() });
        }
        let id = self.channel.filter(|_| self.opened);
        let Some(mut channel) = id.and_then(|id| self.rtc.channel(id)) else {
            return Err(PeerError::Closed);
        };
        let held = channel.buffered_amount();
        if held > 0 && held + text.len() > self.channel_buffer {
            return Ok(Written::Full);
        }
        let written = channel
            .write(false, text.as_bytes())
            .map_err(|error| PeerError::Local(error.to_string()))?;
        self.tick(now, send);
        Ok(if written { Written::Yes } else { Written::Full })
    }

    /// The longest message that the far side takes, in bytes.
    pub fn max_message(&self) -> usize {
        self.limits.message
    }

    /// The number of bytes that the far side has not acknowledged.
    pub fn unacknowledged(&mut self) -> usize {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        channel.map_or(0, |mut channel| channel.buffered_amount())
    }

    pub fn write_opus(
        &mut self,
        packet: &Opus,
        now: Instant,
        send: impl FnMut(&Transmit),
    ) -> Result<(), PeerError> {
        if self.has_ended() {
            return Err(PeerError::Closed);
        }
        let Some(mid) = self.mid.filter(|_| self.is_connected()) else {
            // Not connected: the packet is dropped.
            return Ok(());
        };
        let agreed = self.rtc.media(mid).and_then(|m| m.remote_pts().first());
        let payload_type = agreed.copied().unwrap_or(Pt::from(OPUS_PAYLOAD_TYPE));
        let mut direct = self.rtc.direct_api();
        let stream = direct
            .stream_tx_by_mid(mid, None)
            .ok_or(PeerError::Closed)?;
        let write = RtpWrite::new(
            payload_type,
            SeqNo::from(self.sequence),
            packet.timestamp,
            now,
            &packet.payload[..],
        );
        stream.write_rtp(write.marker(packet.marker));
        self.sequence += 1;
        self.stats.packets_sent += 1;
        self.stats.bytes_sent += packet.payload.len() as u64;
        self.tick(now, send);
        Ok(())
    }

    /// Handles a datagram from `source` to `local`.
    pub fn handle(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        local: SocketAddr,
        now: Instant,
        send: impl FnMut(&Transmit),
    ) {
        if self.has_ended() {
            return;
        }
        let Ok(contents) = datagram.try_into() else {
            // Neither STUN nor DTLS nor RTP: ignored.
            return;
        };
        self.last_received = now;
        if self.phase == Phase::Silent {
            self.phase = Phase::Connected;
            self.push_state(PeerState::Connected);
        }
        self.expect_stream(datagram);
        let proto = Protocol::Udp;
        let receive = Receive {
            proto,
            source,
            destination: local,
            contents,
        };
        if let Err(error) = self.rtc.handle_input(Input::Receive(now, receive)) {
            return self.fail(&error);
        }
        self.drain(now, send);
    }

    /// Accepts a stream that neither the description nor the packet itself assigns to a track: there is
    /// only one track that it can belong to. A server may begin another stream at any time.
    fn expect_stream(&mut self, datagram: &[u8]) {
        let [first, kind, _, _, _, _, _, _, a, b, c, d, ..] = *datagram else {
            return;
        };
        let is_rtp = (128..192).contains(&first) && !(192..224).contains(&kind);
        let ssrc = u32::from_be_bytes([a, b, c, d]);
        let is_known =
            || self.limits.streams.contains(&ssrc) || self.unnamed.iter().any(|it| it.ssrc == ssrc);
        let Some(mid) = self.mid.filter(|_| is_rtp && !is_known()) else {
            return;
        };
        let mut direct = self.rtc.direct_api();
        if self.unnamed.len() == MAX_STREAMS {
            // A stranger's packets do not drive out a stream that was heard, if there is another one.
            let oldest = self.unnamed.iter().position(|it| !it.is_heard);
            let oldest = self.unnamed.remove(oldest.unwrap_or_default());
            direct.remove_stream_rx(Ssrc::from(oldest.ssrc));
        }
        let is_heard = false;
        self.unnamed.push(Unnamed { ssrc, is_heard });
        direct.expect_stream_rx(Ssrc::from(ssrc), None, mid, None);
    }

    /// Handles the deadline.
    pub fn tick(&mut self, now: Instant, send: impl FnMut(&Transmit)) {
        if self.has_ended() {
            return;
        }
        if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
            return self.fail(&error);
        }
        self.drain(now, send);
    }

    /// Closes the connection.
    pub fn close(&mut self, now: Instant, mut send: impl FnMut(&Transmit)) {
        if !self.has_ended() && self.rtc.close().is_ok() {
            let _ = self.rtc.handle_input(Input::Timeout(now));
            while let Ok(output) = self.rtc.poll_output() {
                match output {
                    Output::Transmit(transmit) => send(&transmit),
                    Output::Event(_) => {}
                    Output::Timeout(_) => break,
                }
            }
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
    pub fn close_channel(&mut self, now: Instant, send: impl FnMut(&Transmit)) {
        if let Some(channel) = self.channel {
            self.rtc.direct_api().close_data_channel(channel);
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

    fn drain(&mut self, now: Instant, mut send: impl FnMut(&Transmit)) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => send(&transmit),
                Ok(Output::Event(event)) => self.handle_event(event),
                Ok(Output::Timeout(at)) => {
                    self.deadline = at.min(now + FAR);
                    break;
                }
                Err(error) => return self.fail(&error),
            }
        }
        if !self.has_ended() {
            self.check_silence(now);
        }
    }

    fn check_silence(&mut self, now: Instant) {
        if !self.is_connected() {
            return;
        }
        let silent_at = self.last_received + self.disconnected_after;
        let failed_at = silent_at + self.failed_after;
        if now >= failed_at {
            self.end(Phase::Failed);
            self.push_state(PeerState::Failed);
        } else if now >= silent_at {
            if self.phase != Phase::Silent {
                self.phase = Phase::Silent;
                self.push_state(PeerState::Disconnected);
            }
            self.deadline = self.deadline.min(failed_at);
        } else {
            self.deadline = self.deadline.min(silent_at);
        }
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::RtpPacket(packet) => self.take_packet(packet),
            Event::ChannelData(data) if Some(data.id) == self.channel => {
                self.events.push_back(if data.binary {
                    PeerEvent::Binary(data.data.into())
                } else {
                    match String::from_utf8(data.data) {
                        Ok(text) => PeerEvent::Text(text),
                        Err(error) => PeerEvent::Binary(error.into_bytes().into()),
                    }
                });
            }
            Event::IceConnectionStateChange(state) => match state {
                IceConnectionState::Checking => self.push_state(PeerState::Connecting),
                IceConnectionState::Connected | IceConnectionState::Completed
                    if self.phase == Phase::New =>
                {
                    self.phase = Phase::Reached;
                    self.push_state(PeerState::Reached);
                }
                _ => {}
            },
            Event::Connected => {
                self.phase = Phase::Connected;
                self.push_state(PeerState::Connected);
            }
            Event::ChannelOpen(id, label) => {
                // Other channels of the far side are ignored.
                if self.channel.is_none() && label == self.label {
                    self.channel = Some(id);
                }
                if self.channel == Some(id) {
                    self.opened = true;
                    self.events.push_back(PeerEvent::Opened);
                }
            }
            Event::ChannelClose(id) if self.channel == Some(id) => {
                self.opened = false;
                self.events.push_back(PeerEvent::ChannelClosed);
            }
            Event::Closed => {
                self.opened = false;
                // Where nothing comes from the far side, our own stack has given up.
                self.push_state(if self.phase == Phase::Silent {
                    PeerState::Failed
                } else {
                    PeerState::Closed
                });
            }
            _ => {}
        }
    }

    fn take_packet(&mut self, packet: RtpPacket) {
        self.stats.packets_received += 1;
        self.stats.bytes_received += packet.payload.len() as u64;
        let ssrc = *packet.header.ssrc;
        if let Some(stream) = self.unnamed.iter_mut().find(|it| it.ssrc == ssrc) {
            stream.is_heard = true;
        }
        self.events.push_back(PeerEvent::Opus(Received {
            ssrc,
            sequence: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            payload: Bytes::from_owner(packet.payload),
        }));
    }

    fn push_state(&mut self, state: PeerState) {
        self.events.push_back(PeerEvent::Changed(state));
    }

    fn fail(&mut self, error: &RtcError) {
        debug!(%error, "the call's connection failed");
        self.end(Phase::Failed);
        self.push_state(PeerState::Failed);
    }

    fn end(&mut self, phase: Phase) {
        self.rtc.disconnect();
        self.phase = phase;
        self.opened = false;
        // There is no deadline any more.
        self.deadline += FAR;
    }
}

fn refused(error: &dyn std::fmt::Display) -> PeerError {
    PeerError::Description(error.to_string())
}
