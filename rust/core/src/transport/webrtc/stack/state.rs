//! One end of a call without its sockets: datagrams and time in, datagrams and events out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::format::{Codec, FormatParams};
use str0m::media::{Direction, Frequency, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive, Transmit};
use str0m::rtp::{Extension, ExtensionMap, RtpPacket, RtpWrite, SeqNo, Ssrc};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig, RtcError};
use tracing::debug;

use super::crypto;
use super::description::{self, Limits};
use crate::transport::webrtc::peer::{
    OPUS_PAYLOAD_TYPE, Opus, PeerError, PeerEvent, PeerSettings, PeerState, PeerStats, Received,
};

/// The data channel of the realtime protocol.
const CHANNEL: &str = "oai-events";

/// How often the far side is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// No timer is set further ahead than this.
const FAR: Duration = Duration::from_secs(3600);

/// Streams of sound that are taken in where the far side's description names none.
const MOST_STREAMS: usize = 8;

/// What the stack may hold for the far side. What it really may, [`State::write_text`] minds, by the
/// message.
const NO_LIMIT: usize = usize::MAX / 2;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Yes,
    /// Not before the far side has acknowledged some of what it was sent.
    Full,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    New,
    /// A way has been found.
    Reached,
    /// Keys are agreed on.
    Connected,
    /// Nothing has been heard for a while.
    Silent,
    /// It failed.
    Failed,
    /// We have gone.
    Closed,
}

/// A call's end, made of str0m.
pub(super) struct State {
    rtc: Rtc,
    pub events: VecDeque<PeerEvent>,
    /// When [`tick`](Self::tick) is to be called.
    pub deadline: Instant,
    offered: Option<SdpPendingOffer>,
    channel: Option<ChannelId>,
    opened: bool,
    mid: Option<Mid>,
    limits: Limits,
    /// Streams that came unannounced.
    streams: Vec<u32>,
    sequence: u64,
    stats: PeerStats,
    phase: Phase,
    heard: Instant,
    channel_buffer: usize,
    disconnected_after: Duration,
    failed_after: Duration,
}

impl State {
    /// With these addresses to be reached at.
    pub fn new(settings: &PeerSettings, locals: &[Candidate], now: Instant) -> Self {
        let mut config = RtcConfig::new()
            .set_crypto_provider(Arc::new(crypto::provider()))
            .clear_codecs()
            .set_rtp_mode(true)
            // No bandwidth estimate and no retransmission for a voice.
            .set_extension_map(ExtensionMap::empty())
            .set_extension(4, Extension::RtpMid)
            .set_sctp_max_buffered_amount(NO_LIMIT);
        config.codec_config().add_config(
            Pt::from(OPUS_PAYLOAD_TYPE),
            None,
            Codec::Opus,
            Frequency::FORTY_EIGHT_KHZ,
            // What RFC 7587 wants to be said, of one channel or two.
            Some(2),
            FormatParams {
                min_p_time: Some(10),
                use_inband_fec: Some(settings.fec),
                use_dtx: settings.dtx.then_some(true),
                ..FormatParams::default()
            },
        );
        let keep_alive = KEEP_ALIVE.min(settings.disconnected_after / 2);
        let patience = settings.disconnected_after + settings.failed_after;
        let tries = patience.as_millis() / keep_alive.as_millis().max(1);
        config.set_max_stun_rto(keep_alive);
        // We give up, and not the stack.
        config.set_max_stun_retransmits(tries as usize + 9);
        let mut rtc = config.build(now);
        for local in locals {
            rtc.add_local_candidate(local.clone());
        }
        Self {
            rtc,
            events: VecDeque::new(),
            deadline: now + FAR,
            offered: None,
            channel: None,
            opened: false,
            mid: None,
            limits: Limits::default(),
            streams: Vec::new(),
            sequence: u64::from(super::random() as u16 >> 1),
            stats: PeerStats::default(),
            phase: Phase::New,
            heard: now,
            channel_buffer: settings.channel_buffer,
            disconnected_after: settings.disconnected_after,
            failed_after: settings.failed_after,
        }
    }

    /// Our offer.
    pub fn offer(&mut self) -> Result<String, PeerError> {
        let mut changes = self.rtc.sdp_api();
        let name = || Some("voice".to_owned());
        let stream = Some("stapes".to_owned());
        let mid = changes.add_media(MediaKind::Audio, Direction::SendRecv, stream, name(), None);
        let channel = changes.add_channel(CHANNEL.to_owned());
        let (offer, pending) = changes
            .apply()
            .ok_or_else(|| PeerError::Local("the stack makes no offer".to_owned()))?;
        self.mid = Some(mid);
        self.channel = Some(channel);
        self.offered = Some(pending);
        Ok(description::whole(&offer.to_sdp_string()))
    }

    /// Takes the answer to our offer.
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
        self.agreed(&known)?;
        self.tick(now, send);
        Ok(())
    }

    /// Our answer to an offer.
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
        self.mid = description::sound(&answer).map(Mid::from);
        self.agreed(&known)?;
        self.tick(now, send);
        Ok(description::whole(&answer))
    }

    fn agreed(&mut self, theirs: &str) -> Result<(), PeerError> {
        self.limits = Limits::of(theirs);
        let media = self.mid.and_then(|mid| self.rtc.media(mid));
        if media.is_none_or(|media| media.remote_pts().is_empty()) {
            return Err(PeerError::Description("it has no Opus in it".to_owned()));
        }
        Ok(())
    }

    /// Puts a text into the data channel, if there is room for it. A message that is longer than all
    /// of the room goes alone.
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

    /// What the far side has not acknowledged, in bytes.
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
            // Nobody could hear it.
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

    /// Takes a datagram that came from `source` to `local`.
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
            // Neither STUN nor DTLS nor RTP: not for us.
            return;
        };
        self.heard = now;
        if self.phase == Phase::Silent {
            self.phase = Phase::Connected;
            self.say(PeerState::Connected);
        }
        self.expect(datagram);
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

    /// Lets a stream of sound in that neither the description nor the packet itself names: there is
    /// one track, and nothing else that it could belong to.
    fn expect(&mut self, datagram: &[u8]) {
        let [first, kind, _, _, _, _, _, _, a, b, c, d, ..] = *datagram else {
            return;
        };
        let is_rtp = (128..192).contains(&first) && !(192..224).contains(&kind);
        if !is_rtp || self.limits.names_streams {
            return;
        }
        let ssrc = u32::from_be_bytes([a, b, c, d]);
        let Some(mid) = self.mid.filter(|_| !self.streams.contains(&ssrc)) else {
            return;
        };
        if self.streams.len() < MOST_STREAMS {
            self.streams.push(ssrc);
            let mut direct = self.rtc.direct_api();
            direct.expect_stream_rx(Ssrc::from(ssrc), None, mid, None);
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant, send: impl FnMut(&Transmit)) {
        if self.has_ended() {
            return;
        }
        if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
            return self.fail(&error);
        }
        self.drain(now, send);
    }

    /// Says goodbye and goes.
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
        self.say(PeerState::Closed);
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
                Ok(Output::Event(event)) => self.take(event),
                Ok(Output::Timeout(at)) => {
                    self.deadline = at.min(now + FAR);
                    break;
                }
                Err(error) => return self.fail(&error),
            }
        }
        if !self.has_ended() {
            self.mind_silence(now);
        }
    }

    fn mind_silence(&mut self, now: Instant) {
        if !self.is_connected() {
            return;
        }
        let silent_at = self.heard + self.disconnected_after;
        let failed_at = silent_at + self.failed_after;
        if now >= failed_at {
            self.end(Phase::Failed);
            self.say(PeerState::Failed);
        } else if now >= silent_at {
            if self.phase != Phase::Silent {
                self.phase = Phase::Silent;
                self.say(PeerState::Disconnected);
            }
            self.deadline = self.deadline.min(failed_at);
        } else {
            self.deadline = self.deadline.min(silent_at);
        }
    }

    fn take(&mut self, event: Event) {
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
                IceConnectionState::Checking => self.say(PeerState::Connecting),
                IceConnectionState::Connected | IceConnectionState::Completed
                    if self.phase == Phase::New =>
                {
                    self.phase = Phase::Reached;
                    self.say(PeerState::Reached);
                }
                _ => {}
            },
            Event::Connected => {
                self.phase = Phase::Connected;
                self.say(PeerState::Connected);
            }
            Event::ChannelOpen(id, label) => {
                // What is not ours of the far side's channels is left alone.
                if self.channel.is_none() && label == CHANNEL {
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
            Event::Closed if self.opened => {
                self.opened = false;
                self.events.push_back(PeerEvent::ChannelClosed);
            }
            Event::Closed => self.say(PeerState::Closed),
            _ => {}
        }
    }

    fn take_packet(&mut self, packet: RtpPacket) {
        self.stats.packets_received += 1;
        self.stats.bytes_received += packet.payload.len() as u64;
        self.events.push_back(PeerEvent::Opus(Received {
            ssrc: *packet.header.ssrc,
            sequence: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            payload: Bytes::from_owner(packet.payload),
        }));
    }

    fn say(&mut self, state: PeerState) {
        self.events.push_back(PeerEvent::Changed(state));
    }

    fn fail(&mut self, error: &RtcError) {
        debug!(%error, "the call's connection failed");
        self.end(Phase::Failed);
        self.say(PeerState::Failed);
    }

    fn end(&mut self, phase: Phase) {
        self.rtc.disconnect();
        self.phase = phase;
        self.opened = false;
        // Nothing is due any more.
        self.deadline += FAR;
    }
}

fn refused(error: &dyn std::fmt::Display) -> PeerError {
    PeerError::Description(error.to_string())
}
