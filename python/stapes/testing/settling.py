"""Waits until nothing moves, by counting frames and messages instead of sleeping."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from stapes.testing.gate import is_held

if TYPE_CHECKING:
    from stapes.session import RealtimeSession
    from stapes.testing.scripted_server import ScriptedServer

__all__ = ["NotSettledError", "settle"]

_QUIET_TURNS = 40
"""Turns of the loop in which nothing may happen. The longest invisible chain of the session layer,
from a function call to the tool that runs, takes a fraction of that."""
_IN_FLIGHT = 0.0005
"""Seconds to wait for other threads while bytes are on their way."""


class NotSettledError(AssertionError):
    """Something still moved when the patience ran out; the message says what."""


async def settle(
    session: RealtimeSession[Any], server: ScriptedServer | None = None, *, patience: float = 10.0
) -> None:
    """Waits until everything sent has been read and everything read has been dispatched.

    Code that waits for the test itself (a gate, a clock, another frame) does not count as moving,
    nor does work in users' threads.

    Args:
        session: the session.
        server: the server it talks to; without one, the wait is for this side alone.
        patience: seconds after which the wait fails.

    Raises:
        NotSettledError: something was still moving then.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    quiet = 0
    before: tuple[object, ...] = ()
    while quiet < _QUIET_TURNS:
        moving = _in_flight(session, server)
        now = _state(session, server)
        if moving is None and now == before:
            quiet += 1
            await asyncio.sleep(0)
            continue
        quiet, before = 0, now
        if loop.time() > deadline:
            raise NotSettledError(
                f"after {patience} s there was still movement: {moving or 'events and messages'}"
            )
        await asyncio.sleep(0 if moving is None else _IN_FLIGHT)


def _in_flight(session: RealtimeSession[Any], server: ScriptedServer | None) -> str | None:
    """A description of what is on its way; `None` where nothing is known to be."""
    if not session.probe.is_idle:
        return "events wait to be dispatched"
    # Once the connection stands, `connect` waits for what the server says first.
    if session.status == "reconnecting" and session.probe.waits_to_reconnect:
        # Until the clock is moved.
        return None
    if session.status != "connected" and (
        session.probe.is_connecting or session.status in {"connecting", "reconnecting"}
    ):
        return "the session is connecting"
    frames_read, queued, flushed, _ = session.probe.traffic()
    if session.status == "connected" and queued != flushed:
        return "client messages wait to be written"
    if server is None:
        return None
    if (session.status == "connected") != server.is_connected:
        return "one side has not learned yet that the connection is over"
    if session.status != "connected":
        return None
    if frames_read < server.frames_sent and not is_held(session):
        return f"{server.frames_sent - frames_read} frames of the server are on the wire"
    if server.frames_received < queued:
        return f"{queued - server.frames_received} messages of the client are on the wire"
    return None


def _state(session: RealtimeSession[Any], server: ScriptedServer | None) -> tuple[object, ...]:
    return (
        session.probe.traffic(),
        session.probe.sequence,
        session.dispatched,
        session.status,
        session.probe.task_count,
        None if server is None else (len(server.received), len(server.sent), server.is_connected),
    )
