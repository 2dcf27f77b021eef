"""A caller who speaks from WAV files, and waits for each answer as a person does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stapes.cli.call.entries import AgentSpeech

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.cli.call.call import Call
    from stapes.cli.call.virtual_device import VirtualDevice

_LOOK_S = 0.02


class NoAnswerError(Exception):
    """The agent did not answer in time, or not to the end."""


class Caller:
    """Speaks into a virtual device.

    Args:
        call: the call.
        device: its microphone.
        patience_s: how long an answer may take to begin, and to be over.
        pause_s: silence before the caller speaks again.
    """

    def __init__(
        self, call: Call, device: VirtualDevice, *, patience_s: float = 30.0, pause_s: float = 0.4
    ) -> None:
        self._call = call
        self._device = device
        self._patience_s = patience_s
        self._pause_s = pause_s

    async def say(self, pcm: bytes) -> float:
        """Say PCM16 mono at the device's rate; return the second at which it began."""
        began = self._call.line.now
        await self._device.say(pcm)
        return began

    async def hear_out(self, since: float) -> None:
        """Wait until what was said at `since` has been answered, and a pause has passed.

        Raises:
            NoAnswerError: there was no answer, or it did not end.
        """
        try:
            await self._until(lambda: bool(self._answers(since)) and self._quiet())
        except TimeoutError:
            what = "did not end" if self._answers(since) else "did not come"
            raise NoAnswerError(f"the answer {what} within {self._patience_s:g} s") from None

    async def hear_for(self, since: float, seconds: float) -> None:
        """Wait until so many seconds of the answer to what was said at `since` have been heard.

        Raises:
            NoAnswerError: there was no answer, or it was shorter.
        """
        line = self._call.line

        def heard() -> bool:
            answers = self._answers(since)
            return bool(answers) and line.now >= answers[0].at + seconds

        try:
            await self._until(heard)
        except TimeoutError:
            raise NoAnswerError(f"the answer did not come within {self._patience_s:g} s") from None
        if self._call.journal.done(self._answers(since)[0]):
            raise NoAnswerError(f"the answer to talk over was shorter than {seconds:g} s")

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(self._patience_s):
            while not condition():
                await asyncio.sleep(_LOOK_S)

    def _answers(self, since: float) -> list[AgentSpeech]:
        return [
            entry
            for entry in self._call.journal.since(since)
            if isinstance(entry, AgentSpeech) and entry.cut is None
        ]

    def _quiet(self) -> bool:
        return self._call.journal.quiet_for() >= self._pause_s
