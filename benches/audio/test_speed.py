"""What 20 ms of sound cost through Python, side by side with what else there is.

`make bench` runs it; `page.py` makes docs/audio.md from the results.
"""

from __future__ import annotations

import base64
import binascii
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from stapes import audio

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

av = pytest.importorskip("av")
pybase64 = pytest.importorskip("pybase64")
samplerate = pytest.importorskip("samplerate")
signal = pytest.importorskip("scipy.signal")
soxr = pytest.importorskip("soxr")

if sys.version_info < (3, 13):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop
else:
    audioop = None

RATES = [
    (24_000, 48_000),
    (48_000, 24_000),
    (24_000, 16_000),
    (24_000, 8_000),
    (8_000, 24_000),
    (44_100, 24_000),
]


def sound(samples: int) -> np.ndarray:
    return (np.sin(np.arange(samples) * 0.1) * 20_000).astype(np.int16)


def measure(benchmark: BenchmarkFixture, group: str, call: Callable[[], Any]) -> None:
    benchmark.group = group
    benchmark.pedantic(call, rounds=60, iterations=200, warmup_rounds=2)


def resamplers(source: int, target: int) -> dict[str, Callable[[], Any]]:
    integers = sound(source // 50)
    pcm = integers.tobytes()
    floats = integers.astype(np.float32) / 32_768
    ours_pcm = audio.Resampler(source, target)
    ours_int16 = audio.Resampler(source, target, output="int16")
    ours_float32 = audio.Resampler(source, target, output="float32")
    soxr_float32 = soxr.ResampleStream(source, target, 1, dtype="float32", quality="HQ")
    soxr_int16 = soxr.ResampleStream(source, target, 1, dtype="int16", quality="HQ")
    src = samplerate.Resampler("sinc_fastest")
    ratio = target / source
    divisor = int(np.gcd(source, target))
    return {
        "stapes bytes": lambda: ours_pcm.process(pcm),
        "stapes int16": lambda: ours_int16.process(integers),
        "stapes float32": lambda: ours_float32.process(floats),
        "soxr HQ int16": lambda: soxr_int16.resample_chunk(integers),
        "soxr HQ float32": lambda: soxr_float32.resample_chunk(floats),
        "samplerate sinc_fastest": lambda: src.process(floats, ratio),
        "scipy resample_poly (no stream)": lambda: signal.resample_poly(
            floats, target // divisor, source // divisor
        ),
    }


NAMES = list(resamplers(24_000, 48_000))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("source", "target"), RATES, ids=[f"{a}-{b}" for a, b in RATES])
def test_resample(benchmark: BenchmarkFixture, source: int, target: int, name: str) -> None:
    measure(benchmark, f"resample {source} to {target}", resamplers(source, target)[name])


FRAME = np.random.default_rng(1).bytes(4_800)
TEXT = base64.b64encode(FRAME)
BASE64: dict[str, dict[str, Callable[[], Any]]] = {
    "base64 decode": {
        "stapes": lambda: audio.base64_decode(TEXT),
        "binascii": lambda: binascii.a2b_base64(TEXT),
        "pybase64": lambda: pybase64.b64decode(TEXT),
    },
    "base64 encode": {
        "stapes": lambda: audio.base64_encode(FRAME),
        "binascii": lambda: binascii.b2a_base64(FRAME, newline=False),
        "pybase64": lambda: pybase64.b64encode(FRAME),
    },
}

PHONE = sound(160)
PHONE_PCM = PHONE.tobytes()
MULAW = audio.mulaw_encode(PHONE)
ALAW = audio.alaw_encode(PHONE)
ENCODING = np.frombuffer(audio.mulaw_encode(np.arange(65_536).astype(np.int16)), np.uint8)
DECODING = audio.mulaw_decode(bytes(range(256)), output="int16")
G711: dict[str, dict[str, Callable[[], Any]]] = {
    "mu-law encode": {
        "stapes": lambda: audio.mulaw_encode(PHONE_PCM),
        "numpy table": lambda: ENCODING[PHONE.view(np.uint16)].tobytes(),
    },
    "mu-law decode": {
        "stapes": lambda: audio.mulaw_decode(MULAW),
        "numpy table": lambda: DECODING[np.frombuffer(MULAW, np.uint8)].tobytes(),
    },
    "A-law encode": {"stapes": lambda: audio.alaw_encode(PHONE_PCM)},
    "A-law decode": {"stapes": lambda: audio.alaw_decode(ALAW)},
}
if audioop is not None:
    G711["mu-law encode"]["audioop"] = lambda: audioop.lin2ulaw(PHONE_PCM, 2)
    G711["mu-law decode"]["audioop"] = lambda: audioop.ulaw2lin(MULAW, 2)
    G711["A-law encode"]["audioop"] = lambda: audioop.lin2alaw(PHONE_PCM, 2)
    G711["A-law decode"]["audioop"] = lambda: audioop.alaw2lin(ALAW, 2)

LOUD = sound(480)
LEVEL: dict[str, dict[str, Callable[[], Any]]] = {
    "level": {
        "stapes": lambda: audio.level(LOUD),
        "numpy": lambda: np.sqrt(np.mean((LOUD.astype(np.float32) / 32_768) ** 2)),
    }
}

SHORT = BASE64 | G711 | LEVEL


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group, calls in SHORT.items() for name in calls]
)
def test_short(benchmark: BenchmarkFixture, group: str, name: str) -> None:
    measure(benchmark, group, SHORT[group][name])


SPEECHLIKE = (np.sin(np.arange(960) ** 1.3 * 0.02) * 12_000).astype(np.int16)


def opus_calls() -> dict[str, dict[str, Callable[[], Any]]]:
    encoder = audio.OpusEncoder(48_000, bitrate=32_000)
    decoder = audio.OpusDecoder(48_000)
    packet = [encoder.encode(SPEECHLIKE) for _ in range(10)][-1]

    coder = av.CodecContext.create("libopus", "w")
    coder.sample_rate = 48_000
    coder.format = "s16"
    coder.layout = "mono"
    coder.bit_rate = 32_000
    coder.options = {"application": "voip"}
    coder.open()
    frame = av.AudioFrame.from_ndarray(SPEECHLIKE[None], format="s16", layout="mono")
    frame.sample_rate = 48_000
    undo = av.CodecContext.create("libopus", "r")
    undo.sample_rate = 48_000
    undo.layout = "mono"
    undo.open()
    wrapped = av.Packet(packet)
    return {
        "Opus encode": {
            "stapes": lambda: encoder.encode(SPEECHLIKE),
            "PyAV libopus": lambda: coder.encode(frame),
        },
        "Opus decode": {
            "stapes": lambda: decoder.decode(packet),
            "PyAV libopus": lambda: undo.decode(wrapped),
        },
    }


@pytest.mark.parametrize("name", ["stapes", "PyAV libopus"])
@pytest.mark.parametrize("group", ["Opus encode", "Opus decode"])
def test_opus(benchmark: BenchmarkFixture, group: str, name: str) -> None:
    call = opus_calls()[group][name]
    benchmark.group = group
    benchmark.pedantic(call, rounds=20, iterations=20, warmup_rounds=2)
