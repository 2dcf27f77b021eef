"""The mind of a call that has several connections, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes.devserver.mind import mind_for_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from stapes.devserver.mind import Call, Mind, Say, View

__all__ = ["LastingMind"]


class LastingMind:
    """Goes on where it was when the caller connects again: to the server that is another call."""

    def __init__(self, mind: Mind) -> None:
        self._mind = mind_for_call(mind)

    def for_call(self) -> Mind:
        """Return the mind that has served the caller so far."""
        return self._mind

    async def hear(
        self, pcm: bytes, *, instructions: str, tools: Sequence[Mapping[str, Any]]
    ) -> str:
        """Return what was said."""
        return await self._mind.hear(pcm, instructions=instructions, tools=tools)

    def answer(self, view: View) -> AsyncIterator[Say | Call]:
        """Say and call what is due."""
        return self._mind.answer(view)
