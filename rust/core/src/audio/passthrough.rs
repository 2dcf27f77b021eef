//! Opus that is passed on as it came, from one RTP stream to another, and who takes it.

use std::time::Duration;

use bytes::Bytes;

/// Ticks of the RTP clock in a second, at every rate of the codec (RFC 7587, section 4.1).
const CLOCK_RATE: u32 = 48_000;

/// The longest packet of Opus: 120 ms (RFC 6716, section 3.2.5).
const LONGEST: u32 = CLOCK_RATE * 120 / 1_000;

/// How long a stream is decoded after a packet that the far side does not take: to change for one packet
/// would be heard twice.
const DECODED_FOR: u32 = 10 * CLOCK_RATE;

/// The bit of a packet's first byte that says that it has two channels (RFC 6716, section 3.1).
const STEREO: u8 = 0b100;

/// A piece of a stream that nobody decodes here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// A packet; `None`: one that is lost, or a pause. The far side's decoder fills it, from the copy in the
    /// next packet where there is one.
    pub payload: Option<Bytes>,
    /// Its duration, in ticks of 1/48,000 s.
    pub ticks: u32,
}

impl Passed {
    /// 20 ms of digital silence, which takes no encoder: the transform (CELT), one channel, one frame, and
    /// in it the flag for silence (RFC 6716, section 4.3).
    pub const SILENCE: Self = Self {
        payload: Some(Bytes::from_static(&[0xf8, 0xff, 0xfe])),
        ticks: CLOCK_RATE / 50,
    };

    pub fn duration(&self) -> Duration {
        Duration::from_micros(u64::from(self.ticks) * 125 / 6)
    }

    pub fn ms(&self) -> f64 {
        f64::from(self.ticks) * 1000.0 / f64::from(CLOCK_RATE)
    }

    /// Its length in samples at a rate of Opus.
    pub fn samples(&self, rate: u32) -> usize {
        samples(u64::from(self.ticks), rate)
    }
}

/// The length of so many ticks in samples.
pub fn samples(ticks: u64, rate: u32) -> usize {
    (ticks * u64::from(rate) / u64::from(CLOCK_RATE)) as usize
}

/// Which packets a far side takes as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketLimits {
    /// Packets of two channels.
    pub stereo: bool,
    /// The longest packet, in ticks of 1/48,000 s.
    pub max_ticks: u32,
    /// Bits per second, RTP not included.
    pub max_bitrate: u32,
}

impl PacketLimits {
    /// All that is Opus.
    pub const ANY: Self = Self {
        stereo: true,
        max_ticks: LONGEST,
        max_bitrate: u32::MAX,
    };
}

impl Default for PacketLimits {
    /// Of a far side that says nothing (RFC 7587, section 6.1): one channel, at any bitrate.
    fn default() -> Self {
        Self {
            stereo: false,
            ..Self::ANY
        }
    }
}

/// The bitrate of packets, over about a second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bitrate(f64);

impl Bitrate {
    pub fn add(&mut self, bytes: usize, ticks: u32) {
        let seconds = f64::from(ticks.max(1)) / f64::from(CLOCK_RATE);
        let this = bytes as f64 * 8.0 / seconds;
        let known = if self.0 > 0.0 { self.0 } else { this };
        self.0 = known + (this - known) * seconds.min(1.0);
    }

    /// Bits per second.
    pub fn get(self) -> u32 {
        self.0 as u32
    }
}

/// Decides which pieces of a stream are passed on, and which are decoded.
#[derive(Debug, Default)]
pub struct Passing {
    bitrate: Bitrate,
    /// For how many ticks more the stream is decoded.
    decoded_for: u32,
}

impl Passing {
    /// Whether the next piece is passed on, to a far side with these limits; `None`: it takes no packets.
    pub fn passes(&mut self, piece: &Passed, limits: Option<PacketLimits>) -> bool {
        if let Some(payload) = &piece.payload {
            self.bitrate.add(payload.len(), piece.ticks);
        }
        let Some(limits) = limits else {
            return false;
        };
        self.decoded_for = self.decoded_for.saturating_sub(piece.ticks);
        if !self.fits(piece, limits) {
            self.decoded_for = DECODED_FOR;
        }
        self.decoded_for == 0
    }

    fn fits(&self, piece: &Passed, limits: PacketLimits) -> bool {
        let Some(payload) = &piece.payload else {
            return true;
        };
        let is_stereo = payload.first().is_some_and(|toc| toc & STEREO != 0);
        (limits.stereo || !is_stereo)
            && piece.ticks <= limits.max_ticks
            && self.bitrate.get() <= limits.max_bitrate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(toc: u8, length: usize, ticks: u32) -> Passed {
        let mut payload = vec![0; length];
        payload[0] = toc;
        Passed {
            payload: Some(payload.into()),
            ticks,
        }
    }

    #[test]
    fn what_the_far_side_takes_is_passed_on() {
        let mut passing = Passing::default();
        let limits = Some(PacketLimits::default());
        let gap = Passed {
            payload: None,
            ticks: 960,
        };
        for piece in [packet(0x78, 80, 960), gap, packet(0x78, 160, 2_880)] {
            assert!(passing.passes(&piece, limits), "{piece:?}");
            assert!(!passing.passes(&piece, None));
        }
    }

    #[test]
    fn after_what_it_does_not_take_the_stream_is_decoded_for_a_while() {
        let mono = packet(0x78, 80, 960);
        let narrow = PacketLimits {
            max_bitrate: 30_000,
            ..PacketLimits::default()
        };
        let short = PacketLimits {
            max_ticks: 960,
            ..PacketLimits::default()
        };
        for (odd, limits) in [
            (packet(0x7c, 80, 960), PacketLimits::default()),
            (packet(0x78, 80, 1_920), short),
            (packet(0x78, 8_000, 960), narrow),
        ] {
            let mut passing = Passing::default();
            assert!(!passing.passes(&odd, Some(limits)));
            let wide = Some(PacketLimits::default());
            let decoded = (0..1_000).take_while(|_| !passing.passes(&mono, wide));
            assert_eq!(decoded.count(), 499);
        }
    }

    #[test]
    fn a_bitrate_is_that_of_the_last_second() {
        let mut bitrate = Bitrate::default();
        bitrate.add(80, 960);
        assert_eq!(bitrate.get(), 32_000);
        for _ in 0..200 {
            bitrate.add(160, 960);
        }
        assert!((63_000..=64_000).contains(&bitrate.get()), "{bitrate:?}");
    }

    #[cfg(feature = "opus")]
    #[test]
    fn the_packet_of_silence_is_silence() {
        let mut out = Vec::new();
        let mut decoder = crate::audio::opus::OpusDecoder::new(24_000).unwrap();
        let silence = Passed::SILENCE;
        decoder
            .decode_i16(&silence.payload.unwrap(), &mut out)
            .unwrap();
        assert_eq!(out, [0; 480]);
    }
}
