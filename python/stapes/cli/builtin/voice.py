"""A voice of a few recorded sentences, which `speech.packets` has as Opus.

`LICENSE-speech.md` says what spoke them, and under which licence.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from struct import Struct
from typing import TYPE_CHECKING, Final

from stapes.audio import OpusDecoder, Recording
from stapes.cli.builtin.texts import APOLOGY
from stapes.devserver import Speech, ToneVoice
from stapes.devserver.session.speaking import sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SAMPLE_RATE: Final = 24_000
PACKET_MS: Final = 60
FILE: Final = "speech.packets"
_SIZE = Struct("<H")


class BuiltinVoice:
    """Speaks the sentences of the built-in model; anything else it hums."""

    def __init__(self) -> None:
        self._hum = ToneVoice()

    async def speak(self, text: str, *, voice: str, speed: float) -> Speech:
        """Speak a sentence; it has one voice and one pace."""
        packets = _recorded().get(text.strip())
        if packets is None:
            return await self._hum.speak(text, voice=voice, speed=speed)
        return Speech(decode(packets))


def apology() -> Recording:
    """Return what a caller hears when something goes wrong."""
    recorded = _recorded()
    spoken = b"".join(decode(recorded[sentence]) for sentence in split(APOLOGY))
    return Recording(spoken, sample_rate=SAMPLE_RATE)


def split(text: str) -> Iterator[str]:
    """Cut a text in the sentences that a voice is asked for one by one."""
    words = re.findall(r"\s*\S+", text.strip())
    return ("".join(sentence).strip() for sentence in sentences(words))


def decode(packets: Sequence[bytes]) -> bytes:
    """Return the sound of one sentence."""
    decoder = OpusDecoder(SAMPLE_RATE)
    return b"".join(decoder.decode(packet) for packet in packets)


def pack(recorded: Mapping[str, Sequence[bytes]]) -> bytes:
    """Write sentences: each is its text, the number of its packets, and these; sizes are 16 bit."""
    blocks: list[bytes] = []
    for text, packets in recorded.items():
        blocks += [_sized(text.encode()), _SIZE.pack(len(packets)), *map(_sized, packets)]
    return b"".join(blocks)


def unpack(data: bytes) -> dict[str, list[bytes]]:
    """Read what `pack` has written.

    Raises:
        struct.error, UnicodeDecodeError: it is something else.
    """
    recorded: dict[str, list[bytes]] = {}
    position = 0

    def number() -> int:
        nonlocal position
        (value,) = _SIZE.unpack_from(data, position)
        position += _SIZE.size
        return int(value)

    def block() -> bytes:
        nonlocal position
        size = number()
        position += size
        return data[position - size : position]

    while position < len(data):
        text = block().decode()
        recorded[text] = [block() for _ in range(number())]
    return recorded


def _sized(block: bytes) -> bytes:
    return _SIZE.pack(len(block)) + block


@cache
def _recorded() -> dict[str, list[bytes]]:
    return unpack(files(__package__).joinpath(FILE).read_bytes())
