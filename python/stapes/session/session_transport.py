"""`session.transport`: events that there is no method for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stapes.transport import SoundStatistics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stapes.session.completion import Completion
    from stapes.session.scope import Scope

__all__ = ["SessionTransport"]


class SessionTransport:
    """A session's transport, for what there is no method for."""

    __slots__ = ("_keeps", "_scope")

    def __init__(self, scope: Scope, *, keeps: object) -> None:
        # The session lives as long as anybody can send by it.
        self._keeps = keeps
        self._scope = scope

    @property
    def status(self) -> str:
        """Where the connection stands."""
        return self._scope.core.status

    @property
    def sound(self) -> SoundStatistics | None:
        """How the sound fares, as of the last second, where it travels beside the messages.

        After the end of a call: how it fared until then.
        """
        stats = self._scope.core.sound_stats()
        return None if stats is None else SoundStatistics(*stats)

    def send_event(self, event: Mapping[str, Any]) -> Completion[None]:
        """Sends an event as it is. A `response.create` waits until no response is active."""
        text = json.dumps(event, ensure_ascii=False)
        return self._scope.tasks.command(self._scope.core.send_event, text)
