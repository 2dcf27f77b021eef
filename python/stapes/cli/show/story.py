"""A call that is over: all that its picture and its transcript are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from stapes.cli.call.entries import AgentSpeech, CallerSpeech, Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stapes.cli.call.loudspeaker import Cut

RATE = 24_000
"""Samples per second."""


@dataclass(frozen=True, slots=True)
class Story:
    """A call that is over.

    Attributes:
        entries: what happened, in order.
        sound: int16 of shape `(n, 2)` at `RATE`: caller, agent.
        cuts: what was generated and not heard, at `RATE`.
    """

    title: str
    entries: Sequence[Entry]
    sound: NDArray[np.int16]
    cuts: Sequence[Cut] = field(default=())

    @property
    def seconds(self) -> float:
        """How long the call was."""
        return len(self.sound) / RATE

    @property
    def latencies(self) -> list[float]:
        """Seconds that the caller waited for each answer."""
        return [
            entry.latency
            for entry in self.entries
            if isinstance(entry, AgentSpeech) and entry.latency is not None
        ]

    @property
    def agents(self) -> list[str]:
        """Who answered, in the order in which they first spoke."""
        return list(dict.fromkeys(e.agent for e in self.entries if isinstance(e, AgentSpeech)))

    @property
    def turns(self) -> int:
        """How many times the caller spoke."""
        return sum(isinstance(entry, CallerSpeech) for entry in self.entries)

    @property
    def summary(self) -> str:
        """Its length, its turns and its latencies, in a line."""
        facts = [f"{self.seconds:.0f} seconds", f"{self.turns} turns"]
        if latencies := self.latencies:
            facts.append(f"answers after {median(latencies):.2f} s (median)")
            facts.append(f"{max(latencies):.2f} s (slowest)")
        return ", ".join(facts)


def envelope(samples: NDArray[np.int16], step_s: float) -> NDArray[np.float64]:
    """Return the loudness of each step, from 0 to 1, as an eye expects it.

    It is the RMS of a step relative to the loudest one, with the quiet ones lifted.
    """
    step = round(step_s * RATE)
    whole = np.zeros(-(-len(samples) // step) * step)
    whole[: len(samples)] = samples
    rms: NDArray[np.float64] = np.sqrt(np.mean(np.square(whole.reshape(-1, step)), axis=1))
    loudest = float(rms.max(initial=0.0))
    if loudest == 0.0:
        return rms
    rms[rms < 0.01 * loudest] = 0.0
    return np.asarray((rms / loudest) ** 0.7)
