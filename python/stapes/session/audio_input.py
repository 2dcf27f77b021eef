"""The user's sound on its way to the model: backpressure, and long sounds in real time."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union

from agents import UserError

from stapes.errors import NotConnectedError, StapesError
from stapes.session.completion import Completion
from stapes.session.entries import Entries
from stapes.session.room import Room

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from stapes import _core
    from stapes.audio import Recording
    from stapes.session.scope import Scope

__all__ = ["AudioInput", "AudioStream", "SampleArray", "Samples"]

_INTERVALS = (0.005, 10.0)


class SampleArray(Protocol):
    """A numpy array, or what gives its samples as one does."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Where the samples are, and of what kind."""


Samples: TypeAlias = Union["Buffer", SampleArray]
"""Sound in memory: anything bytes-like, or a numpy array."""


class AudioStream(Completion[float]):
    """A long sound on its way to the model, from `RealtimeSession.stream_audio`.

    Awaited, it gives the seconds of the sound that were sent: all of it, or less where it was
    cancelled. It fails with `stapes.NotConnectedError` where the connection is lost meanwhile; its
    `sent` says how many seconds were sent before.
    """

    __slots__ = ("_cancel",)

    def __init__(self, cancel: Callable[[], None] | None = None, **completion: Any) -> None:
        super().__init__(**completion)
        self._cancel = cancel

    def cancel(self) -> None:
        """Sends nothing more of it; the next one may begin. Fine where it has ended."""
        if self._cancel is not None:
            self._cancel()


class AudioInput(Entries[int, asyncio.Future[float]]):
    """The waiters for the sound of one session: for room in the queue, and for a long sound's end.

    A single chunk goes from `RealtimeSession.send_audio` to the core without passing here.
    """

    __slots__ = ("_is_told", "_number", "_room", "_scope", "_underway")

    def __init__(self, scope: Scope) -> None:
        # The end of each long sound that has not been told, by its number.
        super().__init__()
        self._scope = scope
        # Made for the first who waits: most senders never do.
        self._room: Room | None = None
        self._number = 0
        self._underway: tuple[int, _core.AudioStream] | None = None
        # That sound is refused, since the last connection.
        self._is_told = False

    def refused(self, error: StapesError) -> Completion[None]:
        """The completion of sound that the core did not take."""
        return Completion(error=error, report=self._report_once)

    def connected(self) -> None:
        """Sound that is refused is to be reported again."""
        self._is_told = False

    def _report_once(self, error: BaseException) -> None:
        # A microphone gives 50 pieces a second.
        if not self._is_told:
            self._is_told = True
            self._scope.tasks.report_from_anywhere(error)

    async def room(self) -> None:
        """Waits while too much is waiting to be sent.

        Raises:
            stapes.NotConnectedError: the connection was lost meanwhile.
        """
        await self._scope.tasks.awaited_here(self._wait_for_room)

    async def _wait_for_room(self) -> None:
        if self._room is None:
            self._room = Room(self._scope.core)
        await self._room.wait()

    def drained(self) -> None:
        """Wakes those who wait for room: there is some, or the connection is over."""
        if self._room is not None:
            self._room.drained()

    def stream(
        self,
        audio: Samples | Recording,
        sample_rate: int | None,
        commit: bool,
        interval: float,
        *,
        keeps: object,
    ) -> AudioStream:
        """See `RealtimeSession.stream_audio`; the result keeps `keeps` alive."""
        least, most = _INTERVALS
        if not least <= interval <= most:
            raise ValueError(f"interval is {interval}: give it as {least} to {most:g} seconds")
        scope = self._scope
        try:
            if self._underway is not None:
                raise UserError(
                    "a sound is being streamed already: await it, or cancel it, before the next"
                )
            self._number += 1
            number = self._number
            stream = scope.core.stream_audio(audio, sample_rate, commit, interval, number)
        except (StapesError, UserError) as error:
            return AudioStream(error=error, report=scope.tasks.report_from_anywhere)
        ended = scope.loop.create_future()
        self._put(number, ended)
        self._underway = (number, stream)
        return AudioStream(
            functools.partial(self._cancel, number, stream),
            future=ended,
            report=scope.tasks.report_from_anywhere,
            keeps=keeps,
        )

    def streamed(self, token: int, sent: float, failure: BaseException | None) -> None:
        """Completes a long sound that has ended, or failed."""
        self._over(token)
        ended = self._take(token)
        if ended is None or ended.done():
            return
        if failure is None:
            ended.set_result(sent)
        else:
            if isinstance(failure, NotConnectedError):
                failure.sent = sent
                failure.add_note(f"{sent:.2f} s of the sound had been sent")
            ended.set_exception(failure)

    def cancel(self) -> None:
        """Ends the long sound, because the session is closed."""
        if self._underway is not None:
            self._cancel(*self._underway)

    def _cancel(self, number: int, stream: _core.AudioStream) -> None:
        stream.cancel()
        self._over(number)

    def _over(self, number: int) -> None:
        """Lets another long sound begin, unless one has begun already."""
        if self._underway is not None and self._underway[0] == number:
            self._underway = None
