"""Fixtures of the tests of transcription and translation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scripted import Scripts

from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def scripts() -> AsyncIterator[Scripts]:
    """Begin sessions with a scripted server, which end with the test."""
    async with ScriptedServer() as server:
        made = Scripts(server)
        yield made
        await made.end()
