//! Offers and answers (SDP).

use std::net::SocketAddr;
use std::time::Instant;

use rtc::peer_connection::configuration::media_engine::MIME_TYPE_OPUS;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::RTCIceCandidateInit;

use super::{State, local};
use crate::transport::webrtc::peer::PeerError;
use crate::transport::webrtc::stack::description::{self, Limits, Refusal};
use crate::transport::webrtc::stack::nomination::Credentials;

impl From<Refusal> for PeerError {
    fn from(refusal: Refusal) -> Self {
        Self::Description(refusal.to_string())
    }
}

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
        let ours = self.rtc.local_description();
        let ours = ours.ok_or_else(|| PeerError::Local("it has made no offer".to_owned()))?;
        let answered = description::answered(answer, &ours.sdp, self.most_candidates)?;
        let theirs = RTCSessionDescription::answer(answered.text.clone());
        self.rtc
            .set_remote_description(now, theirs.map_err(|error| refused(&error))?)
            .map_err(|error| refused(&error))?;
        self.credentials = Credentials::of(&ours.sdp, &answered.text, true);
        self.keep_to(answered.limits)?;
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
        let offered = description::offered(offer, self.most_candidates)?;
        let theirs = RTCSessionDescription::offer(offered.text.clone());
        self.rtc
            .set_remote_description(now, theirs.map_err(|error| refused(&error))?)
            .map_err(|error| refused(&error))?;
        let answer = self
            .rtc
            .create_answer(None)
            .map_err(|error| refused(&error))?;
        self.rtc
            .set_local_description(now, answer)
            .map_err(|error| refused(&error))?;
        let ours = self.description()?;
        let answer = offered.answered(&ours)?;
        self.credentials = Credentials::of(&ours, &offered.text, false);
        let credentials = self.credentials.as_ref();
        self.following = credentials.and_then(Credentials::following);
        self.keep_to(offered.limits)?;
        self.tick(now, send);
        Ok(answer)
    }

    /// Keeps to the limits of the far side's description from now on, with the Opus that was agreed on.
    fn keep_to(&mut self, limits: Limits) -> Result<(), PeerError> {
        self.limits = limits;
        let sender = self.rtc.rtp_sender(self.sender);
        let codecs = sender.map(|mut it| it.get_parameters().rtp_parameters.codecs.clone());
        let opus = codecs.unwrap_or_default().into_iter().find(|codec| {
            codec
                .rtp_codec
                .mime_type
                .eq_ignore_ascii_case(MIME_TYPE_OPUS)
        });
        let Some(opus) = opus else {
            return Err(Refusal::NoOpus.into());
        };
        self.payload_type = opus.payload_type;
        Ok(())
    }
}

fn refused(error: &dyn std::fmt::Display) -> PeerError {
    PeerError::Description(error.to_string())
}

#[cfg(test)]
mod tests;
