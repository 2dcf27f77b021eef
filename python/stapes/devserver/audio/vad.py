"""Voice activity by energy over an adaptive noise floor.

Time is counted in samples received, never on a clock: the same audio gives the same answer however
fast it comes and however it is cut.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

Samples = NDArray[np.int16]

FRAME_MS = 20
_ONSET_FRAMES = 3
"""Voiced frames among the last `_ONSET_WINDOW` that make speech: a click is no speech."""
_ONSET_WINDOW = 5
_VOICED = 0.25
"""Correlation of neighbouring samples below which a frame is noise: a cough, a hiss. Voices begin
at 0.5 even at 8 kHz. It counts at the onset alone, for there are hisses within words."""
_FLOOR_MIN_DB = -50.0
"""The floor of a silent line: sound below -40 dBFS is no speech at the default threshold."""
_FLOOR_MAX_DB = -25.0
_FLOOR_RISE_QUIET_DB = 0.06
"""How fast the floor follows a louder background, per frame (3 dB a second)."""
_FLOOR_RISE_SPEECH_DB = 0.01
_FLOOR_RISE_STEADY_DB = 0.5
_STEADY_FRAMES = 25
_STEADY_RANGE_DB = 6.0
"""Sound whose level stays within this range for half a second is a hum, however loud: speech does
not do that."""
_FLOOR_FALL = 0.3
"""Share of the way down to a quieter background that the floor goes in one frame."""
_FULL_SCALE_DB = 20.0
"""Decibels over the floor at which the score is 1; a threshold of 0.5 asks for half of them."""
_RELEASE = 0.15
"""Speech goes on down to this much below the threshold."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began at `start` (with the padding before it) and was noticed at `noticed`."""

    start: int
    noticed: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Silence lasted long enough at `end`, in samples since the detector was made."""

    end: int


class VoiceActivity:
    """Finds speech in a stream of samples; positions are samples since `origin`."""

    def __init__(
        self,
        *,
        rate: int,
        threshold: float = 0.5,
        prefix_padding_ms: int = 300,
        silence_duration_ms: int = 500,
        origin: int = 0,
    ) -> None:
        self._frame = rate * FRAME_MS // 1000
        self._threshold = threshold
        self._padding = rate * prefix_padding_ms // 1000
        self._silence_frames = max(1, -(-silence_duration_ms // FRAME_MS))
        self._position = origin
        self._rest: Samples = np.zeros(0, dtype=np.int16)
        self._floor_db = _FLOOR_MIN_DB
        self._levels: deque[float] = deque(maxlen=_STEADY_FRAMES)
        self._recent: list[bool] = []
        self._quiet = 0
        self.speaking = False

    def feed(self, samples: Samples) -> Iterator[SpeechStarted | SpeechStopped]:
        """Take the next samples and give what they decide, in order."""
        pending = np.concatenate((self._rest, samples))
        frames = len(pending) // self._frame
        self._rest = pending[frames * self._frame :]
        if not frames:
            return
        blocks = pending[: frames * self._frame].reshape(frames, self._frame).astype(np.float64)
        blocks /= 32_768.0
        power = np.mean(np.square(blocks), axis=1)
        neighbours = np.mean(blocks[:, 1:] * blocks[:, :-1], axis=1)
        levels = 10.0 * np.log10(power + 1e-12)
        for level, voiced in zip(levels, neighbours > _VOICED * power, strict=True):
            self._position += self._frame
            decision = self._decide(self._score(float(level)), bool(voiced))
            if decision is not None:
                yield decision

    def reset(self) -> None:
        """Forget that somebody speaks; the noise floor stays."""
        self.speaking = False
        self._recent.clear()
        self._quiet = 0

    def _score(self, level: float) -> float:
        """Return how much `level` stands out of the floor, and let the floor follow."""
        score = (level - self._floor_db) / _FULL_SCALE_DB
        self._levels.append(level)
        if level < self._floor_db:
            self._floor_db += (level - self._floor_db) * _FLOOR_FALL
        else:
            self._floor_db += min(self._rise(), level - self._floor_db)
        self._floor_db = min(max(self._floor_db, _FLOOR_MIN_DB), _FLOOR_MAX_DB)
        return min(max(score, 0.0), 1.0)

    def _rise(self) -> float:
        steady = len(self._levels) == _STEADY_FRAMES
        if steady and max(self._levels) - min(self._levels) < _STEADY_RANGE_DB:
            return _FLOOR_RISE_STEADY_DB
        return _FLOOR_RISE_SPEECH_DB if self.speaking else _FLOOR_RISE_QUIET_DB

    def _decide(self, score: float, voiced: bool) -> SpeechStarted | SpeechStopped | None:
        if self.speaking:
            self._quiet = 0 if score >= self._threshold - _RELEASE else self._quiet + 1
            if self._quiet < self._silence_frames:
                return None
            self.reset()
            return SpeechStopped(self._position)
        heard = voiced and score >= self._threshold
        self._recent = [*self._recent[1 - _ONSET_WINDOW :], heard]
        if sum(self._recent) < _ONSET_FRAMES:
            return None
        onset = len(self._recent) - self._recent.index(True)
        self.speaking, self._quiet = True, 0
        start = self._position - onset * self._frame - self._padding
        return SpeechStarted(max(0, start), self._position)
