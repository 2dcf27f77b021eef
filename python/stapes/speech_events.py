"""Events of transcription and of translation, besides those that every session has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

__all__ = [
    "InputCommitted",
    "SpeechStarted",
    "SpeechStopped",
    "Transcript",
    "TranscriptSegment",
    "TranslationDelta",
]


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The provider has heard somebody begin to speak; where it detects turns.

    Attributes:
        item_id: the item that will hold what is said.
        audio_start_ms: where it begins, in milliseconds of sound on this connection. `None`: the
            provider does not say.
    """

    item_id: str
    audio_start_ms: int | None
    type: ClassVar[Literal["speech_started"]] = "speech_started"


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Somebody has stopped speaking; where the provider detects turns.

    Attributes:
        item_id: the item that holds what was said.
        audio_end_ms: where it ends, in milliseconds of sound on this connection. `None`: the
            provider does not say.
    """

    item_id: str
    audio_end_ms: int | None
    type: ClassVar[Literal["speech_stopped"]] = "speech_stopped"


@dataclass(frozen=True, slots=True)
class InputCommitted:
    """What was sent so far is an item, by `commit()` or by turn detection: its transcript follows.

    Attributes:
        item_id: the item.
        previous_item_id: the item before it; transcripts may come in another order. `None`: it is
            the first.
    """

    item_id: str
    previous_item_id: str | None
    type: ClassVar[Literal["input_committed"]] = "input_committed"


@dataclass(frozen=True, slots=True)
class Transcript:
    """The transcript of an item, whole.

    Each item ends with one of these, or with a `stapes.TranscriptionFailed`.

    Attributes:
        item_id: the item.
        text: its words.
        content_index: the part of the item.
        interrupted: the connection was lost before the end: `text` is what had come of it. The
            sound that has no transcript is sent again over the next connection, so that its words
            come again, in another item.
        logprobs: how sure the model was of each token, where `logprobs=True` asked for that:
            `token`, `bytes` and `logprob` each.
        languages: those that were heard, by models that tell.
        usage: what it cost, as the provider states it: tokens, or seconds.
    """

    item_id: str
    text: str
    content_index: int = 0
    interrupted: bool = False
    logprobs: tuple[dict[str, Any], ...] | None = None
    languages: tuple[Any, ...] | None = None
    usage: dict[str, Any] | None = None
    type: ClassVar[Literal["transcript"]] = "transcript"


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """What one speaker said, where the model tells speakers apart.

    Attributes:
        item_id: the item.
        content_index: the part of the item.
        text: the words.
        speaker: the provider's label of who said them.
        start: where they begin, in seconds within the item. `None`: it was not stated.
        end: where they end.
    """

    item_id: str
    content_index: int
    text: str
    speaker: str | None
    start: float | None
    end: float | None
    type: ClassVar[Literal["transcript_segment"]] = "transcript_segment"


@dataclass(frozen=True, slots=True)
class TranslationDelta:
    """Words of a translation as they are spoken, or of what is translated.

    Deltas are put together as they are, without spaces between them.

    Attributes:
        role: `assistant`: of the translation. `user`: of what was said, where
            `transcription_model` asked for that.
        delta: the words.
        elapsed_ms: where they belong, in milliseconds of the session's sound. Several deltas may
            have the same. `None`: it was not stated.
    """

    role: Literal["user", "assistant"]
    delta: str
    elapsed_ms: int | None
    type: ClassVar[Literal["translation_delta"]] = "translation_delta"
