from __future__ import annotations

import asyncio

import pytest

from stapes.devserver import Options
from stapes.devserver.session.pacing import Pacer


class VirtualClock:
    """A loop's clock that sleeping moves."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: self.now)
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    async def sleep(self, seconds):
        self.now += seconds


async def test_sound_goes_out_faster_than_it_plays_by_the_pace(monkeypatch):
    clock = VirtualClock(monkeypatch)
    pacer = Pacer(4.0)
    for _ in range(10):
        await pacer.wait(100)
    assert clock.now == pytest.approx(100.25)


async def test_time_lost_between_pieces_is_made_up(monkeypatch):
    clock = VirtualClock(monkeypatch)
    pacer = Pacer(2.0)
    await pacer.wait(100)
    clock.now += 0.08
    await pacer.wait(100)
    await pacer.wait(100)
    assert clock.now == pytest.approx(100.15)


async def test_without_a_pace_nothing_waits(monkeypatch):
    clock = VirtualClock(monkeypatch)
    await Pacer(None).wait(60_000)
    assert clock.now == 100.0


@pytest.mark.parametrize(
    ("change", "name"),
    [({"pace": 0}, "pace"), ({"max_calls": 0}, "max_calls"), ({"audio_chunk_ms": -1}, "audio_ch")],
)
def test_options_out_of_range_are_refused_by_name(change, name):
    with pytest.raises(ValueError, match=name):
        Options(**change)
