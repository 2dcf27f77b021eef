//! What comes in over RTP and RTCP, taken from the stack as soon as it is decrypted, whatever its stream
//! (SSRC).
//!
//! The stack hands out the streams that the description names, and one more. A server may begin another
//! stream at any time, without a name: there is only one track that it can belong to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rtc::interceptor::{Interceptor, Packet, Registry, Slot, StreamInfo, TaggedPacket};
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtp;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

use crate::audio::rtp::rate::Report;

/// The place in the stack's chain: behind what counts packets for the reports to the far side, and on the
/// way of ours.
const PLACE: usize = 10_500;

/// The most reports that wait, and of ours whose answers are awaited.
const MAX_REPORTS: usize = 16;

/// What has come.
#[derive(Clone, Default)]
pub(super) struct Inbound(Arc<Mutex<Arrived>>);

#[derive(Default)]
struct Arrived {
    packets: VecDeque<rtp::Packet>,
    /// Each with the stream that it is about.
    reports: VecDeque<(u32, Report)>,
}

impl Inbound {
    /// Adds what takes the packets to the stack's chain.
    pub fn install(&self, registry: Registry) -> Registry {
        let tap = Tap {
            inbound: self.clone(),
            sent: VecDeque::new(),
            outgoing: VecDeque::new(),
        };
        registry.with(Slot::from(PLACE), tap)
    }

    pub fn packet(&self) -> Option<rtp::Packet> {
        self.arrived().packets.pop_front()
    }

    /// The next report about a stream of ours.
    pub fn report(&self) -> Option<(u32, Report)> {
        self.arrived().reports.pop_front()
    }

    fn arrived(&self) -> MutexGuard<'_, Arrived> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes all packets out of the chain that come in, and lets those pass that go out.
struct Tap {
    inbound: Inbound,
    /// Our last reports: what they are named by in answers, and when they were sent.
    sent: VecDeque<(u32, Instant)>,
    outgoing: VecDeque<TaggedPacket>,
}

impl Tap {
    fn take_report(&self, report: &ReceptionReport, now: Instant) {
        let sent = self.sent.iter().rev();
        let mut sent = sent.filter(|(name, _)| *name == report.last_sender_report);
        // RFC 3550, section 6.4.1: the time since our report, without what the far side kept it.
        let kept = Duration::from_secs(1) * report.delay / 65_536;
        let round_trip = sent.next().map(|(_, at)| (now - *at).saturating_sub(kept));
        let taken = Report {
            lost: f64::from(report.fraction_lost) / 256.0,
            jitter: Duration::from_secs(1) * report.jitter / 48_000,
            round_trip,
        };
        let reports = &mut self.inbound.arrived().reports;
        if reports.len() < MAX_REPORTS {
            reports.push_back((report.ssrc, taken));
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Tap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, tagged: TaggedPacket) -> Result<(), Error> {
        match tagged.message.packet {
            Packet::Rtp(packet) => self.inbound.arrived().packets.push_back(packet),
            Packet::Rtcp(packets) => {
                for packet in &packets {
                    let packet = packet.as_any();
                    let receiver = packet.downcast_ref::<ReceiverReport>();
                    let sender = packet.downcast_ref::<SenderReport>();
                    let reports = receiver.map(|it| &it.reports);
                    let reports = reports.or(sender.map(|it| &it.reports));
                    for report in reports.into_iter().flatten() {
                        self.take_report(report, tagged.now);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        None
    }

    fn handle_write(&mut self, tagged: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &tagged.message.packet {
            let reports = packets.iter().map(|it| it.as_any());
            for report in reports.filter_map(|it| it.downcast_ref::<SenderReport>()) {
                if self.sent.len() == MAX_REPORTS {
                    self.sent.pop_front();
                }
                self.sent
                    .push_back(((report.ntp_time >> 16) as u32, tagged.now));
            }
        }
        self.outgoing.push_back(tagged);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outgoing.pop_front()
    }
}

impl Interceptor for Tap {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}

    fn unbind_local_stream(&mut self, _: &StreamInfo) {}

    fn bind_remote_stream(&mut self, _: &StreamInfo) {}

    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
