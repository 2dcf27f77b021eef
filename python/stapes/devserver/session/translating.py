"""Translation, as far as a server without a model of its own has one: it says what it heard again.

What is said is heard by the mind, phrase by phrase, and spoken by the voice with the language in
front: enough to develop a client with, and plainly no translation.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from stapes.devserver.audio.formats import PCM, RATE, to_pcm
from stapes.devserver.audio.vad import SpeechStarted, SpeechStopped, VoiceActivity
from stapes.devserver.session.outbox import Close
from stapes.devserver.session.pacing import Pacer
from stapes.devserver.session.payload import decode_audio
from stapes.devserver.session.speaking import steps
from stapes.devserver.session.text import words_of

if TYPE_CHECKING:
    from stapes.devserver.session.config import TranslationConfig
    from stapes.devserver.session.context import CallContext

logger = logging.getLogger(__name__)

_FRAME_MS = 200
"""The provider translates frames of this length, and tells time by them."""
_LEAST_PHRASE_MS = 100


class Translating:
    """Answers the client events of a session of translation."""

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._activity = VoiceActivity(rate=RATE)
        self._samples = bytearray()
        self._begin = 0
        self._last: asyncio.Task[None] | None = None
        self._pacer = Pacer(context.options.pace)
        self._is_closing = False

    def append(self, event: dict[str, Any]) -> None:
        """Take in sound; translate each phrase when it has ended."""
        if self._is_closing:
            return
        samples = decode_audio(event["audio"], PCM, "audio")
        self._samples += samples.astype("<i2").tobytes()
        for decision in self._activity.feed(samples):
            match decision:
                case SpeechStarted(start=start):
                    self._forget_before(start)
                case SpeechStopped(end=end):
                    self._phrase(end)
        if not self._activity.speaking:
            self._forget_before(self._end - RATE)
        elif len(self._samples) > self._context.options.max_input_seconds * RATE * 2:
            self._activity.reset()
            self._phrase(self._end)

    def close(self, event: dict[str, Any]) -> None:
        """Translate what is left, and end the session."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._activity.speaking:
            self._phrase(self._end)
        self._context.spawn(self._close(self._last))

    @property
    def _end(self) -> int:
        return self._begin + len(self._samples) // 2

    def _forget_before(self, position: int) -> None:
        surplus = position - self._begin
        if surplus > 0:
            del self._samples[: surplus * 2]
            self._begin = position

    def _phrase(self, end: int) -> None:
        size = (end - self._begin) * 2
        samples = np.frombuffer(bytes(self._samples[:size]), dtype="<i2").astype(np.int16)
        self._forget_before(end)
        if len(samples) < _LEAST_PHRASE_MS * RATE // 1000:
            return
        elapsed_ms = end * 1000 // RATE // _FRAME_MS * _FRAME_MS
        work = self._translate(to_pcm(samples, RATE), elapsed_ms, self._last)
        self._last = self._context.spawn(work)

    async def _translate(
        self, pcm: bytes, elapsed_ms: int, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        context = self._context
        config: TranslationConfig = context.config  # type: ignore[assignment]
        try:
            async with asyncio.timeout(context.options.mind_seconds):
                heard = await context.mind.hear(pcm, instructions="", tools=[])
        except Exception:
            logger.exception("the mind could not hear a phrase")
            return
        if not heard:
            return
        if config.transcription is not None:
            for word in words_of(heard):
                self._words("input", word, elapsed_ms)
        said = heard if config.language is None else f"({config.language}) {heard}"
        voice = context.options.default_voice
        speech = await context.voice.speak(said, voice=voice, speed=1.0)
        for step in steps(words_of(f"{said} "), speech.pcm, PCM, chunk_ms=_FRAME_MS):
            for word, _ in step.words:
                self._words("output", word, elapsed_ms)
            context.emit(
                "session.output_audio.delta",
                delta=base64.b64encode(step.encoded).decode(),
                elapsed_ms=elapsed_ms,
                sample_rate=RATE,
                channels=1,
                format="pcm16",
            )
            elapsed_ms += _FRAME_MS
            await self._pacer.wait(step.audio_ms)

    def _words(self, kind: str, delta: str, elapsed_ms: int) -> None:
        self._context.emit(f"session.{kind}_transcript.delta", delta=delta, elapsed_ms=elapsed_ms)

    async def _close(self, last: asyncio.Task[None] | None) -> None:
        if last is not None:
            await asyncio.wait([last])
        self._context.emit("session.closed")
        self._context.outbox.put(Close(1000, ""))
