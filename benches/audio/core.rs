//! The cost of 20 ms of sound in the audio core, without Python.

use std::hint::black_box;

use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stapes_core::audio::opus::{EncoderSettings, OpusDecoder, OpusEncoder};
use stapes_core::audio::rtp::jitter::{JitterBuffer, JitterOptions, RtpPacket};
use stapes_core::audio::{Resampler, base64, g711};
use stapes_core::conversation::{Interest, ServerEvent};

/// The conversions whose cost is promised.
const RATES: [(u32, u32); 6] = [
    (24_000, 48_000),
    (48_000, 24_000),
    (24_000, 16_000),
    (24_000, 8_000),
    (8_000, 24_000),
    (44_100, 24_000),
];

fn sound(samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|n| ((n as f64 * 0.1).sin() * 20_000.0) as i16)
        .collect()
}

fn resample(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resample 20 ms");
    for (from, to) in RATES {
        let input = sound(from as usize / 50);
        let mut resampler = Resampler::new(from, to).expect("standard rates");
        let mut out = Vec::new();
        group.bench_function(format!("{from} to {to}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                resampler.process_i16(black_box(&input), &mut out);
                black_box(&out);
            });
        });
    }
    group.finish();
}

fn g711_frames(criterion: &mut Criterion) {
    let samples = sound(160);
    let mut codes = vec![0; 160];
    let mut decoded = vec![0; 160];
    let mut group = criterion.benchmark_group("G.711 20 ms");
    group.bench_function("mu-law encode", |bencher| {
        bencher.iter(|| g711::mulaw_encode(black_box(&samples), black_box(&mut codes)));
    });
    group.bench_function("mu-law decode", |bencher| {
        bencher.iter(|| g711::mulaw_decode(black_box(&codes), black_box(&mut decoded)));
    });
    group.finish();
}

fn base64_frames(criterion: &mut Criterion) {
    let frame: Vec<u8> = sound(2_400)
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let mut text = Vec::new();
    base64::encode_append(&frame, &mut text);
    let mut decoded = vec![0; frame.len()];
    let mut encoded = vec![0; text.len()];
    let mut group = criterion.benchmark_group("base64 of 4800 bytes");
    group.throughput(Throughput::Bytes(frame.len() as u64));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| base64::decode_into(black_box(&text), black_box(&mut decoded)));
    });
    group.bench_function("encode", |bencher| {
        bencher.iter(|| base64::encode_into(black_box(&frame), black_box(&mut encoded)));
    });
    group.finish();
}

/// A server's audio delta of 100 ms at 24 kHz.
fn audio_delta(criterion: &mut Criterion) {
    let pcm: Vec<u8> = sound(2_400)
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let mut delta = Vec::new();
    base64::encode_append(&pcm, &mut delta);
    let frame = format!(
        r#"{{"type":"response.output_audio.delta","event_id":"event_Bq7XZcO4Jr0S8KfkOoWwj","response_id":"resp_Bq7XYc0BDqfrUtFzjGzJA","item_id":"item_Bq7XYzvCKP0IQeOLTh2PA","output_index":0,"content_index":0,"delta":"{}"}}"#,
        String::from_utf8(delta).expect("base64 is ASCII")
    );
    criterion.bench_function("audio delta of 4800 bytes, text to PCM", |bencher| {
        bencher.iter(|| ServerEvent::parse(black_box(&frame), Interest::AUDIO));
    });
}

/// The cost of a call over WebRTC, for each direction.
fn opus_frames(criterion: &mut Criterion) {
    let frame = voice();
    let mut packet = Vec::new();
    let mut group = criterion.benchmark_group("Opus 20 ms at 24 kHz");
    for complexity in [0, 5, 9, 10] {
        let settings = EncoderSettings {
            complexity: Some(complexity),
            ..<_>::default()
        };
        let mut encoder = OpusEncoder::new(24_000, settings).expect("legal settings");
        let mut frames = frame.chunks_exact(480).cycle();
        group.bench_function(format!("encode, complexity {complexity}"), |bencher| {
            bencher.iter(|| {
                packet.clear();
                let frame = black_box(frames.next().expect("it never ends"));
                encoder.encode_i16(frame, &mut packet)
            });
        });
    }
    let mut encoder = OpusEncoder::new(24_000, EncoderSettings::default()).expect("a legal rate");
    let packets: Vec<Vec<u8>> = frame
        .chunks_exact(480)
        .map(|frame| {
            let mut packet = Vec::new();
            encoder.encode_i16(frame, &mut packet).expect("20 ms");
            packet
        })
        .collect();
    let mut decoder = OpusDecoder::new(24_000).expect("a legal rate");
    let mut pcm = Vec::new();
    let mut packets = packets.iter().cycle();
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            pcm.clear();
            let packet = black_box(packets.next().expect("it never ends"));
            decoder.decode_i16(packet, &mut pcm)
        });
    });
    group.finish();
}

fn jitter_buffer(criterion: &mut Criterion) {
    let mut buffer = JitterBuffer::new(JitterOptions::default()).expect("the defaults are legal");
    let payload = Bytes::from_static(&[0x08; 60]);
    let mut n = 0_u32;
    criterion.bench_function("jitter buffer, a packet in and out", |bencher| {
        bencher.iter(|| {
            let now = Duration::from_millis(20) * n;
            let packet = RtpPacket {
                ssrc: 1,
                sequence: n as u16,
                timestamp: n.wrapping_mul(960),
                payload: payload.clone(),
            };
            n += 1;
            buffer.insert(black_box(packet), now);
            (buffer.poll(now), buffer.next_deadline())
        });
    });
}

/// A second at 24 kHz that varies like a voice, so that the codec has work to do.
fn voice() -> Vec<i16> {
    (0..24_000)
        .map(|n| {
            let time = f64::from(n) / 24_000.0;
            let pitch = 120.0 + 30.0 * (time * 9.0).sin();
            let syllable = (time * 12.0).sin().abs();
            let buzz: f64 = (1..20)
                .map(|harmonic| {
                    let harmonic = f64::from(harmonic);
                    (time * pitch * harmonic * std::f64::consts::TAU).sin() / harmonic
                })
                .sum();
            (buzz * syllable * 6_000.0) as i16
        })
        .collect()
}

criterion_group!(
    benches,
    resample,
    g711_frames,
    base64_frames,
    audio_delta,
    opus_frames,
    jitter_buffer
);
criterion_main!(benches);
