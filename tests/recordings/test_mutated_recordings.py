"""What no profile foresees is never silence: recordings in which one event is not as it was."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from stapes import Error, RealtimeAgent, RealtimeSession, ServerError
from stapes.testing import ScriptedServer, settle
from tests.recordings.recorded import needs_recordings, provider_of, received, recordings

if TYPE_CHECKING:
    from pathlib import Path

    from stapes.providers import Provider

RECORDINGS = recordings()
ODD = st.sampled_from([None, True, -1, 2**53, 0.5, "", "x", "7", [], {}, [None], {"id": 5}])
NAMES = st.sampled_from(["id", "type", "item", "response", "delta", "new_field", "content_index"])
LAST = {"type": "error", "error": {"type": "new_type", "code": "new_code", "message": "the last"}}


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where an event has fields and entries."""
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    found = []
    for key, child in inner:
        found += [(*path, key), *_places(child, (*path, key))]
    return found


@st.composite
def _mutated(draw: st.DrawFn) -> tuple[Provider, list[Any]]:
    """A recording with one event changed: a field odd, gone, renamed or new, or another type."""
    path: Path = draw(st.sampled_from(RECORDINGS))
    events = copy.deepcopy(received(path))
    event = events[draw(st.integers(1, len(events) - 1))]
    how = draw(st.sampled_from(["odd", "gone", "renamed", "new", "type"]))
    if how == "type":
        event["type"] = draw(st.sampled_from(["new.event", f"{event['type']}.new", "ping", ""]))
    elif how == "new":
        event[draw(NAMES)] = draw(ODD)
    else:
        *parents, key = draw(st.sampled_from(_places(event)))
        holder: Any = event
        for parent in parents:
            holder = holder[parent]
        if how == "odd":
            holder[key] = draw(ODD)
        else:
            value = holder.pop(key)
            assume(how == "gone" or isinstance(holder, dict))
            if how == "renamed":
                holder[f"new_{key}"] = value
    return provider_of(path), events


async def _talk(provider: Provider, events: list[Any]) -> None:
    agent = RealtimeAgent(name="Recorded", instructions="Be brief.")
    told: list[Any] = []
    async with ScriptedServer(first_event=events[0]) as server:
        session = RealtimeSession(agent, api_key="test", reconnect=None, provider=provider)
        for kind in ("error", "transport_event"):
            session.on(kind, told.append)
        await session.connect(url=server.url)
        for event in (*events[1:], LAST):
            await server.send(event)
        await settle(session, server)
        assert session.status == "connected"
        errors = [event.error for event in told if isinstance(event, Error)]
        # The conversation went on: what came last was read, and its unknown code is told.
        last = [error for error in errors if isinstance(error, ServerError)][-1]
        assert (last.code, last.error_type) == ("new_code", "new_type")
        # Each frame came out as it was, or as an error.
        raw = [event for event in told if event.type == "transport_event"]
        unread = len(server.sent) - len(raw)
        assert unread <= len([error for error in errors if not isinstance(error, ServerError)])
        await session.close()


@needs_recordings
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(conversation=_mutated() if RECORDINGS else st.nothing())
def test_an_event_that_is_not_as_it_was_is_told_and_the_conversation_goes_on(
    conversation: tuple[Provider, list[Any]],
):
    asyncio.run(_talk(*conversation))
