"""What the voices have in common: the format and loudness of speech, and the lack of a voice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATE: Final = 24_000
"""The realtime protocol's rate, in Hz."""

_SPOKEN_RMS = 0.1
"""Loudness of every voice, as a share of full scale (-20 dBFS), since synthesisers differ."""
_AUDIBLE = 0.01
"""Samples below this share of full scale are pauses, and do not count."""
_PEAK = 0.9
_BEFORE_S, _AFTER_S = 0.03, 0.15
"""Silence that is left around speech: more of it would make every answer late."""


class VoiceUnavailableError(RuntimeError):
    """There is no speech synthesiser on this machine, or it does not work."""


def to_pcm(sound: NDArray[np.float32]) -> bytes:
    """Bring mono speech to the usual loudness and cut the silence around it.

    Returns:
        PCM16 little endian; nothing where there is no speech.
    """
    loud = np.flatnonzero(np.abs(sound) > _AUDIBLE)
    if len(loud) == 0:
        return b""
    first = max(0, int(loud[0]) - round(_BEFORE_S * SAMPLE_RATE))
    speech = sound[first : int(loud[-1]) + round(_AFTER_S * SAMPLE_RATE)]
    rms = float(np.sqrt(np.mean(np.square(sound[loud]))))
    gain = min(_SPOKEN_RMS / rms, _PEAK / float(np.max(np.abs(sound))))
    samples: NDArray[np.int16] = np.rint(speech * np.float32(gain * 32_767.0)).astype("<i2")
    return samples.tobytes()
