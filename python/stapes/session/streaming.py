"""A long sound that a session sends in real time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import UserError

from stapes.errors import StapesError
from stapes.session.completion import Completion

if TYPE_CHECKING:
    import asyncio

    from stapes import _core
    from stapes.session.session import RealtimeSession

__all__ = ["AudioStream", "AudioStreams"]

_INTERVALS = (0.005, 10.0)


class AudioStream(Completion[float]):
    """A long sound on its way to the model, from `RealtimeSession.stream_audio`.

    Awaited, it gives the seconds of the sound that were sent: all of it, or less where it was
    cancelled. It fails with `stapes.NotConnectedError` where the connection is lost meanwhile.
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: _core.AudioStream | None = None, **completion: Any) -> None:
        super().__init__(**completion)
        self._stream = stream

    def cancel(self) -> None:
        """Sends nothing more of it. Fine where it has ended."""
        if self._stream is not None:
            self._stream.cancel()


class AudioStreams:
    """The long sounds of one session: one at a time."""

    __slots__ = ("_number", "_underway")

    def __init__(self) -> None:
        self._number = 0
        self._underway: tuple[_core.AudioStream, asyncio.Future[float]] | None = None

    def begin(
        self,
        session: RealtimeSession[Any],
        audio: Any,
        sample_rate: int | None,
        commit: bool,
        interval: float,
    ) -> AudioStream:
        """See `RealtimeSession.stream_audio`."""
        least, most = _INTERVALS
        if not least <= interval <= most:
            raise ValueError(f"interval is {interval}: give it as {least} to {most:g} seconds")
        try:
            if self._underway is not None:
                raise UserError(
                    "a sound is being streamed already: await it, or cancel it, before the next"
                )
            self._number += 1
            stream = session._core.stream_audio(audio, sample_rate, commit, interval, self._number)
        except (StapesError, UserError) as error:
            return AudioStream(error=error, report=session._report_from_anywhere)
        ended: asyncio.Future[float] = session._loop.create_future()
        self._underway = (stream, ended)
        return AudioStream(stream, future=ended, report=session._report)

    def ended(self, number: int, sent: float, failure: BaseException | None) -> None:
        """The core says how one ended."""
        if self._underway is None or number != self._number:
            return
        _, ended = self._underway
        self._underway = None
        if ended.done():
            return
        if failure is None:
            ended.set_result(sent)
        else:
            ended.set_exception(failure)

    def cancel(self) -> None:
        """The session is closed: nothing more is sent."""
        if self._underway is not None:
            self._underway[0].cancel()
