"""Opus as Python users see it. Every pair of rates is tested in the core."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes.audio import OpusDecoder, OpusEncoder


def tone(samples: int, rate: int = 24_000) -> np.ndarray:
    return (np.sin(np.arange(samples) * 2 * np.pi * 400 / rate) * 10_000).astype(np.int16)


def packets(encoder: OpusEncoder, sound: np.ndarray) -> list[bytes]:
    frame = encoder.sample_rate // 50
    return [encoder.encode(sound[at : at + frame]) for at in range(0, len(sound), frame)]


def likeness(sound: np.ndarray, rate: int) -> float:
    """Give the share of the energy that a tone of 400 Hz has."""
    angle = np.arange(len(sound)) * 2 * np.pi * 400 / rate
    unit = sound.astype(np.float64)
    projection = np.abs(unit @ np.exp(1j * angle)) ** 2 * 2 / len(sound)
    return float(projection / (unit @ unit))


def test_a_tone_is_heard_at_the_other_end_at_another_rate():
    sent = packets(OpusEncoder(24_000), tone(12_000))
    assert sum(map(len, sent)) < 12_000 * 2 / 5
    decoder = OpusDecoder(48_000, output="int16")
    heard = np.concatenate([decoder.decode(packet) for packet in sent])
    assert len(heard) == 24_000
    assert likeness(heard[4_800:], 48_000) > 0.95


def test_every_kind_of_input_gives_the_same_packets():
    sound = tone(480)
    expected = OpusEncoder(24_000).encode(sound)
    assert OpusEncoder(24_000).encode(sound.tobytes()) == expected
    assert OpusEncoder(24_000).encode(bytearray(sound.tobytes())) == expected
    # The codec works on 24 bits inside: the same sound as floats may round to another packet.
    floats = OpusEncoder(24_000).encode(sound.astype(np.float32) / 32_768)
    decoded = OpusDecoder(24_000, output="int16").decode(floats)
    assert len(decoded) == 480


def test_every_kind_of_output_is_the_same_sound():
    packet = packets(OpusEncoder(24_000), tone(4_800))[-1]
    pcm = OpusDecoder(24_000).decode(packet)
    integers = OpusDecoder(24_000, output="int16").decode(memoryview(packet))
    floats = OpusDecoder(24_000, output="float32").decode(packet)
    assert integers.dtype == np.int16
    assert floats.dtype == np.float32
    assert integers.tobytes() == pcm
    assert np.abs(floats * 32_768 - integers).max() <= 1


def test_a_lost_packet_is_concealed():
    sent = packets(OpusEncoder(16_000), tone(8_000, 16_000))
    decoder = OpusDecoder(16_000, output="int16")
    for packet in sent[:10]:
        decoder.decode(packet)
    guess = decoder.conceal()
    assert len(guess) == 320
    assert likeness(guess, 16_000) > 0.8
    assert len(decoder.conceal(0.06)) == 960
    assert len(decoder.decode(sent[14])) == 320


def test_a_lost_packet_is_recovered_from_the_next_one():
    sweep = (np.sin(np.arange(8_000) ** 2 * 2e-5) * 13_000).astype(np.int16)
    sent = packets(OpusEncoder(16_000, fec=True, expected_loss=30, bitrate=32_000), sweep)

    def frame_13(decode) -> np.ndarray:
        decoder = OpusDecoder(16_000, output="float32")
        for packet in sent[:12]:
            decoder.decode(packet)
        return decode(decoder)

    truth = frame_13(lambda decoder: decoder.decode(sent[12]))
    concealed = frame_13(lambda decoder: decoder.conceal())
    recovered = frame_13(lambda decoder: decoder.recover(sent[13]))
    assert np.sum((recovered - truth) ** 2) < 0.5 * np.sum((concealed - truth) ** 2)


def test_settings_reach_the_codec():
    sound = tone(24_000)
    low = sum(map(len, packets(OpusEncoder(24_000, bitrate=12_000), sound)))
    high = sum(map(len, packets(OpusEncoder(24_000, bitrate=64_000), sound)))
    assert high > 2 * low
    quiet = packets(OpusEncoder(24_000, dtx=True), np.zeros(48_000, np.int16))
    assert min(map(len, quiet)) <= 2
    assert OpusEncoder(48_000, application="lowdelay").delay < OpusEncoder(48_000).delay


@given(st.binary(min_size=1, max_size=300))
def test_random_bytes_are_decoded_or_refused(junk):
    decoder = OpusDecoder(24_000)
    try:
        sound = decoder.decode(junk)
    except ValueError:
        sound = decoder.conceal()
    assert len(sound) % 120 == 0
    assert 120 <= len(sound) <= 5_760


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sample_rate": 44_100}, ValueError, "sample_rate is 44100"),
        ({"sample_rate": 0}, ValueError, "sample_rate is 0"),
        ({"sample_rate": "48000"}, TypeError, "sample_rate must be an int, not str"),
        ({"application": "music"}, ValueError, 'application is "music"'),
        ({"bitrate": 100}, ValueError, "bitrate is 100: expected 500 to 512000"),
        ({"complexity": 300}, ValueError, "complexity is 300: expected 0 to 10"),
        ({"complexity": -1}, ValueError, "complexity is -1"),
        ({"expected_loss": 101}, ValueError, "expected_loss is 101"),
    ],
)
def test_a_bad_setting_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        OpusEncoder(**{"sample_rate": 24_000, **arguments})


def test_bad_frames_and_packets_are_named():
    encoder = OpusEncoder(24_000)
    with pytest.raises(ValueError, match=r"samples: frame has 481 samples: .* is 480 samples"):
        encoder.encode(np.zeros(481, np.int16))
    with pytest.raises(ValueError, match="samples: frame has 0 samples"):
        encoder.encode(b"")
    with pytest.raises(ValueError, match="samples contains NaN"):
        encoder.encode(np.full(480, np.nan, np.float32))
    with pytest.raises(TypeError, match="samples must be"):
        encoder.encode(np.zeros(480))

    with pytest.raises(ValueError, match="sample_rate is 22050"):
        OpusDecoder(22_050)
    with pytest.raises(ValueError, match='output is "text"'):
        OpusDecoder(24_000, output="text")
    decoder = OpusDecoder(24_000)
    with pytest.raises(ValueError, match="packet is not valid Opus: 0 bytes"):
        decoder.decode(b"")
    with pytest.raises(TypeError, match="packet must be a bytes-like object, not str"):
        decoder.decode("packet")
    for duration in (0.0, -0.02, 0.001, 0.2, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="duration is"):
            decoder.conceal(duration)
