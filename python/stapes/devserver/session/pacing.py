"""The pace at which spoken audio goes out."""

from __future__ import annotations

import asyncio


class Pacer:
    """Lets sound through some times faster than it plays, by deadlines so that no error adds up."""

    def __init__(self, pace: float | None) -> None:
        self._pace = pace
        self._due: float | None = None

    async def wait(self, audio_ms: float) -> None:
        """Wait after a chunk of that length; at no pace, only let others run."""
        if self._pace is None:
            await asyncio.sleep(0)
            return
        now = asyncio.get_running_loop().time()
        self._due = (now if self._due is None else self._due) + audio_ms / 1000 / self._pace
        await asyncio.sleep(max(0.0, self._due - now))
