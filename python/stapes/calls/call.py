"""`Call`: the caller's end of a phone call."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from stapes.callback_checks import check_callback
from stapes.calls.dispatching import MessageDispatcher
from stapes.calls.events import CallEnded, CallEvent, CallMessage, CallResumed
from stapes.calls.messages import CallPlayed, CallText
from stapes.calls.options import CallOptions
from stapes.calls.page_events import PageConversation, PageEvents
from stapes.cancellation import ends_more
from stapes.errors import CallError
from stapes.hub import LoopHub
from stapes.transport import SoundStatistics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from numpy.typing import NDArray
    from typing_extensions import Buffer

    from stapes._core.calls import Call as CoreCall
    from stapes.audio import Recording

__all__ = ["Call", "CallError"]

logger = logging.getLogger("stapes.calls")

_OPTIONS = CallOptions()

REFUSED = 4403
"""The close code of a call that is not taken: 403 of HTTP, among the codes of applications."""

_KEYS = frozenset("0123456789*#ABCD")

_MAX_WAITING = 1000
"""Events that a reader may leave unread; past it the oldest is lost."""


class Call:
    """The caller's end of a phone call. `RealtimeSession(agent, call=call)` couples the two.

    Sound goes from the carrier's wire to the model's and back without Python. Events are read with
    `async for event in call`, or by callbacks: `call.on(Dtmf, fn)`, until `call.off(Dtmf, fn)`.
    """

    def __init__(
        self,
        core: CoreCall,
        *,
        options: CallOptions = _OPTIONS,
        page_events: PageEvents | None = None,
    ) -> None:
        self.core = core
        """The core's half, which a session is coupled with."""
        self.max_tokens = options.max_tokens
        """The bound of `spend`; `None`: there is none."""
        self.resume_after = options.resume_after
        """Seconds after which an answer goes on that was paused for a sound; `None`: none is."""
        self._spent = 0
        self._page = (
            None if page_events is None else PageConversation(core.send_message, page_events)
        )
        self._loop = asyncio.get_running_loop()
        self._hub = LoopHub.current()
        self._callbacks: list[tuple[type[Any], Callable[[Any], Any]]] = []
        # A loop that breaks drops its reader.
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._ended: asyncio.Future[CallEnded] = self._loop.create_future()
        self._played: dict[int, asyncio.Future[bool]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._about: tuple[Any, ...] | None = None
        dispatcher = MessageDispatcher(self)
        core.dispatch_to(self._hub.core, dispatcher, dispatcher)
        self._unregister = weakref.finalize(self, self._hub.core.unregister, core.id)

    def _told(self) -> tuple[Any, ...]:
        if self._about is None:
            self._about = self.core.about()
        if self._about is None:
            raise CallError(
                "the stream of the call has not started: nothing is known of it yet; make its "
                "session inside `async with call:`"
            )
        return self._about

    # Who calls

    @property
    def id(self) -> str:
        """The carrier's id of the call."""
        return str(self._told()[0])

    @property
    def stream_id(self) -> str:
        """The carrier's id of the stream of its sound."""
        return str(self._told()[1])

    @property
    def caller(self) -> str | None:
        """The caller's number or address, where the carrier or a parameter `from` tells."""
        caller: str | None = self._told()[2]
        return caller

    @property
    def callee(self) -> str | None:
        """The number that was called, where the carrier or a parameter `to` tells."""
        callee: str | None = self._told()[3]
        return callee

    @property
    def direction(self) -> str | None:
        """`inbound` or `outbound`, where the carrier tells."""
        direction: str | None = self._told()[4]
        return direction

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the application gave the call on its way, such as `<Parameter>`s of its TwiML."""
        parameters: dict[str, Any] = json.loads(self._told()[5])
        return parameters

    @property
    def codec(self) -> str:
        """The format of its sound on the wire, such as `audio/pcmu`."""
        return str(self._told()[6])

    @property
    def sample_rate(self) -> int:
        """Samples a second of its sound."""
        return int(self._told()[7])

    @property
    def carrier(self) -> str:
        """The carrier's name, such as `twilio`."""
        return self.core.carrier

    @property
    def sound(self) -> SoundStatistics | None:
        """How its sound fares over WebRTC, after its end as well; `None` over other lines."""
        stats = self.core.sound()
        return None if stats is None else SoundStatistics(*stats)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.core.is_over

    @property
    def ending(self) -> CallEnded | None:
        """How it ended, once that was told; `None` before."""
        return self._ended.result() if self._ended.done() else None

    # What is heard

    def play(
        self, sound: Buffer | NDArray[Any] | Recording, *, sample_rate: int | None = None
    ) -> None:
        """Plays a prompt, or hold music, behind all that is being played.

        It has no item in the history, and an interruption stops it with the answer.

        Args:
            sound: PCM, 16 bit, mono, as for `RealtimeSession.send_audio`, or a
                `stapes.audio.Recording`. Without `sample_rate` it is in the format of the call.
            sample_rate: the rate of `sound` in Hz.

        Raises:
            ValueError: PCM of an odd number of bytes, floats with NaN or infinity, or a rate that
                cannot be converted (4,000 to 192,000 Hz can).
        """
        self.core.play(sound, sample_rate)

    def clear(self) -> None:
        """Stops all that is played, prompts and answers; an answer is cut where it was heard to.

        An answer that was asked for and has no sound yet is left, and is heard when it comes:
        `RealtimeSession.interrupt` stops that as well.
        """
        self.core.clear()

    async def played(self) -> bool:
        """Waits until all that was played so far has been heard.

        Returns:
            `False` where the call ended meanwhile.
        """
        if self.is_over:
            return False
        token = max(self._played, default=0) + 1
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._played[token] = waiter
        try:
            self.core.when_played(token)
            return await waiter
        finally:
            self._played.pop(token, None)

    def pause_output(self, paused: bool = True) -> None:
        """Stops what the caller hears where it is, or lets it go on.

        It holds for the line that takes the place of one that breaks, too.

        Raises:
            CallError: the carrier cannot, or the call is over.
        """
        if not self.core.pause_output(paused):
            if self.is_over:
                raise CallError("the call is over")
            raise CallError(
                f"{self.carrier} cannot stop playback and go on: clear() what is played instead"
            )

    def pause_input(self, paused: bool = True) -> None:
        """Drops the caller's sound, or stops dropping it: while a card number is said.

        Model and transcript get nothing of it. A recording that the carrier makes goes on.
        """
        self.core.pause_input(paused)

    def send_dtmf(self, digits: str) -> None:
        """Presses keys: `0` to `9`, `*`, `#`, `A` to `D`.

        Raises:
            CallError: the carrier cannot.
            ValueError: there is no such key; none is pressed then.
            TypeError: `digits` is no text.
        """
        if not isinstance(digits, str):
            raise TypeError(f"digits must be text, not {type(digits).__name__}")
        if not set(digits.upper()) <= _KEYS:
            raise ValueError("digits has a character that is no key: use 0-9, *, #, A-D")
        for digit in digits:
            if not self.core.send_dtmf(digit):
                raise CallError(f"{self.carrier} sends no keys over its media stream")

    def send_message(self, data: Any) -> None:
        """Sends the caller's web page a message: its `message` event has `data`.

        Raises:
            CallError: the caller has no page, the call is over, or over WebRTC `data` is longer
                than the page's browser takes in a message (256 KiB for Chromium).
            TypeError: `data` is not JSON: not finite numbers and what contains itself are not.
        """
        try:
            message = json.dumps({"type": "message", "data": data}, allow_nan=False)
        except ValueError as error:
            raise TypeError(f"data is not JSON: {error}") from None
        if not self.core.send_message(message):
            raise CallError(
                "the call is over" if self.is_over else f"{self.carrier} takes no messages"
            )

    def follow(self, session: Any, events: Any) -> None:
        """Tells the caller's web page, if there is one, what happens in its session."""
        if self._page is not None:
            self._page.follow(session, events)

    def answer_failed(self) -> None:
        """Tells the caller's web page, if there is one, that the agent cannot be reached.

        Where a session was connected, it has told already what happened: nothing is told then.
        """
        if self._page is not None:
            self._page.not_reached()

    # Its end

    def hang_up(self, *, after_playback: bool = False) -> None:
        """Ends the call: at once, or when all was heard.

        Some carriers end only the stream, not the call: see `docs/how-to/phone-calls.md#carriers`.
        """
        self.core.hang_up(after_playback)

    def refuse(self, reason: str) -> None:
        """Ends a call that is not taken: a page is told why, by close code 4403 and `reason`."""
        self.core.refuse(REFUSED, reason)

    def spend(self, tokens: int) -> None:
        """Counts tokens of the session; past `CallOptions.max_tokens` the call is hung up."""
        before, self._spent = self._spent, self._spent + tokens
        if self.max_tokens is not None and before <= self.max_tokens < self._spent:
            logger.warning(
                "call %s is hung up: its session used %d tokens, and max_tokens is %d",
                self.id,
                self._spent,
                self.max_tokens,
            )
            self.hang_up(after_playback=True)

    async def ended(self) -> CallEnded:
        """Waits until the call is over."""
        return await asyncio.shield(self._ended)

    # Events

    def on(
        self, kind: type[Any], callback: Callable[[Any], Any] | None = None
    ) -> Callable[[Any], Any]:
        """Calls `callback` (sync or async) for each event of a class; also as a decorator.

        Raises:
            TypeError: `kind` is no class, or `callback` cannot be called, or it yields.
        """
        try:
            isinstance(None, kind)
        except TypeError:
            raise TypeError(
                f"kind must be the class of an event, such as stapes.calls.Dtmf, not {kind!r}"
            ) from None
        if callback is None:
            return lambda decorated: self.on(kind, decorated)
        check_callback(callback)
        self._callbacks.append((kind, callback))
        return callback

    def off(self, kind: type[Any], callback: Callable[[Any], Any]) -> None:
        """Stops calling `callback` for that class; an async one that is at work goes on.

        Where it was given to `on` twice, once is left. It may be taken off inside a callback: the
        event that is told at that moment still reaches it, and no later one does.
        """
        if (kind, callback) in self._callbacks:
            self._callbacks.remove((kind, callback))

    def __aiter__(self) -> AsyncIterator[CallEvent]:
        return _Reader(self)

    def handle(self, message: Any) -> None:
        """Takes a message of the core."""
        match message:
            case CallPlayed(token=token, heard=heard):
                waiter = self._played.get(token)
                if waiter is not None and not waiter.done():
                    waiter.set_result(heard)
            case CallText(json=text):
                self._take_text(text)
            case CallEnded():
                if not self._ended.done():
                    self._ended.set_result(message)
                for waiter in self._played.values():
                    if not waiter.done():
                        waiter.set_result(False)
                self._emit(message)
            case CallResumed():
                if self._page is not None:
                    self._page.resume()
                self._emit(message)
            case _ if type(message).__module__ == CallEnded.__module__:
                self._emit(message)

    def _take_text(self, text: str) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            # Too deep, or a number of thousands of digits: the core did not look into it.
            logger.debug("a message of the page of call %s cannot be read", self.id)
            return
        if message["type"] == "message":
            self._emit(CallMessage(message["data"]))
        elif self._page is not None:
            self._page.take(message)

    def _emit(self, event: CallEvent) -> None:
        for reader in tuple(self._readers):
            reader.put(event)
        for kind, callback in tuple(self._callbacks):
            if not isinstance(event, kind):
                continue
            try:
                result = callback(event)
            except BaseException as error:
                if ends_more(error):
                    raise
                logger.exception("a callback for %s of a call failed", type(event).__name__)
                continue
            if inspect.isawaitable(result):
                task = self._loop.create_task(_ended(result))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def attach_reader(self, reader: _Reader) -> None:
        """Has a reader get the events from now on."""
        self._readers.add(reader)

    def detach_reader(self, reader: _Reader) -> None:
        """Has a reader get no more."""
        self._readers.discard(reader)

    def __repr__(self) -> str:
        if self._about is None:
            return f"<Call {self.carrier}>"
        state: Literal["over", "standing"] = "over" if self.is_over else "standing"
        return f"<Call {self.carrier} {self.id} {state}>"


async def _ended(result: Awaitable[Any]) -> None:
    """Awaits what an async callback does."""
    try:
        await result
    except BaseException as error:
        if ends_more(error):
            raise
        logger.exception("a callback of a call failed")


class _Reader:
    """Reads the events of a call, up to its end."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._waiting: deque[CallEvent] = deque(maxlen=_MAX_WAITING)
        self._ready = asyncio.Event()
        # The core may know of the end before it is told, which is the last event.
        self._is_over = call.ending is not None
        self._has_lost = False
        call.attach_reader(self)

    def put(self, event: CallEvent) -> None:
        if len(self._waiting) == _MAX_WAITING and not self._has_lost:
            self._has_lost = True
            logger.warning(
                "%r: %d events wait for a reader, and from now on the oldest are lost: read them "
                "sooner, or use call.on(...)",
                self._call,
                _MAX_WAITING,
            )
        self._waiting.append(event)
        self._ready.set()

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> CallEvent:
        while not self._waiting:
            if self._is_over:
                self._call.detach_reader(self)
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        event = self._waiting.popleft()
        self._is_over |= isinstance(event, CallEnded)
        return event
