"""What transcription and translation have in common: a session without an agent."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from agents import UserError

from stapes.errors import StapesError
from stapes.hub import LoopHub
from stapes.session.audio_input import AudioInput
from stapes.session.completion import Completion, done
from stapes.session.dispatch.dispatcher import Dispatcher
from stapes.session.dispatch.interest import ListenerInterest
from stapes.session.dispatch.listeners import EventKinds, Listeners
from stapes.session.local_events import LocalEvents
from stapes.session.probe import SessionProbe
from stapes.session.scope import Scope
from stapes.session.statistics import SessionStats, session_stats
from stapes.session.tasks import Tasks
from stapes.session.upstream import SessionContext
from stapes.session.usage import SessionUsage
from stapes.transcription.connecting import SpeechConnector
from stapes.transcription.handling import FLAGS, SpeechHandlers
from stapes.transcription.options import SpeechOptions, core_of
from stapes.virtual_time import has_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from types import TracebackType
    from typing import Literal, Self

    from stapes.audio import Recording
    from stapes.providers import ApiKey
    from stapes.session.audio_input import AudioStream, Samples
    from stapes.session.dispatch.readers import EventReader

__all__ = ["SpeechSession"]

A = TypeVar("A")
E = TypeVar("E")
F = TypeVar("F", bound="Callable[[Any], Any]")


class SpeechSession(Generic[E]):
    """A session without an agent: sound in, events out.

    Commands take effect when they are called, in order, and return an awaitable for their end; not
    awaiting one is fine, its failure is then an `error` event. Create and use a session on one
    event loop; `send_audio` may be called from any thread.

    Args:
        options: the session's.
        url: where the provider has such sessions.
    """

    _KINDS: ClassVar[EventKinds]

    def __init__(self, options: SpeechOptions, url: str) -> None:
        hub, loop = LoopHub.current(), asyncio.get_running_loop()
        core = core_of(options, hub.core, virtual_clock=has_virtual_time.get())
        local_events = LocalEvents(core, loop)
        tasks = Tasks(self, core, loop, local_events)
        context = SessionContext(None, SessionUsage())
        scope = Scope(core, loop, context, tasks, local_events)
        listeners = Listeners(
            options.max_queued_events, options.max_queued_bytes, loop, self._KINDS
        )
        interest = ListenerInterest(core, listeners, FLAGS)
        self._options = options
        self._scope = scope
        self._core = core
        self._hub = hub
        self._audio_input = AudioInput(scope)
        self._connector = SpeechConnector(scope, options, hub, listeners, url, self.configuration)
        self._handlers = SpeechHandlers(
            scope, listeners, interest, self._audio_input, self._connector
        )
        self._listeners = listeners
        listeners.attach(self._handlers)
        hub.register(core, Dispatcher(self._handlers), listeners)
        interest.update()

    def configuration(self) -> dict[str, Any]:
        """The `session` of the `session.update` event that a connection begins with."""
        raise NotImplementedError

    # State

    @property
    def status(self) -> Literal["disconnected", "connecting", "connected", "reconnecting"]:
        """Where the connection stands."""
        return self._core.status

    @property
    def model(self) -> str:
        """The model in use."""
        return self._options.model

    @property
    def dispatched(self) -> int:
        """The sequence number of what was dispatched last."""
        return self._core.dispatched

    def stats(self) -> SessionStats:
        """Counters of the session so far."""
        return session_stats(self._core)

    @property
    def probe(self) -> SessionProbe:
        """For `stapes.testing`; no part of the public interface."""
        return SessionProbe(self._scope, self._hub, self._connector, self._handlers.interest)

    def __del__(self) -> None:
        # A session that could not be made has no core.
        if (core := getattr(self, "_core", None)) is not None:
            self._hub.unregister(core)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status}, model {self.model!r}>"

    # Connecting

    async def connect(
        self,
        *,
        api_key: ApiKey | None = None,
        url: str | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> None:
        """Connects and configures the session.

        It is done when the server has sent its first event, or nothing for the transport's
        `first_event_timeout`. An error in place of that event fails it, as does a close.

        Args:
            api_key: in place of the session's.
            url: in place of the provider's.
            headers: sent besides the session's, or in place of those of the same name; `None` as a
                value leaves one out.

        Raises:
            agents.UserError: there is no key, or the session is connected already or was made on
                another event loop.
            stapes.ConnectError: the connection could not be made; its subclasses say why.
        """
        if not self._scope.tasks.is_here:
            raise UserError(
                "the session was made on another event loop, and is of no use on this one: make it "
                "where it connects"
            )
        self._handlers.is_over = False
        await self._connector.connect(api_key=api_key, url=url, headers=headers)

    def close(self) -> Completion[None]:
        """Closes the connection at once, if there is one. `finish` waits for what is due."""
        idle = self.status == "disconnected" and not self._connector.is_busy
        self._audio_input.cancel()
        self._core.close(1000, "")
        self._scope.tasks.here(self._connector.abandon)
        if idle:
            # No end of a connection will tell the readers.
            return self._handlers.close_idle(self._hub)
        return self._scope.tasks.flushed()

    def finish(self, *, timeout: float = 30.0) -> Completion[None]:
        """Ends the session when what was sent so far has been answered; takes no more sound.

        Readers end after the last event.

        Args:
            timeout: seconds after which it ends in any case.

        Returns:
            Awaited, it waits until the connection is over. It fails with
            `stapes.ConnectionLostError` where that is lost for good before, and with `TimeoutError`
            where the time is over.

        Raises:
            ValueError: `timeout` is not above zero.
        """
        if not timeout > 0:
            raise ValueError(f"timeout is {timeout}: give seconds, more than zero")
        try:
            self._core.finish()
        except StapesError as error:
            return self._scope.tasks.failed(error)
        return self._scope.tasks.completion(self._finished(timeout))

    async def _finished(self, patience: float) -> None:
        over = self._handlers.until_over()
        try:
            await asyncio.wait_for(over, patience)
        except TimeoutError:
            await self.close()
            raise TimeoutError(
                f"the server had not answered all that it was sent after {patience} s: the session "
                "is closed; raise finish(timeout=...) where it needs longer"
            ) from None

    async def __aenter__(self) -> Self:
        if self.status == "disconnected":
            await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # In a child of a fork that ends, the connection is its parent's.
        if not self._hub.is_of_another_process:
            await self.close()

    # Sound

    def send_audio(self, audio: Samples, *, sample_rate: int | None = None) -> Completion[None]:
        """Sends sound. May be called from any thread.

        While the session is connecting, or is being connected again, the sound waits, within
        bounds. Without a connection it is refused; where nobody awaits that, there is one `error`
        event until the session is connected again.

        Args:
            audio: PCM, 16 bit little endian, mono, as anything bytes-like, or a numpy array of
                int16 or float32 (-1 to 1), of shape `(n,)` or `(n, 1)`. Without `sample_rate` it is
                in the session's format: for G.711 its bytes. Of no length, nothing is sent.
            sample_rate: the rate of `audio` in Hz; it is resampled to the session's.

        Returns:
            Awaited, it waits while more than the transport's `high_water` is waiting to be sent.

        Raises:
            ValueError: an odd number of bytes, or a rate that is not supported.
            TypeError: `audio` is none of the above.
        """
        return self._send(audio, sample_rate, commit=False)

    def _send(self, audio: Samples, sample_rate: int | None, *, commit: bool) -> Completion[None]:
        try:
            congested = self._core.send_audio(audio, sample_rate, commit)
        except StapesError as error:
            return self._audio_input.refused(error)
        return Completion(wait=self._audio_input.room, keeps=self) if congested else done()

    def stream_audio(
        self,
        audio: Samples | Recording,
        *,
        sample_rate: int | None = None,
        interval: float = 0.1,
    ) -> AudioStream:
        """Sends a long sound in real time, as if it were spoken: a recording, a call.

        Rust paces the sound, independently of the event loop. One sound streams at a time; `close`
        ends it.

        Args:
            audio: as for `send_audio`, or a `stapes.audio.Recording`, which sessions share.
            sample_rate: as for `send_audio`; a `Recording` has its own.
            interval: seconds between two messages, and of sound in each: 0.005 to 10.

        Returns:
            Awaited, it waits until the sound would have been spoken to its end, and gives the
            seconds of it that were sent. `cancel()` ends it at once.

        Raises:
            ValueError: as `send_audio`; or `audio` is empty, or `interval` out of range.
            TypeError: `audio` is none of the above.
        """
        return self._audio_input.stream(audio, sample_rate, False, interval, keeps=self)

    def send_event(self, event: Mapping[str, Any]) -> Completion[None]:
        """Sends a client event as it is: what has no method here."""
        text = json.dumps(dict(event), ensure_ascii=False)
        return self._scope.tasks.command(self._core.send_event, text)

    # Events

    def on(
        self,
        event: str,
        callback: Callable[[Any], Any] | None = None,
        *,
        concurrency: int | None = None,
    ) -> Any:
        """Calls `callback` (sync or async) with each event of that type; also as a decorator.

        Args:
            event: the type's name, such as `"transcript"`, or `"*"` for all but `transport_event`.
            callback: if it raises, that becomes an `error` event, and the others are still called.
                An async one gets its events one after the other; what waits for it is bounded.
            concurrency: calls of an async callback that may be at work at once. Default 1.

        Raises:
            ValueError: there is no such type, or `concurrency` is below 1.
            TypeError: `callback` cannot be called, or it yields.
        """
        if callback is None:

            def mark(function: F) -> F:
                self.on(event, function, concurrency=concurrency)
                return function

            return mark
        self._listeners.on(event, callback, concurrency)
        return callback

    def off(self, event: str, callback: Callable[[Any], Any]) -> None:
        """Stops calling `callback`."""
        self._listeners.off(event, callback)

    def __aiter__(self) -> AsyncIterator[E]:
        return self.events()

    @overload
    def events(self) -> EventReader[E]: ...
    @overload
    def events(self, kind: type[A], /) -> EventReader[A]: ...
    @overload
    def events(self, *kinds: type[Any]) -> EventReader[E]: ...
    def events(self, *kinds: type[Any]) -> EventReader[Any]:
        """Iterates over the events of these classes, or over all but `stapes.TransportEvent`.

        Each reader gets every event, and keeps the session alive. Events from before anybody
        listens, here or with `on`, are kept for the first reader, within the bounds of the session.

        Raises:
            TypeError: one of `kinds` is no class of an event of this session.
            ConsumerTooSlow: from the reader, when more than `max_queued_events` wait for it and
                none of them may be dropped. The reader has ended then; if it reads all events, so
                has the connection.
        """
        over = self._handlers.is_over and not self._connector.is_busy
        return self._listeners.read(kinds, over=over, keeps=self)
