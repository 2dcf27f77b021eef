"""Begins to connect, over a transport of the core's."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from stapes.errors import ConnectError
from stapes.transport import WebRTCTransport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stapes import _core
    from stapes.transport import WebSocketTransport

__all__ = ["Opening", "Target", "dial", "unwritable"]

Target: TypeAlias = "tuple[str, list[tuple[str, str]], Sequence[str]]"
"""URL, headers, and what the server may quote and nobody may read."""
Opening: TypeAlias = tuple[str, str, int]
"""What the server gets first: the `session.update`, the tracing, the version of the agent."""


def dial(
    core: _core.Session,
    transport: WebSocketTransport | WebRTCTransport,
    target: Target,
    opening: Opening | None,
) -> int:
    """Begins to connect; returns the id of the connection.

    Args:
        core: the session.
        transport: how to connect.
        target: where to.
        opening: `None` where the connection takes the place of a lost one.

    Raises:
        stapes.ConnectError: what is to be sent cannot be written.
    """
    try:
        if isinstance(transport, WebRTCTransport):
            return core.connect_webrtc(target, transport.core_options(), opening)
        return core.connect_websocket(target, transport.core_options(), opening)
    except UnicodeEncodeError:
        # It shows what it could not write, and that may be a secret: it is not to be the context of
        # what is raised.
        pass
    raise unwritable()


def unwritable() -> ConnectError:
    """The exception for what is no text."""
    return ConnectError(
        "the URL, a header or the session's configuration has half a surrogate pair in it, "
        "which cannot be sent"
    )
