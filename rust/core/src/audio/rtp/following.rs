//! The settings of an encoder that follows what the far side reports of its packets.

use std::time::Duration;

use super::rate::{RateController, Report, Target};
use crate::audio::opus::{Application, EncoderSettings};
use crate::audio::passthrough::PacketLimits;

/// The most bits per second of a voice whose packets carry copies, and of one whose bitrate the codec
/// chooses; and the least effort with copies.
const MOST_WITH_FEC: u32 = 40_000;
const MOST_OF_CODEC: u32 = 32_000;
const LEAST_COMPLEXITY: u32 = 5;

/// The encoder of one stream, as its options have it, and as the network wants it.
#[derive(Clone, Debug)]
pub struct Following {
    encoder: EncoderSettings,
    min_bitrate: u32,
    controller: RateController,
    last: Report,
}

impl Following {
    /// Takes `min_bitrate` bits per second at least, however narrow the network is.
    pub fn new(encoder: EncoderSettings, min_bitrate: u32) -> Self {
        let most = encoder.bitrate.unwrap_or(MOST_OF_CODEC);
        Self {
            encoder,
            min_bitrate,
            controller: RateController::new(min_bitrate, most),
            last: Report::default(),
        }
    }

    /// Begins anew with a far side that takes so many bits per second at most (RFC 7587, section 6.1). Returns
    /// the settings from now on.
    pub fn limit(&mut self, max_bitrate: u32) -> EncoderSettings {
        let most = self.encoder.bitrate.unwrap_or(MOST_OF_CODEC);
        if max_bitrate < most {
            self.encoder.bitrate = Some(max_bitrate);
            self.controller = RateController::new(self.min_bitrate, max_bitrate);
        }
        self.encoder
    }

    /// Takes a report. Returns the settings from now on.
    pub fn report(&mut self, report: Report, now: Duration) -> EncoderSettings {
        self.last = report;
        adapted(self.encoder, self.controller.report(report, now))
    }

    /// Which packets of somebody else's may be sent in place of the encoder's to a far side that takes
    /// `limits`. `None`: none of them, for this encoder does what they do not: it protects them against loss,
    /// or makes them fit a narrow network. What was asked of the encoder holds for them as well.
    pub fn passes(&self, limits: PacketLimits) -> Option<PacketLimits> {
        let Target { bitrate, fec, .. } = self.controller.target();
        let most = self.encoder.bitrate.unwrap_or(MOST_OF_CODEC);
        let is_free = !fec && !self.encoder.fec && bitrate >= most;
        is_free.then(|| PacketLimits {
            max_bitrate: self
                .encoder
                .bitrate
                .map_or(limits.max_bitrate, |most| most.min(limits.max_bitrate)),
            ..limits
        })
    }

    /// The last report.
    pub fn last(&self) -> Report {
        self.last
    }
}

/// The settings for what the network carries. Only the codec's mode for speech has FEC, so a voice without it
/// is encoded otherwise while packets are lost.
fn adapted(encoder: EncoderSettings, target: Target) -> EncoderSettings {
    let most = encoder.bitrate.unwrap_or(MOST_OF_CODEC);
    let mut adapted = EncoderSettings {
        bitrate: encoder.bitrate,
        ..encoder
    };
    if target.bitrate < most {
        adapted.bitrate = Some(target.bitrate);
    }
    if target.fec && !encoder.fec {
        adapted.application = Application::Voip;
        adapted.complexity = encoder.complexity.map(|it| it.max(LEAST_COMPLEXITY));
        adapted.bitrate = Some(target.bitrate.min(MOST_WITH_FEC));
        adapted.fec = true;
    }
    if target.fec {
        let percent = (100.0 * target.loss).ceil() as u32;
        adapted.expected_loss = encoder.expected_loss.max(percent.min(100));
    }
    adapted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_passed_on_while_the_network_carries_them() {
        let encoder = EncoderSettings {
            bitrate: Some(72_000),
            ..EncoderSettings::default()
        };
        let limits = PacketLimits::default();
        let mut following = Following::new(encoder, 16_000);
        let passes = |it: &Following| it.passes(limits).map(|it| it.max_bitrate);
        assert_eq!(passes(&following), Some(72_000));
        let lossy = |lost| Report {
            lost,
            ..Report::default()
        };
        following.report(lossy(0.01), Duration::from_secs(1));
        assert_eq!(passes(&following), Some(72_000));
        following.report(lossy(0.2), Duration::from_secs(2));
        assert_eq!(passes(&following), None);
        for second in 3..60 {
            following.report(lossy(0.0), Duration::from_secs(second));
        }
        assert_eq!(passes(&following), Some(72_000));
        for second in 60..64 {
            following.report(lossy(0.05), Duration::from_secs(second));
        }
        assert_eq!(passes(&following), None, "packets carry copies");
        let asked = EncoderSettings {
            fec: true,
            ..encoder
        };
        assert_eq!(passes(&Following::new(asked, 16_000)), None);
    }

    #[test]
    fn the_far_side_is_sent_no_more_than_it_takes() {
        let settings = |bitrate| EncoderSettings {
            bitrate,
            ..EncoderSettings::default()
        };
        for (asked, takes, sent) in [
            (Some(72_000), 24_000, Some(24_000)),
            (Some(72_000), u32::MAX, Some(72_000)),
            (Some(20_000), 24_000, Some(20_000)),
            // Less than the least that the network is asked for.
            (Some(72_000), 6_000, Some(6_000)),
            (None, u32::MAX, None),
            (None, 24_000, Some(24_000)),
        ] {
            let mut following = Following::new(settings(asked), 16_000);
            assert_eq!(following.limit(takes).bitrate, sent);
            for second in 0..30 {
                let report = Report {
                    lost: if second < 5 { 0.3 } else { 0.0 },
                    ..Report::default()
                };
                let settings = following.report(report, Duration::from_secs(second));
                assert!(settings.bitrate.unwrap_or(0) <= takes, "{settings:?}");
            }
        }
    }

    #[test]
    fn loss_brings_fec_and_a_narrow_network_a_lower_bitrate() {
        let encoder = EncoderSettings {
            application: Application::LowDelay,
            bitrate: Some(72_000),
            complexity: Some(1),
            ..EncoderSettings::default()
        };
        let target = |bitrate, fec, loss| adapted(encoder, Target { bitrate, fec, loss });
        assert_eq!(target(72_000, false, 0.01), encoder);
        let narrow = target(30_000, false, 0.0);
        assert_eq!(narrow.bitrate, Some(30_000));
        assert_eq!(narrow.application, Application::LowDelay);
        let lossy = target(72_000, true, 0.052);
        assert_eq!(lossy.application, Application::Voip);
        assert_eq!((lossy.fec, lossy.expected_loss), (true, 6));
        assert_eq!((lossy.bitrate, lossy.complexity), (Some(40_000), Some(5)));
        // Who has asked for FEC keeps it, and what they expect to lose.
        let asked = EncoderSettings {
            fec: true,
            expected_loss: 20,
            ..EncoderSettings::default()
        };
        let kept = adapted(
            asked,
            Target {
                bitrate: 32_000,
                fec: false,
                loss: 0.0,
            },
        );
        assert_eq!(kept, asked);
    }
}
