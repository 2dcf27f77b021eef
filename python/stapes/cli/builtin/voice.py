"""A voice of a few recorded sentences, which `speech.packets` has as Opus.

`LICENSE-speech.md` says what spoke them, and under which licence.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from stapes.audio import Recording
from stapes.cli.builtin.texts import APOLOGY
from stapes.cli.packed_speech import decode, unpack
from stapes.devserver import Speech, ToneVoice
from stapes.devserver.session.speaking import sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_RATE: Final = 24_000
FILE: Final = "speech.packets"


class BuiltinVoice:
    """Speaks the sentences of the built-in model; anything else it hums."""

    def __init__(self) -> None:
        self._hum = ToneVoice()

    async def speak(self, text: str, *, voice: str, speed: float) -> Speech:
        """Speak a sentence; it has one voice and one pace."""
        packets = _recorded().get(text.strip())
        if packets is None:
            return await self._hum.speak(text, voice=voice, speed=speed)
        return Speech(decode(packets, SAMPLE_RATE))


def apology() -> Recording:
    """Return what a caller hears when something goes wrong."""
    recorded = _recorded()
    spoken = b"".join(decode(recorded[sentence], SAMPLE_RATE) for sentence in split(APOLOGY))
    return Recording(spoken, sample_rate=SAMPLE_RATE)


def split(text: str) -> Iterator[str]:
    """Cut a text in the sentences that a voice is asked for one by one."""
    words = re.findall(r"\s*\S+", text.strip())
    return ("".join(sentence).strip() for sentence in sentences(words))


@cache
def _recorded() -> dict[str, list[bytes]]:
    return unpack(files(__package__).joinpath(FILE).read_bytes())
