"""The part of a session that its other parts are handed, in place of the session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from agents import RunContextWrapper

    from stapes import _core
    from stapes.session.local_events import LocalEvents
    from stapes.session.tasks import Tasks

__all__ = ["Scope"]


@dataclass(frozen=True, slots=True)
class Scope:
    """The objects that most parts of a session use: five at most, and no behaviour."""

    core: _core.Session
    loop: asyncio.AbstractEventLoop
    context: RunContextWrapper[Any]
    tasks: Tasks
    local_events: LocalEvents
