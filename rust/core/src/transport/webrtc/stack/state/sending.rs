//! What goes out: messages, the user's sound, and whatever the stack has to send.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use rtc::rtp::{Header, Packet};
use rtc::sansio::Protocol as _;
use rtc::shared::error::Error as StackError;
use rtc::shared::{TaggedBytesMut, TransportContext};

use super::{State, local};
use crate::transport::webrtc::peer::{Opus, PeerError};
use crate::transport::webrtc::stack::admission::is_rtp;

/// The result of writing messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transport::webrtc::stack) enum Written {
    All,
    /// The buffer is full until the far side acknowledges more.
    Full,
}

impl State {
    /// Writes texts to the data channel while its buffer has room, and takes them out of the queue. They
    /// share datagrams where they are short.
    pub fn write_texts(
        &mut self,
        texts: &mut VecDeque<String>,
        now: Instant,
        send: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) -> Result<Written, PeerError> {
        let mut written = Ok(Written::All);
        while let Some(text) = texts.front() {
            written = self.write_text(text, now);
            if written == Ok(Written::Full) {
                break;
            }
            texts.pop_front();
            if written.is_err() {
                break;
            }
        }
        self.last_exchanged = now;
        self.tick(now, send);
        written
    }

    /// A message that is longer than the whole buffer is sent alone.
    fn write_text(&mut self, text: &str, now: Instant) -> Result<Written, PeerError> {
        let bytes = text.len();
        if bytes > self.limits.message {
            return Err(PeerError::TooLong { bytes });
        }
        let id = self.channel.filter(|_| self.opened);
        let Some(mut channel) = id.and_then(|id| self.rtc.data_channel(id)) else {
            return Err(PeerError::Closed);
        };
        let held = channel.outstanding_bytes();
        if held > 0 && held + bytes > self.channel_buffer {
            return Ok(Written::Full);
        }
        match channel.send_text(now, text) {
            Ok(()) => Ok(Written::All),
            Err(StackError::ErrOutboundPacketTooLarge) => Err(PeerError::TooLong { bytes }),
            Err(error) => Err(local(&error)),
        }
    }

    /// Sends a packet of the user's sound.
    pub fn write_opus(
        &mut self,
        packet: &Opus,
        now: Instant,
        mut send: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) -> Result<(), PeerError> {
        if self.has_ended() {
            return Err(PeerError::Closed);
        }
        if !self.is_connected() {
            // What was said before the connection stood is lost, as on the network.
            return Ok(());
        }
        let header = Header {
            version: 2,
            marker: packet.marker,
            payload_type: self.payload_type,
            sequence_number: self.sequence,
            timestamp: packet.timestamp,
            ssrc: self.ssrc,
            ..Header::default()
        };
        let payload = packet.payload.clone();
        let mut sender = self.rtc.rtp_sender(self.sender).ok_or(PeerError::Closed)?;
        sender
            .write_rtp(now, Packet { header, payload })
            .map_err(|error| local(&error))?;
        self.sequence = self.sequence.wrapping_add(1);
        self.stats.packets_sent += 1;
        self.stats.bytes_sent += packet.payload.len() as u64;
        // No event and no deadline comes of it, and no other datagram after it: to ask for all of them costs
        // more than a tenth of what a packet does. What the stack has to send besides goes out with its tick.
        while let Some(datagram) = self.rtc.poll_write() {
            self.transmit_one(&datagram, now, &mut send);
            if is_rtp(&datagram.message) {
                break;
            }
        }
        Ok(())
    }

    /// Sends all that the stack has.
    pub(super) fn transmit(
        &mut self,
        now: Instant,
        send: &mut impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) {
        while let Some(datagram) = self.rtc.poll_write() {
            self.transmit_one(&datagram, now, send);
        }
    }

    fn transmit_one(
        &mut self,
        datagram: &TaggedBytesMut,
        now: Instant,
        send: &mut impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) {
        let TransportContext {
            local_addr,
            peer_addr,
            ..
        } = datagram.transport;
        let message = &datagram.message;
        if message.first().is_some_and(|first| *first >= 20) {
            self.path = Some((local_addr, peer_addr));
        }
        let is_connected = self.is_connected();
        let is_sent = self
            .admission
            .sends(message, local_addr, peer_addr, is_connected, now);
        if !is_sent {
            return;
        }
        if let Some(repeating) = &mut self.repeating {
            repeating.sent(message, local_addr, peer_addr);
        }
        let following = self.following.as_mut();
        let to = following.map_or(peer_addr, |it| it.send(message, peer_addr));
        send(local_addr, to, message);
    }
}
