"""What is known of the provider's models that transcribe and translate.

Sources: OpenAI's reference of transcription sessions and its guides to realtime transcription and
translation, as of November 2026. A model that is not named here is asked for what the user asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["TRANSCRIBES", "TRANSLATES", "check_transcription"]

TRANSCRIBES = "gpt-live-transcribe"
"""The model of a transcription that names none: the one that the provider's guide begins with."""
TRANSLATES = "gpt-realtime-translate"
"""The model of a translation that names none."""

# These refuse every `turn_detection`: the client commits.
_BY_HAND = frozenset({"gpt-live-transcribe", "gpt-realtime-whisper"})
_TAKES_DELAY = frozenset({"gpt-live-transcribe", "gpt-realtime-whisper"})
_TAKES_KEYWORDS = frozenset({"gpt-live-transcribe", "gpt-transcribe"})
_TAKES_NO_PROMPT = frozenset({"gpt-realtime-whisper", "gpt-4o-transcribe-diarize"})
# All models that are known, so that one of another provider is left alone.
_KNOWN = _BY_HAND | _TAKES_KEYWORDS | _TAKES_NO_PROMPT


def check_transcription(
    model: str,
    turn_detection: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
) -> None:
    """Refuses what the model is documented to refuse.

    Args:
        model: the one that transcribes.
        turn_detection: how turns are to be detected.
        settings: the others: `delay`, `keywords`, `languages`, `prompt`; those that are given.

    Raises:
        ValueError: names the argument and the model, and says what to do.
    """
    if turn_detection is not None and model in _BY_HAND:
        raise ValueError(
            f"turn_detection does not work with {model}, which detects no turns: leave it out and "
            "call commit() where a turn ends, or use model='gpt-transcribe'"
        )
    if model not in _KNOWN:
        return
    refused: Sequence[tuple[str, bool, frozenset[str]]] = (
        ("delay", model in _TAKES_DELAY, _TAKES_DELAY),
        ("keywords", model in _TAKES_KEYWORDS, _TAKES_KEYWORDS),
        ("languages", model in _TAKES_KEYWORDS, _TAKES_KEYWORDS),
        ("prompt", model not in _TAKES_NO_PROMPT, _TAKES_KEYWORDS),
    )
    for name, takes, others in refused:
        if name in settings and not takes:
            raise ValueError(
                f"{name} does not work with {model}: leave it out, or use "
                f"model={' or '.join(repr(other) for other in sorted(others))}"
            )
