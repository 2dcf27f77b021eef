"""The chunks of WAV files, as they are found in the wild.

`wave` of the standard library trusts every size in a file, and knows neither floating point nor
G.711; the libraries that know them all are several times as large as this package.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

__all__ = ["Encoding", "NotWavError", "WavSound", "parse_wav"]

_UNKNOWN_SIZE = 0xFFFF_FFFF
_EXTENSIBLE = 0xFFFE
# What follows the format's number in the identifier of an extensible format.
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


class NotWavError(Exception):
    """The bytes are no WAV file whose sound can be read. The message says why."""


class Encoding(Enum):
    """How a sample is written: the number of the format."""

    PCM = 1
    FLOAT = 3
    ALAW = 6
    MULAW = 7


_WIDTHS = {
    Encoding.PCM: (1, 2, 3, 4),
    Encoding.FLOAT: (4, 8),
    Encoding.ALAW: (1,),
    Encoding.MULAW: (1,),
}


@dataclass(frozen=True, slots=True)
class WavSound:
    """The sound of a WAV file.

    Attributes:
        width: bytes of a sample.
        data: whole frames, little endian.
    """

    encoding: Encoding
    width: int
    channels: int
    sample_rate: int
    data: memoryview


def parse_wav(content: bytes) -> WavSound:
    """Find the sound.

    Raises:
        NotWavError: there is none, or of an unknown encoding.
    """
    if content[:4] not in (b"RIFF", b"RF64", b"BW64") or content[8:12] != b"WAVE":
        raise NotWavError("it does not begin as one" if content else "it is empty")
    view = memoryview(content)
    format_: memoryview | None = None
    data: memoryview | None = None
    long_size = None
    at = 12
    while at + 8 <= len(content) and (format_ is None or data is None):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        at += 8
        match name:
            case b"ds64" if at + 16 <= len(content):
                long_size = int.from_bytes(content[at + 8 : at + 16], "little")
            case b"fmt " if format_ is None:
                format_ = view[at : at + size]
            case b"data" if data is None:
                size = _data_size(content, at, size, long_size)
                data = view[at : at + size]
        at = _next_chunk(content, at, size)
    if format_ is None:
        raise NotWavError("it has no chunk that states the format")
    if data is None:
        raise NotWavError("it has no chunk of sound")
    encoding, width, channels, sample_rate = _read_format(bytes(format_))
    whole = len(data) - len(data) % (width * channels)
    return WavSound(encoding, width, channels, sample_rate, data[:whole])


def _data_size(content: bytes, at: int, stated: int, long_size: int | None) -> int:
    """The size of the sound that begins at `at`."""
    rest = len(content) - at
    if stated == _UNKNOWN_SIZE and long_size:
        stated = long_size
    # A writer that could not go back to its header, or was cut off before, left it at 0.
    if stated == 0 and not _are_chunks(content, at):
        stated = rest
    return min(stated, rest)


def _are_chunks(content: bytes, at: int) -> bool:
    """Whether nothing but whole chunks follow."""
    while at + 8 <= len(content):
        if not _is_name(content[at : at + 4]):
            return False
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        at = _next_chunk(content, at + 8, size)
    return at == len(content)


def _next_chunk(content: bytes, at: int, size: int) -> int:
    """Where the chunk after this one begins.

    A chunk of an odd size has a byte of padding behind it, which some writers leave out.
    """
    end = at + size
    if size % 2 == 0:
        return end
    lacks_padding = content[end : end + 1] not in (b"", b"\0") and _is_name(content[end : end + 4])
    return end if lacks_padding else end + 1


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _read_format(chunk: bytes) -> tuple[Encoding, int, int, int]:
    """The encoding, the bytes of a sample, the channels, and the sample rate."""
    if len(chunk) < 16:
        raise NotWavError("the chunk that states the format ends early")
    number, channels, sample_rate, _, frame, bits = struct.unpack_from("<HHIIHH", chunk)
    if number == _EXTENSIBLE:
        if len(chunk) < 40:
            raise NotWavError("the chunk that states the extensible format ends early")
        if chunk[26:40] != _GUID_TAIL:
            raise NotWavError(f"its extensible format {chunk[24:40].hex()} is unknown")
        number = int.from_bytes(chunk[24:26], "little")
    if channels == 0:
        raise NotWavError("it states no channels")
    if sample_rate == 0:
        raise NotWavError("it states a rate of 0 samples a second")
    try:
        encoding = Encoding(number)
    except ValueError:
        raise NotWavError(
            f"its format is number {number:#06x}: convert it to 16-bit PCM "
            "(ffmpeg -i in.wav -c:a pcm_s16le out.wav)"
        ) from None
    width = (bits + 7) // 8
    if encoding is Encoding.PCM and (bits, frame) == (24, 4 * channels):
        # The sample stands in the upper 24 bits.
        width = 4
    if width not in _WIDTHS[encoding]:
        expected = " or ".join(str(8 * width) for width in _WIDTHS[encoding])
        raise NotWavError(f"it has {bits}-bit samples: expected {expected}")
    return encoding, width, channels, sample_rate
