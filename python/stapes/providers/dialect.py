"""How a provider wants client events written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["BETA", "GA", "Dialect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How client events differ from those of OpenAI's GA protocol. The default: in nothing.

    A session is configured, and remembers its configuration, in the shape of the GA protocol; the
    core rewrites `session.update`, `conversation.item.create` and `response.create` as they leave.
    An event that you write yourself (`session.transport.send_event`) goes out as it is. What is
    read is lenient, whatever stands here.

    Attributes:
        session: where a session has its settings: `"ga"`: in `audio`; `"voice_at_top"`: the voice
            and the turn detection at the top, the others in `audio`; `"flat"`: all at the top, by
            the names of the beta (`input_audio_format`, `modalities`, ...).
        nested_tools: functions are `{"type": "function", "function": {...}}`.
        beta_parts: an assistant's text is a `text` part, not `output_text`.
        pcm: the name of PCM in a flat session.
        max_tokens: the name of `max_output_tokens` in a flat session.
        states_input_rate: a flat session has `input_audio_sampling_rate`.
    """

    session: Literal["ga", "voice_at_top", "flat"] = "ga"
    nested_tools: bool = False
    beta_parts: bool = False
    pcm: str = "pcm16"
    max_tokens: str = "max_response_output_tokens"
    states_input_rate: bool = False


GA = Dialect()
"""OpenAI's."""
BETA = Dialect(session="flat", beta_parts=True)
"""That of OpenAI's beta, which Azure's older endpoints and speaches have."""
