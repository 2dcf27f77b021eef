"""What waits to be played, and what of it has been."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

OnPlayed: TypeAlias = Callable[[str, int, float], None]
"""Told when more of a part has been played: item id, content index, milliseconds of it so far."""


@dataclass(slots=True)
class _Piece:
    item_id: str
    content_index: int
    pcm: memoryview


@dataclass(frozen=True, slots=True)
class Cut:
    """Sound that was not played, since the answer was cut.

    Attributes:
        at: the second of the call at which it would have begun.
        pcm: PCM16 mono at the loudspeaker's rate.
    """

    at: float
    pcm: bytes


class Loudspeaker:
    """A queue of sound that is taken frame by frame; where it runs dry there is silence.

    Sound is put by one thread and may be taken by another, the sound device's.

    Args:
        rate: samples per second.
        on_played: told when more of an answer is taken, in the taking thread.
        lead_s: where it has run dry, sound waits for so much of it before it is played; sound that
            comes as fast as it plays would run dry again and again.
    """

    def __init__(
        self, rate: int, on_played: OnPlayed | None = None, *, lead_s: float = 0.0
    ) -> None:
        self.rate = rate
        self._lead = int(lead_s * rate) * 2
        self._held = 0
        self._on_played = on_played
        self._pieces: deque[_Piece] = deque()
        self._queued = 0
        self._taken = 0
        self._part: tuple[str, int] = ("", 0)
        self._played = 0
        self._lock = threading.Lock()

    @property
    def now(self) -> float:
        """Seconds that have been taken, silence included: where the call is."""
        return self._seconds(self._taken)

    @property
    def end(self) -> float:
        """The second of the call at which all that is queued has been played."""
        with self._lock:
            return self._seconds(self._taken + (self._held if self._queued else 0) + self._queued)

    @property
    def playing(self) -> bool:
        """Whether anything is queued."""
        return self._queued > 0

    def put(self, item_id: str, content_index: int, pcm: bytes) -> float:
        """Queue a piece of an answer; return the second of the call at which it begins."""
        with self._lock:
            if not self._queued:
                self._held = self._lead
            begins = self._seconds(self._taken + self._held + self._queued)
            self._pieces.append(_Piece(item_id, content_index, memoryview(pcm)))
            self._queued += len(pcm)
        return begins

    def take(self, size: int) -> bytes:
        """Take `size` bytes of what is to be heard now."""
        frame = bytearray()
        played: dict[tuple[str, int], int] = {}
        with self._lock:
            if self._queued and self._held:
                waits = min(size, self._held)
                self._held -= waits
                frame += bytes(waits)
            waited = len(frame)
            while self._pieces and len(frame) < size:
                piece = self._pieces[0]
                share = piece.pcm[: size - len(frame)]
                frame += share
                part = (piece.item_id, piece.content_index)
                if part != self._part:
                    self._part, self._played = part, 0
                self._played += len(share)
                played[part] = self._played
                piece.pcm = piece.pcm[len(share) :]
                if not piece.pcm:
                    self._pieces.popleft()
            self._queued -= len(frame) - waited
            self._taken += size
        if self._on_played is not None:
            for (item_id, content_index), size_played in played.items():
                self._on_played(item_id, content_index, 1000 * self._seconds(size_played))
        return bytes(frame) + bytes(size - len(frame))

    def clear(self) -> Cut | None:
        """Forget what is queued, and return it."""
        with self._lock:
            if not self._queued:
                return None
            cut = Cut(
                self._seconds(self._taken + self._held),
                b"".join(piece.pcm for piece in self._pieces),
            )
            self._pieces.clear()
            self._queued = 0
        return cut

    def _seconds(self, size: int) -> float:
        return size / (2 * self.rate)
