"""Unknown arguments are refused by name, and an act that is out of date is refused as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stapes import StapesError, _core
from stapes.session.options import CoreOptions

Make = Callable[..., _core.Session]


@pytest.fixture
def make() -> Iterator[Make]:
    read_fd, write_fd = os.pipe()
    hub = _core.Hub((read_fd, write_fd))

    def made(**options: Any) -> _core.Session:
        return _core.Session(hub, CoreOptions(**options))

    yield made
    os.close(read_fd)
    os.close(write_fd)


def test_a_source_of_playback_that_is_not_known_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match=r'"tape": give "clock", "reports" or "caller"'):
        make(playback="tape")


def test_a_source_of_guarded_text_that_is_not_known_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match=r'source is "video": give "audio" or "text"'):
        make().guardrail_tripped(1, 0, None, "video", 1, "{}")


def test_another_agent_is_refused_for_a_connection_that_is_over(make: Make) -> None:
    session = make()
    session.connect_external(("ws://host", [], []), False, False, first_event_timeout=0.0)
    probe = _core.Probe(session)
    before = probe.sequence
    with pytest.raises(StapesError, match="belongs to a connection"):
        session.switch_agent(session.connection_id - 1, 7, None, [1], [2])
    assert probe.sequence == before
    session.switch_agent(session.connection_id, 7, None, [1], [2])
    assert probe.sequence == before + 2
