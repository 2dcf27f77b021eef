//! Offers and answers (SDP).

use std::net::SocketAddr;
use std::time::Instant;

use rtc::peer_connection::configuration::media_engine::MIME_TYPE_OPUS;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::RTCIceCandidateInit;

use super::{State, local};
use crate::transport::webrtc::peer::PeerError;
use crate::transport::webrtc::stack::description::{self, Limits};
use crate::transport::webrtc::stack::nomination::Credentials;

const NO_OPUS: &str = "it has no Opus in it";

impl State {
    /// Creates our offer.
    pub fn offer(&mut self) -> Result<String, PeerError> {
        let channel = self
            .rtc
            .create_data_channel(self.label, None)
            .map_err(|error| local(&error))?;
        self.channel = Some(channel.id());
        let offer = self.rtc.create_offer(None).map_err(|error| local(&error))?;
        self.rtc
            .set_local_description(self.last_received, offer)
            .map_err(|error| local(&error))?;
        self.description()
    }

    /// Our description, with all candidates.
    fn description(&mut self) -> Result<String, PeerError> {
        let end = RTCIceCandidateInit::default();
        self.rtc
            .add_local_candidate(end)
            .map_err(|error| local(&error))?;
        let ours = self.rtc.local_description();
        let ours = ours.ok_or_else(|| PeerError::Local("the stack makes no offer".to_owned()))?;
        Ok(ours.sdp)
    }

    /// Applies the answer to our offer.
    pub fn accept(
        &mut self,
        answer: &str,
        now: Instant,
        send: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) -> Result<(), PeerError> {
        let adapted = description::adapted(answer);
        let theirs = RTCSessionDescription::answer(adapted).map_err(|error| refused(&error))?;
        self.rtc
            .set_remote_description(now, theirs)
            .map_err(|error| refused(&error))?;
        let ours = self.rtc.local_description();
        self.credentials = ours.and_then(|ours| Credentials::of(&ours.sdp, answer, true));
        self.check_description(answer)?;
        self.tick(now, send);
        Ok(())
    }

    /// Applies an offer and creates our answer.
    pub fn answer(
        &mut self,
        offer: &str,
        now: Instant,
        send: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) -> Result<String, PeerError> {
        if !description::has_opus(offer) {
            return Err(PeerError::Description(NO_OPUS.to_owned()));
        }
        let adapted = description::adapted(offer);
        let theirs = RTCSessionDescription::offer(adapted).map_err(|error| refused(&error))?;
        self.rtc
            .set_remote_description(now, theirs)
            .map_err(|error| refused(&error))?;
        let answer = self
            .rtc
            .create_answer(None)
            .map_err(|error| refused(&error))?;
        self.rtc
            .set_local_description(now, answer)
            .map_err(|error| refused(&error))?;
        let ours = self.description()?;
        self.credentials = Credentials::of(&ours, offer, false);
        let credentials = self.credentials.as_ref();
        self.following = credentials.and_then(Credentials::following);
        self.check_description(offer)?;
        self.tick(now, send);
        Ok(ours)
    }

    /// Reads the limits of the far side's description, and checks that it takes sound and has Opus.
    fn check_description(&mut self, theirs: &str) -> Result<(), PeerError> {
        self.limits = Limits::of(theirs);
        if let Some(why) = description::audio_refused(theirs) {
            return Err(PeerError::Description(why.to_owned()));
        }
        let sender = self.rtc.rtp_sender(self.sender);
        let codecs = sender.map(|mut it| it.get_parameters().rtp_parameters.codecs.clone());
        let opus = codecs.unwrap_or_default().into_iter().find(|codec| {
            codec
                .rtp_codec
                .mime_type
                .eq_ignore_ascii_case(MIME_TYPE_OPUS)
        });
        let Some(opus) = opus else {
            return Err(PeerError::Description(NO_OPUS.to_owned()));
        };
        self.payload_type = opus.payload_type;
        Ok(())
    }
}

fn refused(error: &dyn std::fmt::Display) -> PeerError {
    PeerError::Description(error.to_string())
}
