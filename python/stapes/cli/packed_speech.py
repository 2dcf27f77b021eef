"""Recorded speech in one file: names, each with the Opus packets of its sound."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from stapes.audio import OpusDecoder, OpusEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PACKET_MS: Final = 60
BITS_PER_SECOND: Final = 16_000
_SIZE = struct.Struct("<H")


def encode(pcm: bytes, sample_rate: int) -> list[bytes]:
    """Encode PCM16 mono; the last packet is filled with silence."""
    encoder = OpusEncoder(sample_rate, application="voip", bitrate=BITS_PER_SECOND, complexity=10)
    size = sample_rate * PACKET_MS // 1000 * 2
    padded = pcm + bytes(-len(pcm) % size)
    return [encoder.encode(padded[start : start + size]) for start in range(0, len(padded), size)]


def decode(packets: Sequence[bytes], sample_rate: int) -> bytes:
    """Return the sound of these packets as PCM16 mono."""
    decoder = OpusDecoder(sample_rate)
    return b"".join(decoder.decode(packet) for packet in packets)


def pack(recorded: Mapping[str, Sequence[bytes]]) -> bytes:
    """Write recordings: each is its name, the number of its packets, and these.

    Sizes and numbers have 16 bits, the low byte first.
    """
    blocks: list[bytes] = []
    for name, packets in recorded.items():
        blocks += [_sized(name.encode()), _SIZE.pack(len(packets)), *map(_sized, packets)]
    return b"".join(blocks)


def unpack(data: bytes) -> dict[str, list[bytes]]:
    """Read what `pack` has written.

    Raises:
        ValueError: it is something else.
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

    try:
        while position < len(data):
            name = block().decode()
            recorded[name] = [block() for _ in range(number())]
    except struct.error as error:
        raise ValueError(f"recordings end too early: {error}") from error
    return recorded


def _sized(block: bytes) -> bytes:
    return _SIZE.pack(len(block)) + block
