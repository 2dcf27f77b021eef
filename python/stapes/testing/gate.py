"""Holds the reader of a session: frames of the server stay on the wire."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stapes.session import RealtimeSession

__all__ = ["held_reader", "is_held"]

_held: weakref.WeakSet[RealtimeSession[Any]] = weakref.WeakSet()


def is_held(session: RealtimeSession[Any]) -> bool:
    """Whether the session's reader is held."""
    return session in _held


@contextmanager
def held_reader(session: RealtimeSession[Any]) -> Iterator[None]:
    """Inside, frames of the server arrive but are not read: the session does not know of them.

        with held_reader(session):
            await server.send(response_done)
            session.send_message("Hi")  # before the session learns that the response is over

    At its end they are read.
    """
    session.probe.hold_reader(True)
    _held.add(session)
    try:
        yield
    finally:
        _held.discard(session)
        session.probe.hold_reader(False)
