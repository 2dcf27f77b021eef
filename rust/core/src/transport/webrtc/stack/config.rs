//! The configuration of the stack for one call: Opus alone, and one data channel.

use std::time::{Duration, Instant};

use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::interceptor_registry::configure_rtcp_reports;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::{
    SctpMaxMessageSize, SettingEngine, SettingEngineBuilder,
};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use rtc::shared::error::Error;

use super::inbound::Inbound;
use crate::transport::webrtc::peer::{OPUS_PAYLOAD_TYPE, PeerSettings};

/// The longest interval between two checks that the far side is there.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// The interval between two checks of a path while there is none.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// How often a path is checked before it is given up: `connect_timeout` ends earlier.
const CHECKS: u16 = 2000;

/// The longest message that we take, in bytes: the stack's most. It holds as many for each call.
pub(super) const MAX_MESSAGE: u32 = SctpMaxMessageSize::MAX_MESSAGE_SIZE;

/// A connection with these settings. What comes in goes to `inbound`.
pub(super) fn connection(
    settings: &PeerSettings,
    inbound: &Inbound,
    now: Instant,
) -> Result<RTCPeerConnection, Error> {
    let mut media = MediaEngine::default();
    media.register_codec(codec(settings), RtpCodecKind::Audio)?;
    RTCPeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::new().build())
        .with_setting_engine(engine(settings))
        .with_media_engine(media)
        .with_interceptor_registry(inbound.install(configure_rtcp_reports(Registry::new())))
        .build(now)
}

/// The track of the user's sound.
pub(super) fn track(settings: &PeerSettings, ssrc: u32) -> MediaStreamTrack {
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(ssrc),
            ..RTCRtpCodingParameters::default()
        },
        codec: codec(settings).rtp_codec,
        ..RTCRtpEncodingParameters::default()
    };
    MediaStreamTrack::new(
        "stapes".to_owned(),
        "voice".to_owned(),
        "voice".to_owned(),
        RtpCodecKind::Audio,
        vec![encoding],
    )
}

fn codec(settings: &PeerSettings) -> RTCRtpCodecParameters {
    let mut parameters = format!("minptime=10;useinbandfec={}", u8::from(settings.fec));
    if settings.dtx {
        parameters += ";usedtx=1";
    }
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: MIME_TYPE_OPUS.to_owned(),
            clock_rate: 48_000,
            // RFC 7587 requires `opus/48000/2`, for one channel or two.
            channels: 2,
            sdp_fmtp_line: parameters,
            rtcp_feedback: Vec::new(),
        },
        payload_type: OPUS_PAYLOAD_TYPE,
    }
}

fn engine(settings: &PeerSettings) -> SettingEngine {
    let keep_alive = KEEP_ALIVE.min(settings.disconnected_after / 2);
    // `State` detects the timeout; the stack must not give up first.
    let patience = settings.disconnected_after + settings.failed_after;
    SettingEngineBuilder::new()
        .with_ice_timeouts(Some(patience), Some(patience), Some(keep_alive))
        .with_ice_connection_attempts(Some(CHECK_INTERVAL), Some(CHECKS))
        .with_srflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_relay_acceptance_min_wait(Some(Duration::ZERO))
        .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(MAX_MESSAGE))
        .build()
}
