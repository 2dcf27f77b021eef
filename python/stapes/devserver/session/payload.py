"""Sound as it comes in client events: base64 of the session's input format."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from stapes.devserver.session.errors import ProtocolError

if TYPE_CHECKING:
    from stapes.devserver.audio.formats import AudioFormat, Samples


def decode_audio(data: str, audio: AudioFormat, path: str) -> Samples:
    """Return the samples of an audio argument, at the format's rate.

    Raises:
        ProtocolError: it is not base64, or not a whole number of samples.
    """
    try:
        return audio.decode(base64.b64decode(data, validate=True))
    except binascii.Error:
        problem = "Expected base64-encoded audio bytes, but got an invalid value."
    except ValueError as error:
        problem = f"Expected {audio.name} audio: {error}."
    raise ProtocolError(f"Invalid '{path}'. {problem}", "invalid_value", path)
