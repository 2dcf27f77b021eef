"""Sound whose rate the session does not know: it is converted at the edge, as a stream."""

from __future__ import annotations

import base64

from stapes.devserver.audio.formats import PCM, RATE, Samples, convert
from stapes.devserver.resampling import Resampler
from stapes.devserver.session.payload import decode_audio

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

    def heard(self, audio: str, path: str = "audio") -> str:
        """Return the next sound of the user as the session takes it.

        Raises:
            ProtocolError: it is not base64, or not a whole number of samples.
        """
        if self._input is None:
            return audio
        return _text(self._input.feed(_samples(audio, path)))

    def end_of_turn(self) -> str | None:
        """Return what is left of the user's sound, if there is anything."""
        rest = None if self._input is None else self._input.flush()
        return None if rest is None or not len(rest) else _text(rest)

    def forget_turn(self) -> None:
        """Drop what is left of the user's sound."""
        if self._input is not None:
            self._input.flush()

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

    def said(self, response_id: str, item_id: str, audio: str) -> str:
        """Return the next sound of an answer as the client takes it; it may be empty."""
        rate = self._responses.get(response_id, self.output_rate)
        if rate is NATIVE:
            return audio
        if item_id not in self._answers:
            self._answers[item_id] = Resampler(RATE, rate)
        return _text(self._answers[item_id].feed(_samples(audio, "audio")))

    def all_said(self, item_id: str) -> str | None:
        """Return what is left of an answer's sound, if there is anything."""
        answer = self._answers.pop(item_id, None)
        rest = None if answer is None else answer.flush()
        return None if rest is None or not len(rest) else _text(rest)


def _foreign(rate: int | None) -> int | None:
    return NATIVE if rate == RATE else rate


def _samples(audio: str, path: str) -> Samples:
    return decode_audio(audio, PCM, path)


def _text(samples: Samples) -> str:
    return base64.b64encode(samples.astype("<i2").tobytes()).decode()
