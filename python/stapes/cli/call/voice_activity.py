"""When there was a voice on a channel, by its level."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from stapes.audio import level


@dataclass(slots=True)
class Span:
    """From one second of the call to another."""

    start: float
    end: float


class VoiceActivity:
    """Finds the spans in which a channel was loud enough to be a voice.

    Args:
        rate: samples per second of the PCM16 mono that it hears.
        threshold_dbfs: a frame is a voice above this RMS level.
        bridge_s: pauses up to this length do not end a span.
        most: how many spans are kept, the last ones.
    """

    def __init__(
        self,
        rate: int,
        *,
        threshold_dbfs: float = -42.0,
        bridge_s: float = 0.4,
        most: int = 10_000,
    ) -> None:
        self._rate = rate
        self._threshold = threshold_dbfs
        self._bridge = bridge_s
        self._most = most
        self._heard = 0
        self.spans: list[Span] = []
        self.levels: deque[float] = deque(maxlen=256)
        """The RMS levels of the last frames, in dBFS."""
        self.frames = 0

    def hear(self, frame: bytes) -> None:
        """Take the next frame."""
        start = self._heard / (2 * self._rate)
        self._heard += len(frame)
        end = self._heard / (2 * self._rate)
        rms_dbfs = max(-100.0, level(frame).rms_dbfs)
        self.levels.append(rms_dbfs)
        self.frames += 1
        if rms_dbfs < self._threshold:
            return
        if self.spans and start - self.spans[-1].end <= self._bridge:
            self.spans[-1].end = end
        else:
            self.spans.append(Span(start, end))
            del self.spans[: -self._most]

    @property
    def last(self) -> Span | None:
        """The span under way, or the one before."""
        return self.spans[-1] if self.spans else None

    def last_before(self, moment: float) -> Span | None:
        """Return the last span that began before `moment`."""
        return next((span for span in reversed(self.spans) if span.start < moment), None)
