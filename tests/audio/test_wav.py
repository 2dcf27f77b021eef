"""WAV files."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes.audio import read_wav, write_wav

SAMPLES = np.array([0, 1, -1, 32_767, -32_768, 12_345], np.int16)


def wav_of(width: int, frames: bytes, channels: int = 1) -> io.BytesIO:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(24_000)
        writer.writeframes(frames)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    "samples", [SAMPLES, SAMPLES.reshape(-1, 2), SAMPLES[:0]], ids=["mono", "stereo", "empty"]
)
def test_what_was_written_is_read(tmp_path, samples):
    path = tmp_path / "sound.wav"
    write_wav(path, samples, 16_000)
    back, rate = read_wav(path)
    assert rate == 16_000
    assert back.dtype == np.int16
    assert np.array_equal(back, samples)
    assert back.shape == samples.shape


def test_bytes_and_floats_are_written_as_the_same_file(tmp_path):
    floats = SAMPLES.astype(np.float32) / 32_768
    for number, samples in enumerate([SAMPLES.tobytes(), memoryview(SAMPLES), floats]):
        path = tmp_path / f"{number}.wav"
        write_wav(str(path), samples, 24_000)
        assert np.array_equal(read_wav(path)[0], SAMPLES)


def test_floats_beyond_full_scale_saturate():
    file = io.BytesIO()
    write_wav(file, np.array([2, -2], np.float32), 8_000)
    file.seek(0)
    assert read_wav(file)[0].tolist() == [32_767, -32_768]


def test_other_widths_are_converted():
    assert read_wav(wav_of(1, bytes([128, 255, 0])))[0].tolist() == [0, 127 * 256, -32_768]
    wide = [0, 1 << 7, (1 << 7) - 1, -(1 << 23), (1 << 23) - 1]
    frames = b"".join(value.to_bytes(3, "little", signed=True) for value in wide)
    assert read_wav(wav_of(3, frames))[0].tolist() == [0, 1, 0, -32_768, 32_767]
    frames = np.array([1 << 16, -(1 << 31), (1 << 31) - 1], "<i4").tobytes()
    assert read_wav(wav_of(4, frames))[0].tolist() == [1, -32_768, 32_767]


@given(st.binary(max_size=100))
def test_random_bytes_are_no_wav_file(data):
    with pytest.raises(ValueError, match="the file is not a WAV file of linear PCM"):
        read_wav(io.BytesIO(data))


def test_bad_arguments_are_named(tmp_path):
    file = tmp_path / "sound.wav"
    for samples, error, message in [
        (b"odd", ValueError, "samples has 3 bytes"),
        (np.zeros(2), TypeError, "samples is an array of float64"),
        (np.zeros((2, 2, 2), np.int16), ValueError, "samples has shape"),
        (np.array([np.nan], np.float32), ValueError, "samples contains NaN"),
        ([1, 2], TypeError, "samples must be .* not list"),
    ]:
        with pytest.raises(error, match=message):
            write_wav(file, samples, 8_000)
    with pytest.raises(ValueError, match="sample_rate is 0"):
        write_wav(file, SAMPLES, 0)
    assert not file.exists()
    with pytest.raises(FileNotFoundError):
        read_wav(file)
