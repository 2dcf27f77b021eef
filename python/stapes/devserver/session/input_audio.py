"""The input audio buffer, and the turns that the server detects in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stapes.devserver.audio.formats import PCM, convert, to_pcm
from stapes.devserver.audio.vad import SpeechStarted, SpeechStopped, VoiceActivity
from stapes.devserver.session.errors import ProtocolError
from stapes.devserver.session.item_events import announce
from stapes.devserver.session.items import Item, Part
from stapes.devserver.session.payload import decode_audio

if TYPE_CHECKING:
    from stapes.devserver.audio.formats import AudioFormat, Samples
    from stapes.devserver.session.config import TurnDetection
    from stapes.devserver.session.context import CallContext
    from stapes.devserver.session.hearing import Hearing
    from stapes.devserver.session.responses import Responses

_LEAST_COMMIT_MS = 100
_QUIET_SECONDS = 30
"""What is kept of sound in which nobody speaks, where the server detects turns."""


class InputAudio:
    """Answers `input_audio_buffer.*` client events.

    Positions are samples since the last change of format; milliseconds are counted over the whole
    session.
    """

    def __init__(self, context: CallContext, hearing: Hearing, responses: Responses) -> None:
        self._context = context
        self._hearing = hearing
        self._responses = responses
        self._format = self._buffer_format()
        self._detection: TurnDetection | None = None
        self._activity: VoiceActivity | None = None
        self._samples = bytearray()
        self._begin = 0
        self._earlier_ms = 0
        self._turn_id: str | None = None
        self._idle_from: int | None = None
        self.configure()

    def configure(self) -> None:
        """Take over what a session update changed."""
        config = self._context.config
        if self._buffer_format() != self._format:
            self._earlier_ms = self._ms(self._end)
            self._format, self._begin = self._buffer_format(), 0
            self._samples.clear()
            self._idle_from = self._activity = None
        if config.turn_detection == self._detection and self._activity is not None:
            return
        self._detection, self._turn_id = config.turn_detection, None
        self._activity = None
        if self._detection is not None:
            self._activity = VoiceActivity(
                rate=self._format.rate,
                threshold=self._detection.threshold,
                prefix_padding_ms=self._detection.prefix_padding_ms,
                silence_duration_ms=self._detection.silence_duration_ms,
                origin=self._end,
            )

    def append(self, event: dict[str, Any]) -> None:
        """Add sound to the buffer, and act on the turns that are heard in it."""
        format_ = self._context.config.input_format
        samples = decode_audio(event["audio"], format_, "audio")
        self.feed(convert(samples, format_.rate, self._format.rate))

    def feed(self, samples: Samples) -> None:
        """Add samples of the buffer's rate to it."""
        room = int(self._context.options.max_input_seconds * self._format.rate)
        if self._activity is None and self._held + len(samples) > room:
            raise ProtocolError(
                f"The input audio buffer holds at most {room // self._format.rate} seconds: commit "
                "or clear it.",
                "input_audio_buffer_full",
                "audio",
            )
        self._samples += samples.astype("<i2").tobytes()
        if self._activity is None:
            return
        for decision in self._activity.feed(samples):
            match decision:
                case SpeechStarted():
                    self._speech_started(decision)
                case SpeechStopped(end=end):
                    self._speech_stopped(end)
        if self._turn_id is None:
            self._watch_idle()
            self._forget_before(self._end - _QUIET_SECONDS * self._format.rate)
        elif self._held > room:
            self._activity.reset()
            self._speech_stopped(self._end)

    def commit(self, event: dict[str, Any]) -> None:
        """Make what the buffer holds a user message."""
        held_ms = self._held * 1000 / self._format.rate
        if held_ms < _LEAST_COMMIT_MS:
            raise ProtocolError(
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{_LEAST_COMMIT_MS}ms of audio, but buffer only has {held_ms:.2f}ms of audio.",
                "input_audio_buffer_commit_empty",
            )
        self._commit(self._end)
        if self._activity is not None:
            self._activity.reset()

    def clear(self, event: dict[str, Any]) -> None:
        """Forget what the buffer holds."""
        self._forget_before(self._end)
        self._turn_id = None
        if self._activity is not None:
            self._activity.reset()
        self._context.emit("input_audio_buffer.cleared")

    def answered(self, audio_ms: int) -> None:
        """Begin to wait for the caller: a response ended whose sound plays for `audio_ms` more."""
        self._idle_from = self._end + audio_ms * self._format.rate // 1000

    def _speech_started(self, decision: SpeechStarted) -> None:
        context = self._context
        start = max(decision.start, self._begin)
        self._forget_before(start)
        self._turn_id, self._idle_from = context.ids.new("item"), None
        context.emit(
            "input_audio_buffer.speech_started",
            audio_start_ms=self._ms(start),
            item_id=self._turn_id,
        )
        if self._detection is not None and self._detection.interrupt_response:
            self._responses.interrupt()

    def _speech_stopped(self, end: int) -> None:
        self._context.emit(
            "input_audio_buffer.speech_stopped",
            audio_end_ms=self._ms(end),
            item_id=self._turn_id,
        )
        self._commit(end)
        if self._detection is not None and self._detection.create_response:
            self._responses.create_for_turn()

    def _commit(self, end: int) -> None:
        context = self._context
        size = (end - self._begin) * 2
        samples = np.frombuffer(bytes(self._samples[:size]), dtype="<i2").astype(np.int16)
        part = Part({"type": "input_audio"})
        part.pcm.extend(to_pcm(samples, self._format.rate))
        item_id = self._turn_id or context.ids.new("item")
        item = Item(item_id, {"type": "message", "role": "user"}, parts=[part])
        self._forget_before(end)
        self._turn_id = None
        previous = context.conversation.last_id
        context.conversation.insert(item)
        context.emit("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id)
        announce(context, item)
        self._hearing.listen(item)

    def _watch_idle(self) -> None:
        """Prompt a caller who has been silent for too long after an answer."""
        timeout = None if self._detection is None else self._detection.idle_timeout_ms
        if timeout is None or self._idle_from is None or self._responses.active:
            return
        if self._end - self._idle_from < timeout * self._format.rate // 1000:
            return
        start = max(self._idle_from, self._begin)
        self._idle_from = None
        self._forget_before(start)
        self._turn_id = self._context.ids.new("item")
        self._context.emit(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=self._ms(start),
            audio_end_ms=self._ms(self._end),
            item_id=self._turn_id,
        )
        self._commit(self._end)
        self._responses.create_for_turn()

    def _buffer_format(self) -> AudioFormat:
        """Sound that travels apart from the events knows nothing of the session's formats."""
        apart = self._context.output_audio is not None
        return PCM if apart else self._context.config.input_format

    @property
    def _held(self) -> int:
        return len(self._samples) // 2

    @property
    def _end(self) -> int:
        return self._begin + self._held

    def _ms(self, position: int) -> int:
        return self._earlier_ms + position * 1000 // self._format.rate

    def _forget_before(self, position: int) -> None:
        surplus = position - self._begin
        if surplus > 0:
            del self._samples[: surplus * 2]
            self._begin = position
