//! Calls over WebRTC: a browser's offer answered, and its line driven.
//!
//! [`answer`] makes the answer; [`WebRtcLine::run`] then moves sound and messages between the page and the
//! [`CallLine`] of its call, whose codec is [`carrier`]. [`Offers`] are those that come by HTTP.

mod candidates;
mod line;
mod options;
mod pending;
mod whip;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

pub use self::line::PipelineError;
pub use self::options::WebRtcCallOptions;
pub use self::pending::{PendingOffer, PendingOffers};
pub use self::whip::Offers;

use self::line::Pipelines;
use super::carrier::Carrier;
use super::carriers::webrtc::WebRtcPage;
use super::line::CallLine;
use crate::transport::net::Tls;
use crate::transport::net::addresses::towards;
use crate::transport::webrtc::{Peer as _, PeerError, PeerSettings, StackPeer};

/// The label of the page's data channel.
const CHANNEL: &str = "stapes";

/// Addresses outside of all networks, for documentation (RFC 5737 and 3849): the way to them is the way out.
const OUTSIDE_IPV4: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);
const OUTSIDE_IPV6: (Ipv6Addr, u16) = (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9);

/// Why an offer is not answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    #[error("the offer cannot be answered: {0}")]
    Offer(String),
    #[error(
        "none of this server's addresses may be named to pages: allow private_addresses, or give \
         public_addresses"
    )]
    NoAddress,
    #[error("too many offers were answered whose calls have not started (max_pending): try again")]
    Busy,
    #[error("{0}")]
    Local(String),
}

/// The line of a page whose offer was answered, and which nobody drives yet.
pub struct WebRtcLine {
    peer: StackPeer,
    options: Arc<WebRtcCallOptions>,
    pipelines: Pipelines,
    has_messages: bool,
    /// Its place among the offers whose calls have not started.
    pending: PendingOffer,
}

impl fmt::Debug for WebRtcLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebRtcLine").finish_non_exhaustive()
    }
}

/// Answers a page's offer from the options' addresses, or else from `local`. Returns the answer, with all
/// candidates, and the line, which is one of the offers that wait until its call has started. Must be called within a
/// tokio runtime.
pub async fn answer(
    offer: &str,
    local: IpAddr,
    options: &Arc<WebRtcCallOptions>,
    waiting: &PendingOffers,
) -> Result<(String, WebRtcLine), AnswerError> {
    let pending = waiting.add(options.max_pending).ok_or(AnswerError::Busy)?;
    if !offer.starts_with("v=0") {
        return Err(AnswerError::Offer(
            "it is no session description (SDP)".to_owned(),
        ));
    }
    let mut pipelines =
        Pipelines::new(options).map_err(|error| AnswerError::Local(error.to_string()))?;
    let peer = StackPeer::new(&settings(local, options))
        .await
        .map_err(|error| AnswerError::Local(error.to_string()))?;
    let answer = peer.answer(offer).await.map_err(|error| match error {
        PeerError::Description(why) => AnswerError::Offer(why),
        other => AnswerError::Local(other.to_string()),
    })?;
    let limited = pipelines.limit(peer.packet_limits().max_bitrate);
    limited.map_err(|error| AnswerError::Local(error.to_string()))?;
    let answer = candidates::shown(
        &answer,
        &options.public_addresses,
        options.private_addresses,
    );
    if candidates::count(&answer) == 0 {
        return Err(AnswerError::NoAddress);
    }
    // Its port is 0 where the offer's data channel is refused (RFC 3264, section 6).
    let mut media = answer
        .lines()
        .filter_map(|it| it.strip_prefix("m=application "));
    let has_messages = media.any(|it| !it.starts_with("0 "));
    let line = WebRtcLine {
        peer,
        options: Arc::clone(options),
        pipelines,
        has_messages,
        pending,
    };
    Ok((answer, line))
}

fn settings(local: IpAddr, options: &WebRtcCallOptions) -> PeerSettings {
    PeerSettings {
        local: addresses(local, options),
        is_bound: !options.local_addresses.is_empty(),
        channel: CHANNEL,
        ice_servers: options.ice_servers.clone(),
        ice_server_timeout: options.ice_server_timeout,
        tls: Tls::default(),
        channel_buffer: options.channel_buffer,
        disconnected_after: options.disconnected_after,
        // The line gives up first; this is a fallback.
        failed_after: options.disconnected_grace * 2 + Duration::from_secs(5),
        dtx: options.encoder.dtx,
        fec: true,
    }
}

/// The addresses of this machine that a page is to reach, which asked at `local`.
fn addresses(local: IpAddr, options: &WebRtcCallOptions) -> Vec<IpAddr> {
    let mut addresses = options.local_addresses.clone();
    if addresses.is_empty() && local.to_canonical().is_loopback() {
        // A proxy on this machine has asked. What comes to its public addresses comes to those that lead out.
        let outside = |public: &IpAddr| match public {
            IpAddr::V4(_) => towards(SocketAddr::from(OUTSIDE_IPV4)),
            IpAddr::V6(_) => towards(SocketAddr::from(OUTSIDE_IPV6)),
        };
        addresses.extend(options.public_addresses.iter().filter_map(outside));
        addresses.sort_unstable();
        addresses.dedup();
    }
    if addresses.is_empty() {
        addresses.push(local);
    }
    // An IPv4 address that is written as an IPv6 one is a candidate that nobody reaches.
    addresses.iter().map(IpAddr::to_canonical).collect()
}

/// The codec of a call whose line this will be.
pub fn carrier() -> Box<dyn Carrier> {
    Box::<WebRtcPage>::default()
}

impl WebRtcLine {
    /// Drives the line until it ends. `id` names the call where the page does not.
    pub async fn run(self, line: Arc<CallLine>, id: String) {
        // Boxed, because the future is large.
        Box::pin(line::drive(self, line, id)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_proxy_on_this_machine_a_call_is_where_its_public_addresses_lead() {
        let (here, near): (IpAddr, IpAddr) =
            ("127.0.0.1".parse().unwrap(), "10.1.2.3".parse().unwrap());
        let mut options = WebRtcCallOptions::default();
        assert_eq!(addresses(here, &options), [here]);
        options.public_addresses = vec![
            "203.0.113.7".parse().unwrap(),
            "203.0.113.8".parse().unwrap(),
        ];
        let outward = towards(SocketAddr::from(OUTSIDE_IPV4)).unwrap_or(here);
        assert_eq!(addresses(here, &options), [outward]);
        assert_eq!(
            addresses("::ffff:127.0.0.1".parse().unwrap(), &options),
            [outward]
        );
        assert_eq!(addresses(near, &options), [near]);
        options.local_addresses = vec![near];
        assert_eq!(addresses(here, &options), [near]);
    }
}
