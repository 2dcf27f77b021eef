"""Sound whose rate the session does not know: it is converted at the edge, as a stream."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from stapes.devserver.audio.formats import PCM, RATE, Samples, convert
from stapes.devserver.resampling import Resampler
from stapes.devserver.session.payload import decode_audio

if TYPE_CHECKING:
    from stapes.devserver.session.dialect import Event

NATIVE = None
"""A format that the session has itself."""


class EdgeSound:
    """PCM of other rates than the session's own, in and out; base64 on the wire.

    A rate of `NATIVE` leaves sound as it is. Each answer has its own stream, and its rate is the
    one that was set when its response began.
    """

    def __init__(self, input_rate: int | None = NATIVE, output_rate: int | None = NATIVE) -> None:
        self.output_rate = _foreign(output_rate)
        self._input_rate: int | None = NATIVE
        self._input: Resampler | None = None
        self._responses: dict[str, int | None] = {}
        self._answers: dict[str, Resampler] = {}
        self.take(input_rate)

    def take(self, input_rate: int | None) -> None:
        """Take sound of this rate from now on."""
        rate = _foreign(input_rate)
        if rate != self._input_rate:
            self._input_rate = rate
            self._input = None if rate is NATIVE else Resampler(rate, RATE)

    def read(self, event: Event) -> list[Event]:
        """Return what an event about the input audio buffer is to the session; others as they are.

        Raises:
            ProtocolError: its sound is not base64, or not a whole number of samples.
        """
        if self._input is None:
            return [event]
        match event["type"]:
            case "input_audio_buffer.append":
                samples = self._input.feed(_samples(event["audio"], "audio"))
                return [{**event, "audio": _text(samples)}]
            case "input_audio_buffer.commit":
                rest = self._input.flush()
                append = {"type": "input_audio_buffer.append", "audio": _text(rest)}
                return [append, event] if len(rest) else [event]
            case "input_audio_buffer.clear":
                self._input.flush()
        return [event]

    def whole_in(self, audio: str, path: str) -> str:
        """Return the whole sound of an item as the session takes it.

        Raises:
            ProtocolError: it is not base64, or not a whole number of samples.
        """
        if self._input_rate is NATIVE:
            return audio
        return _text(convert(_samples(audio, path), self._input_rate, RATE))

    def whole_out(self, audio: str, *, spoken_by_user: bool) -> str:
        """Return the whole sound of an item as the client takes it."""
        rate = self._input_rate if spoken_by_user else self.output_rate
        return audio if rate is NATIVE else _text(convert(_samples(audio, "audio"), RATE, rate))

    def answer_begins(self, response_id: str, rate: int | None) -> None:
        """Speak in this rate in that response."""
        self._responses[response_id] = _foreign(rate)

    def answer_ends(self, response_id: str) -> None:
        """Forget that response."""
        self._responses.pop(response_id, None)

    def said(self, event: Event) -> list[Event]:
        """Return a `response.output_audio.delta` as the client takes it, if there is anything."""
        rate = self._responses.get(event["response_id"], self.output_rate)
        if rate is NATIVE:
            return [event]
        item_id = event["item_id"]
        if item_id not in self._answers:
            self._answers[item_id] = Resampler(RATE, rate)
        samples = self._answers[item_id].feed(_samples(event["delta"], "delta"))
        return [{**event, "delta": _text(samples)}] if len(samples) else []

    def rest(self, event: Event) -> list[Event]:
        """Return the delta that is left at a `response.output_audio.done`, if there is one."""
        answer = self._answers.pop(event["item_id"], None)
        samples = None if answer is None else answer.flush()
        if samples is None or not len(samples):
            return []
        kind = "response.output_audio.delta"
        told = {"type": kind, "event_id": f"{event['event_id']}_0", "delta": _text(samples)}
        return [{**event, **told}]


def _foreign(rate: int | None) -> int | None:
    return NATIVE if rate == RATE else rate


def _samples(audio: str, path: str) -> Samples:
    return decode_audio(audio, PCM, path)


def _text(samples: Samples) -> str:
    return base64.b64encode(samples.astype("<i2").tobytes()).decode()
