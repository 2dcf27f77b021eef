"""The shapes of what a client may send in sessions of transcription and of translation.

Source: OpenAI's reference of the client events of both.
"""

from __future__ import annotations

from typing import Any

from stapes.devserver.session.errors import ProtocolError
from stapes.devserver.session.schema import (
    Check,
    anything,
    fields,
    listing,
    nullable,
    one_of,
    tagged,
    text,
)
from stapes.devserver.session.shapes import INPUT_AUDIO, NOISE_REDUCTION, client_event

_string = text()

_TRANSCRIPTION: Check = fields(
    {"type": anything},
    {
        "audio": fields({}, {"input": fields({}, INPUT_AUDIO)}),
        "include": nullable(listing(one_of("item.input_audio_transcription.logprobs"))),
    },
)


def _transcription_session(value: Any, path: str) -> None:
    """Accept the settings of a transcription, and tell those of a conversation by name."""
    if isinstance(value, dict) and value.get("type") == "realtime":
        raise ProtocolError(
            "Passing a realtime session update event to a transcription session is not allowed.",
            "invalid_value",
            f"{path}.type",
        )
    tagged("type", {"transcription": _TRANSCRIPTION})(value, path)


TRANSCRIPTION_EVENT: Check = tagged(
    "type",
    {
        "session.update": client_event({"session": _transcription_session}),
        "input_audio_buffer.append": client_event({"audio": _string}),
        "input_audio_buffer.commit": client_event({}),
        "input_audio_buffer.clear": client_event({}),
    },
)
"""What a client may send in a session of transcription."""

_translation_session = fields(
    {},
    {
        "audio": fields(
            {},
            {
                "input": fields(
                    {},
                    {
                        "transcription": nullable(fields({"model": _string}, {})),
                        "noise_reduction": nullable(NOISE_REDUCTION),
                    },
                ),
                "output": fields({}, {"language": _string}),
            },
        )
    },
)
TRANSLATION_EVENT: Check = tagged(
    "type",
    {
        "session.update": client_event({"session": _translation_session}),
        "session.input_audio_buffer.append": client_event({"audio": _string}),
        "session.close": client_event({}),
    },
)
"""What a client may send in a session of translation."""
