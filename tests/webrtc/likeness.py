"""How alike what was said and what was heard are."""

from __future__ import annotations

from typing import Any

import numpy as np

from stapes.devserver import ScriptedMind


def samples(pcm: bytes | bytearray) -> Any:
    return np.frombuffer(bytes(pcm), "<i2").astype(float)


def alignment(sent: Any, heard: Any) -> tuple[float, int]:
    """How alike two sounds are when the second is moved to where it fits best, and how far."""
    size = 1 << (len(sent) + len(heard)).bit_length()
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size))
    lag = int(np.argmax(np.fft.irfft(product)))
    lag = lag - size if lag > size // 2 else lag
    moved = np.zeros(len(sent))
    begin, end = max(0, -lag), min(len(sent), len(heard) - lag)
    moved[begin:end] = heard[begin + lag : end + lag]
    return float(np.corrcoef(sent, moved)[0, 1]), lag


class Ear(ScriptedMind):
    """Keeps what it hears."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.heard: list[bytes] = []

    def for_call(self) -> Ear:
        return self

    async def hear(self, pcm: bytes, **options: Any) -> str:
        self.heard.append(pcm)
        return await super().hear(pcm, **options)
