"""Transcription and translation of speech: sessions without an agent, on the same core."""

from stapes.speech_events import (
    InputCommitted,
    SpeechStarted,
    SpeechStopped,
    Transcript,
    TranscriptSegment,
    TranslationDelta,
)
from stapes.transcription.transcription import RealtimeTranscription, TranscriptionEvent
from stapes.transcription.translation import RealtimeTranslation, TranslationEvent

__all__ = [
    "InputCommitted",
    "RealtimeTranscription",
    "RealtimeTranslation",
    "SpeechStarted",
    "SpeechStopped",
    "Transcript",
    "TranscriptSegment",
    "TranscriptionEvent",
    "TranslationDelta",
    "TranslationEvent",
]
