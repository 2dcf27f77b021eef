"""A call as it was heard: the caller on the left, the agent on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stapes.audio import Resampler, write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RATE = 24_000
"""Samples per second of a recording."""


class Channel:
    """One voice, frame by frame.

    Args:
        rate: samples per second of the PCM16 mono that it is given.
        longest_s: sound after so many seconds is left out.
    """

    def __init__(self, rate: int, *, longest_s: float) -> None:
        self._rate = rate
        self._limit = int(longest_s * rate) * 2
        self._pcm = bytearray()

    def add(self, frame: bytes) -> None:
        """Append the next frame."""
        self._pcm += frame[: max(0, self._limit - len(self._pcm))]

    def samples(self) -> NDArray[np.int16]:
        """Return all of it at `RATE`."""
        if self._rate == RATE:
            return np.frombuffer(bytes(self._pcm), "<i2").astype(np.int16)
        resampler = Resampler(self._rate, RATE, output="int16")
        return np.concatenate([resampler.process(bytes(self._pcm)), resampler.flush()])


class Recording:
    """Both voices of a call, by one clock.

    Args:
        caller_rate: samples per second of the caller's frames.
        agent_rate: samples per second of the agent's frames.
        longest_s: how much is recorded; what comes later is left out.
    """

    def __init__(self, caller_rate: int, agent_rate: int, *, longest_s: float = 3_600.0) -> None:
        self.caller = Channel(caller_rate, longest_s=longest_s)
        self.agent = Channel(agent_rate, longest_s=longest_s)

    def add(self, caller: bytes, agent: bytes) -> None:
        """Append what was said and what was heard in one frame of time."""
        self.caller.add(caller)
        self.agent.add(agent)

    def stereo(self) -> NDArray[np.int16]:
        """Return both voices at `RATE`, of shape `(n, 2)`: caller, agent."""
        caller, agent = self.caller.samples(), self.agent.samples()
        both = np.zeros((max(len(caller), len(agent)), 2), np.int16)
        both[: len(caller), 0] = caller
        both[: len(agent), 1] = agent
        return both

    def write(self, path: Path) -> None:
        """Write a stereo WAV file."""
        write_wav(path, self.stereo(), RATE)

    def write_agent(self, path: Path) -> None:
        """Write a mono WAV file of the agent alone."""
        write_wav(path, self.agent.samples(), RATE)
