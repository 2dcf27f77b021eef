//! The configuration of the stack for one call.

use std::sync::Arc;
use std::time::Duration;

use str0m::RtcConfig;
use str0m::format::{Codec, FormatParams};
use str0m::media::{Frequency, Pt};
use str0m::rtp::{Extension, ExtensionMap};

use super::crypto;
use crate::transport::webrtc::peer::{OPUS_PAYLOAD_TYPE, PeerSettings};

/// The longest interval between two checks that the far side is there.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// The stack's own limit of the data channel's buffer. [`State::write_text`](super::state::State)
/// enforces the real one, by whole messages.
const NO_LIMIT: usize = usize::MAX / 2;

/// The configuration for these settings: Opus alone, and one data channel.
pub(super) fn of(settings: &PeerSettings) -> RtcConfig {
    let mut config = RtcConfig::new()
        .set_crypto_provider(Arc::new(crypto::provider()))
        .clear_codecs()
        .set_rtp_mode(true)
        // A voice needs no bandwidth estimate and no retransmission.
        .set_extension_map(ExtensionMap::empty())
        .set_extension(4, Extension::RtpMid)
        .set_sctp_max_buffered_amount(NO_LIMIT);
    config.codec_config().add_config(
        Pt::from(OPUS_PAYLOAD_TYPE),
        None,
        Codec::Opus,
        Frequency::FORTY_EIGHT_KHZ,
        // RFC 7587 requires `opus/48000/2`, for one channel or two.
        Some(2),
        FormatParams {
            min_p_time: Some(10),
            use_inband_fec: Some(settings.fec),
            use_dtx: settings.dtx.then_some(true),
            ..FormatParams::default()
        },
    );
    let keep_alive = KEEP_ALIVE.min(settings.disconnected_after / 2);
    let timeout = settings.disconnected_after + settings.failed_after;
    let tries = timeout.as_millis() / keep_alive.as_millis().max(1);
    config.set_max_stun_rto(keep_alive);
    // `State` detects the timeout; the stack must not give up first.
    config.set_max_stun_retransmits(tries as usize + 9);
    config
}
