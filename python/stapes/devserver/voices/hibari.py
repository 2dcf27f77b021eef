"""An offline voice that sounds natural: `hibari-tts`, a neural voice of 8 MB in its own wheel."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from stapes.devserver.mind import Speech
from stapes.devserver.resampling import resample
from stapes.devserver.voices.sound import SAMPLE_RATE, VoiceUnavailableError, to_pcm

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tone:
    """How a voice differs from the one that the model has, an American woman's.

    Attributes:
        pitch: 1 is the model's own; below is deeper and larger, as the formants move along.
        pace: 1 is the model's own.
    """

    pitch: float = 1.0
    pace: float = 1.0


TONES: Final[Mapping[str, Tone]] = {
    "alloy": Tone(0.92, 1.0),
    "ash": Tone(0.80, 1.0),
    "ballad": Tone(0.85, 0.93),
    "cedar": Tone(0.82, 0.97),
    "coral": Tone(1.05, 1.03),
    "echo": Tone(0.77, 0.97),
    "marin": Tone(1.0, 1.0),
    "sage": Tone(0.96, 0.94),
    "shimmer": Tone(1.08, 0.97),
    "verse": Tone(0.88, 1.05),
}
"""The provider's voice names, each with a sound of its own."""

_PACES = (0.4, 2.5)
"""How fast the model can be asked to speak."""
_SEED = 0
"""Of the noise in breath and hiss: the same text is the same sound."""


class HibariVoice:
    """Speaks with hibari, on one core some hundred times as fast as it plays.

    Args:
        longest: how many characters of a text are spoken; the rest is left out.
    """

    def __init__(self, *, longest: int = 4_000) -> None:
        self._longest = longest
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stapes-hibari")
        # Half a second of work, begun before anybody speaks.
        self._model = self._thread.submit(_load)

    async def speak(self, text: str, *, voice: str, speed: float) -> Speech:
        """Speak `text` as `voice`, `speed` times the voice's usual pace.

        A name that is not in `TONES` gets one of them, always the same.

        Raises:
            VoiceUnavailableError: hibari cannot be loaded.
        """
        loop = asyncio.get_running_loop()
        tone = TONES.get(voice) or list(TONES.values())[crc32(voice.encode()) % len(TONES)]
        pcm = await loop.run_in_executor(
            self._thread, self._synthesise, text[: self._longest], tone, speed
        )
        return Speech(pcm)

    def _synthesise(self, text: str, tone: Tone, speed: float) -> bytes:
        model = self._model.result()
        # Read at another rate, the voice is deeper and slower by `pitch`; asked to speak faster by
        # as much, it keeps its pace.
        pace = min(max(tone.pace * speed / tone.pitch, _PACES[0]), _PACES[1])
        sound: NDArray[np.float32] = model(text, speed=pace, seed=_SEED)
        return to_pcm(resample(sound, round(SAMPLE_RATE * tone.pitch), SAMPLE_RATE))


def _load() -> Any:
    try:
        from hibari import Hibari

        model = Hibari(threads=1)
        model("Hello.", seed=_SEED)  # Reads the dictionary, which is otherwise read when needed.
    except (ImportError, OSError, RuntimeError) as error:
        raise VoiceUnavailableError(f"cannot load hibari-tts: {error}") from error
    return model
