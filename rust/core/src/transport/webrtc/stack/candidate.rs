//! The local ICE candidates.

use std::net::SocketAddr;

use rtc::peer_connection::transport::{
    CandidateConfig, CandidateHostConfig, CandidateRelayConfig, CandidateServerReflexiveConfig,
    RTCIceCandidate, RTCIceCandidateInit,
};
use rtc::shared::error::Error;

/// A local candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Candidate {
    /// The address of one of our sockets.
    Host(SocketAddr),
    /// The address of the socket at `base` as a server sees it.
    Reflexive { at: SocketAddr, base: SocketAddr },
    /// The address at which a server relays to the socket at `base`.
    Relayed { at: SocketAddr, base: SocketAddr },
}

impl Candidate {
    #[cfg(test)]
    pub fn addr(&self) -> SocketAddr {
        match *self {
            Self::Host(at) | Self::Reflexive { at, .. } | Self::Relayed { at, .. } => at,
        }
    }

    /// As the stack is told of it.
    pub fn describe(&self) -> Result<RTCIceCandidateInit, Error> {
        let at = |address: SocketAddr| CandidateConfig {
            network: "udp".to_owned(),
            address: address.ip().to_string(),
            port: address.port(),
            component: 1,
            ..CandidateConfig::default()
        };
        let candidate = match *self {
            Self::Host(address) => CandidateHostConfig {
                base_config: at(address),
                ..CandidateHostConfig::default()
            }
            .new_candidate_host(),
            Self::Reflexive { at: address, base } => CandidateServerReflexiveConfig {
                base_config: at(address),
                rel_addr: base.ip().to_string(),
                rel_port: base.port(),
                ..CandidateServerReflexiveConfig::default()
            }
            .new_candidate_server_reflexive(),
            Self::Relayed { at: address, base } => CandidateRelayConfig {
                base_config: at(address),
                rel_addr: base.ip().to_string(),
                rel_port: base.port(),
                ..CandidateRelayConfig::default()
            }
            .new_candidate_relay(),
        }?;
        RTCIceCandidate::from(&candidate).to_json()
    }
}
