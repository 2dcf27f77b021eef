"""What one reader of a session's events has not read yet, bounded."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from stapes.events import (
    Audio,
    AudioInterrupted,
    HistoryUpdated,
    Lagging,
    SessionEvent,
    TranscriptDelta,
    TransportEvent,
)

__all__ = ["EventQueue"]

_NEAR = 16
"""How far words look for later ones that they may go into: whoever is slow must not cost much."""


class EventQueue:
    """What one reader has not read yet, bounded.

    Where the reader lags, audio and raw events are dropped oldest first, and a `Lagging` event says
    so, if the reader is to be `told`; a transcript delta goes into the next one of its part; of
    several history updates the last is kept. Other events are kept up to the bound. Past it, a
    `lossy` queue drops the oldest of them; any other gives up all that it holds and takes no more:
    its reader is too slow.
    """

    __slots__ = (
        "_bytes",
        "_dropped",
        "_events",
        "_lossy",
        "_max_bytes",
        "_max_events",
        "_told",
        "overflown",
    )

    def __init__(
        self, max_events: int, max_bytes: int, *, lossy: bool = False, told: bool = True
    ) -> None:
        self._events: deque[SessionEvent] = deque()
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self._dropped = [0, 0, 0]
        self._lossy = lossy
        self._told = told
        self.overflown = 0
        """How many events were waiting when there were too many."""

    def __len__(self) -> int:
        return len(self._events) + self._has_dropped + bool(self.overflown)

    @property
    def _has_dropped(self) -> bool:
        return self._told and any(self._dropped)

    def put(self, event: SessionEvent) -> None:
        """Takes an event in."""
        if self.overflown:
            return
        self._bytes += _size(event)
        match event:
            case Lagging(audio=audio, transport_events=raw, transcript_deltas=deltas):
                # What was lost before it came here counts as lost here.
                for at, lost in enumerate((audio, raw, deltas)):
                    self._dropped[at] += lost
                return
            case AudioInterrupted(response_id=response_id):
                self._purge(response_id)
            case _:
                pass
        self._events.append(event)
        while len(self._events) > self._max_events or self._bytes > self._max_bytes:
            if self._drop():
                continue
            if self._lossy:
                self._bytes -= _size(self._events.popleft())
                continue
            self.overflown = len(self._events)
            self._events.clear()
            self._bytes = 0
            break

    def get(self) -> SessionEvent:
        """The oldest event."""
        if self._has_dropped:
            audio, raw, deltas = self._dropped
            self._dropped = [0, 0, 0]
            return Lagging(audio=audio, transport_events=raw, transcript_deltas=deltas)
        event = self._events.popleft()
        self._bytes -= _size(event)
        return event

    def _purge(self, response_id: str) -> None:
        kept: deque[SessionEvent] = deque()
        for event in self._events:
            if isinstance(event, Audio) and event.response_id == response_id:
                self._bytes -= len(event.data)
            else:
                kept.append(event)
        self._events = kept

    def _drop(self) -> bool:
        alone: int | None = None
        for at, event in enumerate(self._events):
            match event:
                case Audio():
                    self._dropped[0] += 1
                case TransportEvent():
                    self._dropped[1] += 1
                case TranscriptDelta():
                    if not self._coalesce(at, event):
                        alone = at if alone is None else alone
                        continue
                case HistoryUpdated() if self._superseded(at):
                    pass
                case _:
                    continue
            self._remove(at)
            return True
        if alone is None:
            return False
        self._dropped[2] += 1
        self._remove(alone)
        return True

    def _remove(self, at: int) -> None:
        self._bytes -= _size(self._events[at])
        del self._events[at]

    def _coalesce(self, at: int, delta: TranscriptDelta) -> bool:
        """Puts the words before the next ones of the same part, where those are near."""
        for later in range(at + 1, min(at + 1 + _NEAR, len(self._events))):
            event = self._events[later]
            if isinstance(event, TranscriptDelta) and _part(event) == _part(delta):
                # Their order is kept, and they come no earlier than they did.
                self._events[later] = replace(event, delta=delta.delta + event.delta)
                self._bytes += len(delta.delta)
                return True
        return False

    def _superseded(self, at: int) -> bool:
        return any(
            isinstance(self._events[n], HistoryUpdated) for n in range(at + 1, len(self._events))
        )


def _size(event: SessionEvent) -> int:
    """What counts against the bound on bytes."""
    match event:
        case Audio(data=data):
            return len(data)
        case TransportEvent(size=size):
            return size
        case TranscriptDelta(delta=delta):
            return len(delta)
        case _:
            return 0


def _part(delta: TranscriptDelta) -> tuple[object, ...]:
    return delta.role, delta.item_id, delta.content_index, delta.response_id
