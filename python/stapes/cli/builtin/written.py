"""A mind that reads: what is written it answers by rules, speech as the built-in model does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes.cli.builtin.mind import BuiltinMind, was_spoken
from stapes.devserver.listening.mind import decide

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stapes.devserver import Call, Say, View


class WrittenMind(BuiltinMind):
    """Answers written messages by the rules of the listening mind; it understands no speech."""

    async def answer(self, view: View) -> AsyncIterator[Say | Call]:
        """Answer the last thing in the conversation."""
        if was_spoken(view.items):
            async for move in super().answer(view):
                yield move
            return
        for move in decide(view):
            yield move
