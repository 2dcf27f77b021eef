"""A part of the fault table: each point of a turn, in one way or another."""

from __future__ import annotations

import itertools

import pytest

from tests.faults.scene import POINTS, WAYS, play

# A stall is awaited for its whole time: those are for `make faults`.
QUICK = [way for way in WAYS if not way.startswith("stall")]
pytestmark = pytest.mark.real_time
CELLS = list(zip(POINTS, itertools.cycle(QUICK)))


@pytest.mark.parametrize(("point", "way"), CELLS, ids=[f"{p} - {w}" for p, w in CELLS])
async def test_the_conversation_is_whole_after_a_loss(point: str, way: str):
    assert await play(point, way) is None
