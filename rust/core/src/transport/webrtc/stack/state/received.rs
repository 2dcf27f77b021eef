//! What has come in, as events.

use std::time::Instant;

use bytes::BytesMut;
use rtc::peer_connection::message::RTCMessage;
use rtc::sansio::Protocol;

use super::State;
use crate::transport::webrtc::peer::{PeerEvent, Received};

impl State {
    pub(super) fn take_messages(&mut self) {
        while let Some(tagged) = self.rtc.poll_read() {
            match tagged.message {
                RTCMessage::DataChannelMessage(id, message) if Some(id) == self.channel => {
                    self.take_message(message.is_string, message.data);
                }
                _ => {}
            }
        }
    }

    fn take_message(&mut self, is_text: bool, data: BytesMut) {
        self.events.push_back(if is_text {
            match String::from_utf8(data.into()) {
                Ok(text) => PeerEvent::Text(text),
                Err(error) => PeerEvent::Binary(error.into_bytes().into()),
            }
        } else {
            PeerEvent::Binary(data.freeze())
        });
    }

    pub(super) fn take_packets(&mut self, now: Instant) {
        while let Some(packet) = self.inbound.packet() {
            let header = &packet.header;
            if header.payload_type != self.payload_type {
                continue;
            }
            if !self.voice.hears(header.ssrc, header.sequence_number, now) {
                continue;
            }
            self.stats.packets_received += 1;
            self.stats.bytes_received += packet.payload.len() as u64;
            self.events.push_back(PeerEvent::Opus(Received {
                ssrc: packet.header.ssrc,
                sequence: packet.header.sequence_number,
                timestamp: packet.header.timestamp,
                payload: packet.payload,
            }));
        }
    }

    pub(super) fn take_reports(&mut self) {
        while let Some((ssrc, report)) = self.inbound.report() {
            if ssrc == self.ssrc {
                self.events.push_back(PeerEvent::Report(report));
            }
        }
    }
}
