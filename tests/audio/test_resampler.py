"""The resampler as Python users see it. Its sound is tested in the core."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes.audio import Resampler

RATES = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]

SAMPLES = st.lists(st.integers(-32_768, 32_767), max_size=2_000).map(
    lambda samples: np.array(samples, np.int16)
)


def chirp(samples: int) -> np.ndarray:
    return (np.sin(np.arange(samples) ** 2 * 1e-4) * 20_000).astype(np.int16)


@given(
    rates=st.tuples(st.sampled_from(RATES), st.sampled_from(RATES)),
    samples=SAMPLES,
    cuts=st.lists(st.integers(0, 2_000), max_size=8),
)
def test_chunks_do_not_change_the_stream(rates, samples, cuts):
    whole = Resampler(*rates)
    expected = whole.process(samples) + whole.flush()
    cut = Resampler(*rates)
    chunks = np.split(samples, sorted(min(at, len(samples)) for at in cuts))
    assert b"".join(cut.process(chunk) for chunk in chunks) + cut.flush() == expected


def test_every_kind_of_input_gives_the_same_stream():
    samples = chirp(480)
    expected = Resampler(24_000, 48_000).process(samples)
    pcm = samples.tobytes()
    kinds = {
        "bytes": pcm,
        "bytearray": bytearray(pcm),
        "memoryview": memoryview(pcm),
        "float32": samples.astype(np.float32) / 32_768,
        "every second sample": np.repeat(samples, 2)[::2],
        "unaligned bytes": memoryview(b"x" + pcm)[1:],
    }
    for kind, value in kinds.items():
        assert Resampler(24_000, 48_000).process(value) == expected, kind


def test_every_kind_of_output_is_the_same_stream():
    samples = chirp(480)
    pcm = Resampler(24_000, 16_000).process(samples)
    integers = Resampler(24_000, 16_000, output="int16").process(samples)
    floats = Resampler(24_000, 16_000, output="float32").process(samples)
    assert integers.dtype == np.int16
    assert floats.dtype == np.float32
    assert integers.tobytes() == pcm
    assert np.array_equal(np.rint(floats * 32_768), integers)
    integers[0] = 1  # the caller owns the array


def test_the_flushed_output_is_as_long_as_the_input():
    resampler = Resampler(8_000, 24_000, output="int16")
    first = resampler.process(chirp(160))
    held_back = 480 - len(first)
    assert held_back == round(resampler.delay * 24_000)
    assert len(resampler.flush()) == held_back
    assert len(resampler.flush()) == 0


def test_reset_begins_a_new_stream():
    resampler = Resampler(24_000, 48_000)
    expected = resampler.process(chirp(480))
    resampler.reset()
    assert resampler.process(chirp(480)) == expected


def test_stereo_is_averaged_whatever_its_shape():
    left, right = chirp(480), np.zeros(480, np.int16)
    frames = np.stack([left, right], axis=1)
    expected = Resampler(48_000, 24_000).process(left.astype(np.float32) / 65_536)
    assert Resampler(48_000, 24_000, channels=2).process(frames) == expected
    assert Resampler(48_000, 24_000, channels=2).process(frames.tobytes()) == expected


def test_equal_rates_pass_the_samples_through():
    resampler = Resampler(24_000, 24_000)
    assert resampler.process(chirp(100)) == chirp(100).tobytes()
    assert resampler.delay == 0
    assert resampler.flush() == b""


def test_a_minute_at_once_and_nothing_at_all():
    resampler = Resampler(48_000, 24_000, output="int16")
    assert len(resampler.process(b"")) == 0
    produced = len(resampler.process(np.zeros(48_000 * 60, np.int16))) + len(resampler.flush())
    assert produced == 24_000 * 60


def test_threads_may_share_a_resampler():
    resampler = Resampler(24_000, 48_000, output="int16")
    produced = []

    def feed() -> None:
        second = np.zeros(24_000, np.int16)
        produced.extend(len(resampler.process(second)) for _ in range(20))

    threads = [threading.Thread(target=feed) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(produced) + len(resampler.flush()) == 4 * 20 * 48_000


@pytest.mark.parametrize("rate", [0, -1, 3_999, 10_000_000, 2**40, 2**200])
@pytest.mark.parametrize("argument", ["from_rate", "to_rate"])
def test_an_impossible_rate_is_named(argument, rate):
    rates = {"from_rate": 24_000, "to_rate": 24_000, argument: rate}
    with pytest.raises(ValueError, match=argument):
        Resampler(**rates)


def test_rates_without_a_common_divisor_are_refused():
    with pytest.raises(ValueError, match="from_rate 47999 Hz and to_rate 48000 Hz"):
        Resampler(47_999, 48_000)


@pytest.mark.parametrize("rate", [24_000.0, "24000", None])
def test_a_rate_that_is_no_integer_is_named(rate):
    with pytest.raises(TypeError, match="to_rate must be an int, not"):
        Resampler(24_000, rate)


def test_other_options_are_named():
    with pytest.raises(ValueError, match="channels is 3"):
        Resampler(24_000, 48_000, channels=3)
    with pytest.raises(ValueError, match='output is "int32"'):
        Resampler(24_000, 48_000, output="int32")


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        (b"odd", ValueError, "samples has 3 bytes"),
        (bytearray(b"odd"), ValueError, "samples has 3 bytes"),
        (np.zeros(4, np.float64), TypeError, "samples must be"),
        (np.zeros(4, np.int32), TypeError, "samples must be"),
        (np.zeros(4, ">i2"), TypeError, "samples must be"),
        (np.zeros((4, 2), np.int16), ValueError, r"samples has shape \[4, 2\]"),
        (np.zeros((), np.int16), TypeError, "samples must be .* of one dimension"),
        (np.array([0, np.nan], np.float32), ValueError, "samples contains NaN"),
        (np.array([np.inf], np.float32), ValueError, "samples contains NaN or infinity"),
        (np.frombuffer(b"12345", np.int16, offset=1), ValueError, "samples is not aligned"),
        ([1, 2, 3], TypeError, "samples must be .* not list"),
        ("text", TypeError, "samples must be .* not str"),
        (None, TypeError, "samples must be .* not NoneType"),
    ],
)
def test_bad_samples_are_named_and_leave_the_stream_as_it_was(samples, error, message):
    resampler = Resampler(24_000, 48_000)
    with pytest.raises(error, match=message):
        resampler.process(samples)
    assert resampler.process(chirp(480)) == Resampler(24_000, 48_000).process(chirp(480))


def test_half_a_stereo_frame_is_refused():
    with pytest.raises(ValueError, match="samples has 3 samples: not whole frames of 2 channels"):
        Resampler(24_000, 48_000, channels=2).process(np.zeros(3, np.int16))
