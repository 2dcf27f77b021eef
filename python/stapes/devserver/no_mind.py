"""What answers where a development server was given no mind: nothing, and it says so."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stapes.devserver.scripted import ScriptedMind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stapes.devserver.mind import Call, Say, View

logger = logging.getLogger(__name__)


class NoMind(ScriptedMind):
    """Hears nothing and answers nothing. The first time that it is asked, it logs a warning."""

    def __init__(self) -> None:
        super().__init__()
        self._has_told = False

    def for_call(self) -> NoMind:
        """Return itself: it keeps nothing of a call."""
        return self

    async def answer(self, view: View) -> AsyncIterator[Say | Call]:
        """Say nothing."""
        if not self._has_told:
            self._has_told = True
            logger.warning(
                "a session asks for an answer, and this DevServer has no mind: its answers are "
                'empty. Give it one, such as DevServer(ScriptedMind(otherwise="Yes."))'
            )
        async for act in super().answer(view):
            yield act
