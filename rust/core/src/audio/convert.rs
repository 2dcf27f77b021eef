//! Conversion between PCM at any rate and the formats of the wire, and between these formats.

use super::format::{AudioFormat, linear_encode};
use super::resample::{ResampleError, Resampler};

/// Turns PCM at any rate into a wire format. One stream: it holds the resampler's state.
#[derive(Debug)]
pub struct ToWire {
    format: AudioFormat,
    resampler: Option<Resampler>,
}

impl ToWire {
    pub fn new(format: AudioFormat) -> Self {
        Self {
            format,
            resampler: None,
        }
    }

    pub fn format(&self) -> AudioFormat {
        self.format
    }

    /// Whether a resampler may hold samples that have not come out.
    pub fn is_resampling(&self) -> bool {
        self.resampler.is_some()
    }

    /// Appends `samples`, which are at `rate`, to `out` in the wire format. A change of `rate` ends the
    /// stream, and begins a new one.
    pub fn push(
        &mut self,
        samples: &[i16],
        rate: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), ResampleError> {
        if rate == self.format.sample_rate() && self.resampler.is_none() {
            self.format.encode(samples, out);
            return Ok(());
        }
        let mut converted = Vec::new();
        self.push_samples(samples, rate, &mut converted)?;
        self.format.encode(&converted, out);
        Ok(())
    }

    /// As [`push`](Self::push), but appends samples at the rate of the format, not yet encoded.
    pub fn push_samples(
        &mut self,
        samples: &[i16],
        rate: u32,
        out: &mut Vec<i16>,
    ) -> Result<(), ResampleError> {
        let wire = self.format.sample_rate();
        let held = self.resampler.as_ref().map_or(wire, Resampler::from_rate);
        if rate != held {
            let next = (rate != wire).then(|| Resampler::new(rate, wire));
            let next = next.transpose()?;
            if samples.is_empty() {
                return Ok(());
            }
            self.finish_samples(out);
            self.resampler = next;
        }
        match &mut self.resampler {
            Some(resampler) => resampler.process_i16(samples, out),
            None => out.extend_from_slice(samples),
        }
        Ok(())
    }

    /// Ends the stream: appends what the resampler still holds.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let mut tail = Vec::new();
        self.finish_samples(&mut tail);
        self.format.encode(&tail, out);
    }

    /// As [`finish`](Self::finish), for [`push_samples`](Self::push_samples).
    pub fn finish_samples(&mut self, out: &mut Vec<i16>) {
        if let Some(mut resampler) = self.resampler.take() {
            resampler.flush_i16(out);
        }
    }
}

/// Turns a wire format into PCM at one rate.
#[derive(Debug)]
pub struct FromWire {
    format: AudioFormat,
    rate: u32,
    resampler: Option<Resampler>,
    /// The first byte of a sample whose second byte is in the next chunk.
    half: Option<u8>,
}

impl FromWire {
    pub fn new(format: AudioFormat, rate: u32) -> Result<Self, ResampleError> {
        let resampler = if rate == format.sample_rate() {
            None
        } else {
            Some(Resampler::new(format.sample_rate(), rate)?)
        };
        Ok(Self {
            format,
            rate,
            resampler,
            half: None,
        })
    }

    pub fn rate(&self) -> u32 {
        self.rate
    }

    pub fn format(&self) -> AudioFormat {
        self.format
    }

    /// Converts the next chunk to 16-bit little-endian PCM. A chunk may end within a sample.
    pub fn push(&mut self, wire: &[u8]) -> Vec<u8> {
        let samples = self.decode(wire);
        let Some(resampler) = &mut self.resampler else {
            return bytes(&samples);
        };
        let mut converted = Vec::new();
        resampler.process_i16(&samples, &mut converted);
        bytes(&converted)
    }

    /// Ends the stream and returns what the resampler still holds. Half a sample is dropped.
    pub fn finish(&mut self) -> Vec<u8> {
        self.half = None;
        let mut tail = Vec::new();
        if let Some(resampler) = &mut self.resampler {
            resampler.flush_i16(&mut tail);
            resampler.reset();
        }
        bytes(&tail)
    }

    /// Drops the state of the stream, which was cut off: the next chunk begins a new one.
    pub fn reset(&mut self) {
        self.half = None;
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }

    fn decode(&mut self, mut wire: &[u8]) -> Vec<i16> {
        let mut samples = Vec::new();
        if let Some(half) = self.half
            && let Some((rest, others)) = wire.split_first()
        {
            self.format.decode(&[half, *rest], &mut samples);
            self.half = None;
            wire = others;
        }
        let incomplete = wire.len() % self.format.bytes_per_sample();
        let (whole, rest) = wire.split_at(wire.len() - incomplete);
        self.format.decode(whole, &mut samples);
        self.half = rest.first().copied().or(self.half);
        samples
    }
}

/// Turns a stream of sound into another format.
#[derive(Debug)]
pub struct Converter {
    from: FromWire,
    to: AudioFormat,
    samples: Vec<i16>,
    converted: Vec<u8>,
}

impl Converter {
    /// `None` where the formats are the same, or their rates are none that can be converted.
    pub fn new(from: AudioFormat, to: AudioFormat) -> Option<Self> {
        let needed = (from != to).then(|| FromWire::new(from, to.sample_rate()).ok());
        Some(Self {
            from: needed??,
            to,
            samples: Vec::new(),
            converted: Vec::new(),
        })
    }

    pub fn source(&self) -> AudioFormat {
        self.from.format()
    }

    pub fn convert(&mut self, sound: &[u8]) -> &[u8] {
        let linear = self.from.push(sound);
        self.samples.clear();
        let format = AudioFormat::Pcm {
            rate: self.to.sample_rate(),
        };
        format.decode(&linear, &mut self.samples);
        self.converted.clear();
        self.to.encode(&self.samples, &mut self.converted);
        &self.converted
    }

    /// What was converted is followed by something else.
    pub fn reset(&mut self) {
        self.from.reset();
    }
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    linear_encode(samples, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_sixteen_kilohertz_becomes_a_second_of_the_wire_format() {
        for format in [
            AudioFormat::Pcm { rate: 24_000 },
            AudioFormat::Mulaw,
            AudioFormat::Alaw,
        ] {
            let mut convert = ToWire::new(format);
            let mut wire = Vec::new();
            for _ in 0..50 {
                convert.push(&[1000; 320], 16_000, &mut wire).unwrap();
            }
            convert.finish(&mut wire);
            let seconds = format.duration_ms(wire.len() as u64) / 1000.0;
            assert!((seconds - 1.0).abs() < 0.02, "{format:?}: {seconds}");
        }
    }

    #[test]
    fn nothing_is_lost_where_the_rate_changes() {
        let mut convert = ToWire::new(AudioFormat::default());
        let mut wire = Vec::new();
        for _ in 0..25 {
            convert.push(&[1000; 160], 8_000, &mut wire).unwrap();
            convert.push(&[1000; 480], 24_000, &mut wire).unwrap();
            convert.push(&[1000; 882], 44_100, &mut wire).unwrap();
        }
        convert.finish(&mut wire);
        let samples = wire.len() as i64 / 2;
        assert!((samples - 75 * 480).abs() <= 75, "{samples}");
    }

    #[test]
    fn a_rate_that_is_refused_changes_nothing() {
        let mut convert = ToWire::new(AudioFormat::default());
        let (mut wire, mut whole) = (Vec::new(), Vec::new());
        convert.push(&[1000; 160], 8_000, &mut wire).unwrap();
        assert!(convert.push(&[1000; 160], 1, &mut wire).is_err());
        convert.push(&[], 44_100, &mut wire).unwrap();
        convert.push(&[1000; 160], 8_000, &mut wire).unwrap();
        let mut unchanged = ToWire::new(AudioFormat::default());
        unchanged.push(&[1000; 320], 8_000, &mut whole).unwrap();
        convert.finish(&mut wire);
        unchanged.finish(&mut whole);
        assert_eq!(wire, whole);
    }

    #[test]
    fn the_same_rate_passes_samples_unchanged() {
        let mut out = Vec::new();
        ToWire::new(AudioFormat::default())
            .push(&[1, -2, 3], 24_000, &mut out)
            .unwrap();
        let mut back = FromWire::new(AudioFormat::default(), 24_000).unwrap();
        assert_eq!(back.push(&out), out);
        assert_eq!(back.finish(), Vec::<u8>::new());
    }

    #[test]
    fn a_sample_may_be_split_between_chunks() {
        let wire: Vec<u8> = (0..64).collect();
        for rate in [24_000, 16_000] {
            let whole = FromWire::new(AudioFormat::default(), rate).map(|mut it| {
                let mut pcm = it.push(&wire);
                pcm.extend(it.finish());
                pcm
            });
            for length in [1, 3, 7] {
                let mut back = FromWire::new(AudioFormat::default(), rate).unwrap();
                let mut pcm: Vec<u8> = wire
                    .chunks(length)
                    .flat_map(|chunk| back.push(chunk))
                    .collect();
                pcm.extend(back.push(&[]));
                pcm.extend(back.finish());
                assert_eq!(Ok(pcm), whole, "{rate} Hz, {length} bytes");
            }
        }
    }

    #[test]
    fn half_a_sample_is_dropped_where_the_stream_ends() {
        let mut back = FromWire::new(AudioFormat::default(), 24_000).unwrap();
        assert_eq!(back.push(&[1, 2, 3]), [1, 2]);
        assert_eq!(back.finish(), Vec::<u8>::new());
        assert_eq!(back.push(&[4, 5, 6]), [4, 5]);
        back.reset();
        assert_eq!(back.push(&[7, 8]), [7, 8]);
    }

    #[test]
    fn mulaw_comes_back_at_the_rate_asked_for() {
        let mut back = FromWire::new(AudioFormat::Mulaw, 48_000).unwrap();
        let mut pcm = back.push(&[0xff; 8000]);
        pcm.extend(back.finish());
        assert!((pcm.len() as i64 - 96_000).abs() < 2_000);
    }
}
