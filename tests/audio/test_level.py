"""Levels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes.audio import Level, LevelMeter, level


def test_a_full_scale_sine():
    measured = level(np.sin(np.arange(24_000) * 0.1).astype(np.float32))
    assert measured.rms == pytest.approx(math.sqrt(0.5), abs=1e-4)
    assert measured.peak == pytest.approx(1, abs=1e-4)
    assert measured.rms_dbfs == pytest.approx(-3.01, abs=0.01)
    assert measured.peak_dbfs == pytest.approx(0, abs=0.01)


def test_a_level_prints_as_decibels():
    samples = np.array([16_384, -16_384], np.int16)
    assert repr(level(samples)) == "Level(rms=-6.0 dBFS, peak=-6.0 dBFS)"


def test_silence_is_minus_infinity():
    assert level(b"").rms_dbfs == -math.inf
    assert level(bytes(200)).peak_dbfs == -math.inf
    assert level(b"") == level(bytes(2))


@given(st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=500))
def test_a_level_is_what_numpy_computes(samples):
    unit = np.array(samples, np.int16).astype(np.float64) / 32_768
    measured = level(np.array(samples, np.int16))
    assert measured.peak == np.abs(unit).max()
    assert measured.rms == pytest.approx(np.sqrt(np.mean(unit**2)), rel=1e-5)


@given(cuts=st.lists(st.integers(0, 960), max_size=6))
def test_a_meter_does_not_see_chunks(cuts):
    sound = (np.sin(np.arange(960) * 0.05) * 10_000).astype(np.int16)
    whole = LevelMeter(24_000).process(sound)
    meter = LevelMeter(24_000)
    measured = [meter.process(chunk) for chunk in np.split(sound, sorted(cuts))]
    assert isinstance(whole, Level)
    assert measured[-1] == whole


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="samples has 3 bytes"):
        level(b"odd")
    with pytest.raises(ValueError, match="sample_rate is 0"):
        LevelMeter(0)
    with pytest.raises(ValueError, match="sample_rate is -1"):
        LevelMeter(-1)
    with pytest.raises(ValueError, match="integration is 0"):
        LevelMeter(8_000, integration=0)
    with pytest.raises(ValueError, match="integration is NaN"):
        LevelMeter(8_000, integration=math.nan)
    with pytest.raises(ValueError, match="fall is -1"):
        LevelMeter(8_000, fall=-1)
