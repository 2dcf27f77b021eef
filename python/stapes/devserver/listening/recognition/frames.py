"""The frames between the server and its recogniser: JSON header and sound, each with its length."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Mapping

_LENGTHS = struct.Struct("<II")


def write_frame(stream: BinaryIO, header: Mapping[str, Any], sound: bytes = b"") -> None:
    """Write and flush one frame."""
    encoded = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(encoded), len(sound)) + encoded + sound)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Read one frame, or None where the stream has ended, even within a frame."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    header_length, sound_length = _LENGTHS.unpack(lengths)
    body = stream.read(header_length + sound_length)
    if len(body) < header_length + sound_length:
        return None
    return json.loads(body[:header_length]), body[header_length:]
