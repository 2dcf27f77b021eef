"""WAV files."""

from __future__ import annotations

import io
import re
import struct
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stapes.audio import alaw_decode, mulaw_decode, read_wav, write_wav

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


PCM, FLOAT, ALAW, MULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name: bytes, content: bytes, size: int | None = None, *, padded: bool = True) -> bytes:
    padding = b"\0" if padded and len(content) % 2 else b""
    stated = len(content) if size is None else size
    return name + struct.pack("<I", stated) + content + padding


def format_of(number: int, bits: int, channels: int = 1, rate: int = 8_000) -> bytes:
    frame = channels * (bits // 8)
    return struct.pack("<HHIIHH", number, channels, rate, rate * frame, frame, bits)


def riff(*chunks: bytes, size: int | None = None, name: bytes = b"RIFF") -> bytes:
    content = b"WAVE" + b"".join(chunks)
    return name + struct.pack("<I", len(content) if size is None else size) + content


FMT = chunk(b"fmt ", format_of(PCM, 16))
DATA = SAMPLES.astype("<i2").tobytes()
FLOATS = (SAMPLES / np.float64(32_768)).astype(np.float64)
DS64 = chunk(b"ds64", struct.pack("<QQQI", 0, len(DATA), len(SAMPLES), 0))


def read(content: bytes) -> list[int]:
    return read_wav(io.BytesIO(content))[0].tolist()


def extensible(number: int, bits: int) -> bytes:
    tail = struct.pack("<HHIH", 22, bits, 0, number) + GUID_TAIL
    return chunk(b"fmt ", format_of(EXTENSIBLE, bits) + tail)


@pytest.mark.parametrize(
    "content",
    [
        riff(FMT, chunk(b"data", DATA), size=36),
        riff(FMT, chunk(b"data", DATA), size=0),
        riff(FMT, chunk(b"data", DATA), size=0xFFFFFFFF),
        riff(FMT, chunk(b"data", DATA, 0)),
        riff(FMT, chunk(b"data", DATA, 0), size=36),
        riff(FMT, chunk(b"data", DATA, 0xFFFFFFFF)),
        riff(FMT, chunk(b"data", DATA, 0x7FFFF000), size=0x7FFFF024),
        riff(FMT, chunk(b"data", DATA + b"\1")),
        riff(chunk(b"LIST", b"odd"), FMT, chunk(b"data", DATA)),
        riff(chunk(b"LIST", b"odd", padded=False), FMT, chunk(b"data", DATA)),
        riff(FMT, chunk(b"odd ", b"x", padded=False), chunk(b"data", DATA)),
        riff(FMT, chunk(b"data", DATA), chunk(b"LIST", b"more")),
        riff(chunk(b"data", DATA), FMT),
        riff(extensible(PCM, 16), chunk(b"data", DATA)),
        riff(DS64, FMT, chunk(b"data", DATA, 0xFFFFFFFF), chunk(b"LIST", b"more"), name=b"RF64"),
        riff(DS64, FMT, chunk(b"data", DATA), size=0xFFFFFFFF, name=b"BW64"),
        riff(chunk(b"fmt ", format_of(FLOAT, 32)), chunk(b"data", FLOATS.astype("<f4").tobytes())),
        riff(chunk(b"fmt ", format_of(FLOAT, 64)), chunk(b"data", FLOATS.astype("<f8").tobytes())),
        riff(extensible(FLOAT, 32), chunk(b"data", FLOATS.astype("<f4").tobytes())),
        riff(extensible(PCM, 32), chunk(b"data", (SAMPLES.astype("<i4") << 16).tobytes())),
    ],
    ids=[
        "riff-36", "riff-0", "riff-streamed", "data-0", "both-unwritten", "data-streamed",
        "sizes-of-espeak", "half-a-sample", "padded", "unpadded", "unpadded-before-data",
        "chunk-after", "format-last", "extensible", "rf64", "bw64", "float32", "float64",
        "extensible-float", "extensible-32",
    ],
)  # fmt: skip
def test_the_sound_is_found_whatever_the_header_says(content):
    assert read(content) == SAMPLES.tolist()


@pytest.mark.parametrize(("number", "decode"), [(MULAW, mulaw_decode), (ALAW, alaw_decode)])
def test_g711_is_decoded(number, decode):
    codes = bytes(range(256))
    content = riff(chunk(b"fmt ", format_of(number, 8)), chunk(b"data", codes))
    assert read(content) == decode(codes, output="int16").tolist()


def test_floats_saturate_and_nan_is_silence():
    wild = np.array([np.nan, np.inf, -np.inf, 2.0, -2.0, 1e300], "<f8").tobytes()
    content = riff(chunk(b"fmt ", format_of(FLOAT, 64)), chunk(b"data", wild))
    assert read(content) == [0, 32_767, -32_768, 32_767, -32_768, 32_767]


def test_24_bits_in_containers_of_32_are_the_upper_ones():
    header = struct.pack("<HHIIHH", PCM, 1, 8_000, 32_000, 4, 24)
    wide = (SAMPLES.astype("<i4") << 16).tobytes()
    assert read(riff(chunk(b"fmt ", header), chunk(b"data", wide))) == SAMPLES.tolist()


def test_a_file_without_sound_is_empty():
    assert read(riff(FMT, chunk(b"data", b""))) == []
    assert read(riff(FMT, chunk(b"data", b""), chunk(b"LIST", b"odd"))) == []


@pytest.mark.parametrize(
    "codec",
    ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_mulaw",
     "pcm_alaw"],
)  # fmt: skip
def test_files_of_another_writer_are_read(tmp_path, codec):
    path, rate = tmp_path / "sound.wav", 16_000
    tone = np.rint(12_000 * np.sin(np.arange(1_600) / 7)).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    samples, read_rate = read_wav(path)
    assert read_rate == rate
    assert len(samples) == len(tone)
    tolerance = {"pcm_u8": 256, "pcm_mulaw": 500, "pcm_alaw": 500}.get(codec, 1)
    assert np.abs(samples.astype(int) - tone).max() <= tolerance


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"RIFF", "it does not begin as one"),
        (b"ID3\4" + bytes(40), "it does not begin as one"),
        (riff(FMT), "it has no chunk of sound"),
        (riff(chunk(b"data", DATA)), "it has no chunk that states the format"),
        (riff(chunk(b"fmt ", b"\1\0"), chunk(b"data", DATA)), "ends early"),
        (riff(chunk(b"fmt ", format_of(EXTENSIBLE, 16)), chunk(b"data", DATA)), "ends early"),
        (riff(chunk(b"fmt ", format_of(0x11, 4)), chunk(b"data", DATA)), "number 0x0011: convert"),
        (riff(chunk(b"fmt ", format_of(PCM, 64)), chunk(b"data", DATA)), "has 64-bit samples"),
        (riff(chunk(b"fmt ", format_of(PCM, 0)), chunk(b"data", DATA)), "has 0-bit samples"),
        (riff(chunk(b"fmt ", format_of(PCM, 16, 0)), chunk(b"data", DATA)), "no channels"),
        (riff(chunk(b"fmt ", format_of(PCM, 16, rate=0)), chunk(b"data", DATA)), "a rate of 0"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, content, reason):
    path = tmp_path / "sound.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as raised:
        read_wav(path)
    assert str(raised.value).startswith(f"{path} is not a WAV file")
    with open(path, "rb") as opened, pytest.raises(ValueError, match=reason) as raised:
        read_wav(opened)
    assert str(raised.value).startswith(f"{path} is not a WAV file")


WHOLE = [
    riff(chunk(b"LIST", b"odd"), FMT, chunk(b"data", DATA * 3), chunk(b"fact", b"1234")),
    riff(DS64, extensible(PCM, 16), chunk(b"data", DATA, 0xFFFFFFFF), name=b"RF64"),
    riff(chunk(b"fmt ", format_of(FLOAT, 32, 2)), chunk(b"data", bytes(64))),
    riff(chunk(b"fmt ", format_of(PCM, 24)), chunk(b"data", bytes(range(63)))),
    riff(chunk(b"fmt ", format_of(MULAW, 8)), chunk(b"data", bytes(range(255)))),
]


@st.composite
def damaged_files(draw):
    content = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        match draw(st.sampled_from(["flip", "fill", "cut", "take out", "put in"])):
            case "flip" if content:
                content[at] ^= draw(st.integers(1, 255))
            case "fill":
                content[at : at + 4] = draw(st.sampled_from([bytes(4), b"\xff" * 4, b"data"]))
            case "cut":
                del content[at:]
            case "take out":
                del content[at : at + draw(st.integers(1, 4))]
            case _:
                content[at:at] = draw(st.binary(max_size=4))
    return bytes(content)


@settings(max_examples=1_000)
@given(damaged_files())
def test_a_damaged_file_is_read_or_refused_with_a_reason(content):
    try:
        samples, rate = read_wav(io.BytesIO(content))
    except ValueError as error:
        refusal = str(error)
    else:
        assert samples.dtype == np.int16
        assert samples.size <= len(content)
        assert rate > 0
        return
    assert re.fullmatch("the file is not a WAV file of .*: .+", refusal)


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
    with pytest.raises(ValueError, match="a WAV file cannot state so high a rate"):
        write_wav(file, SAMPLES, 2**32 - 1)
    assert not file.exists()
    with pytest.raises(FileNotFoundError):
        read_wav(file)
