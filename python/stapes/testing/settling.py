"""Waiting until nothing moves, by counting instead of by sleeping."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from stapes.testing.gate import is_held
from stapes.testing.probe import probe

if TYPE_CHECKING:
    from stapes.session import RealtimeSession
    from stapes.testing.scripted_server import ScriptedServer

__all__ = ["NotSettledError", "settle"]

_QUIET_TURNS = 40
"""Turns of the loop in which nothing may happen. The longest chain of the session layer's own that
shows nothing outside (from a call that came in to the tool that runs) is a fraction of that."""
_IN_FLIGHT = 0.0005
"""Seconds left to other threads where bytes are known to be on their way."""


class NotSettledError(AssertionError):
    """Things still moved when patience was at its end; the message says which."""


async def settle(
    session: RealtimeSession[Any], server: ScriptedServer | None = None, *, patience: float = 10.0
) -> None:
    """Waits until everything sent has been read and everything read has been dispatched.

    What waits for something that only the test can do (a gate, a clock, another frame) does not
    count as moving; nor does work in threads of the user's own.

    Args:
        session: the session.
        server: the server it talks to; without one, only this side is waited for.
        patience: seconds after which it fails.

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
    """What is known to be on its way."""
    if not session._hub.is_idle:
        return "events wait to be dispatched"
    if session._connector.is_busy or session.status == "connecting":
        return "the session is connecting"
    frames_read, queued, flushed, _ = probe(session).traffic()
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
        probe(session).traffic(),
        probe(session).sequence,
        session.dispatched,
        session.status,
        len(session._tasks),
        None if server is None else (len(server.received), len(server.sent), server.is_connected),
    )
