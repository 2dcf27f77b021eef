"""Takes the messages of the core in a session without an agent."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, ClassVar

from stapes import _core
from stapes.errors import ConnectionLostError, NotConnectedError
from stapes.events import AnyEvent, Error, Lagging, TransportEvent
from stapes.session.dispatch import messages
from stapes.session.dispatch.readings import (
    connection_change,
    error_of,
    lost_before,
    too_slow_error,
)
from stapes.session.failures import as_failure
from stapes.speech_events import Transcript

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Mapping

    from stapes.errors import ConsumerTooSlow
    from stapes.session.audio_input import AudioInput
    from stapes.session.dispatch.listeners import Listeners
    from stapes.session.scope import Scope
    from stapes.transcription.connecting import SpeechConnector

__all__ = ["SpeechHandlers", "SpeechInterest"]

logger = logging.getLogger("stapes")

_FLAGS = {
    "audio": _core.INTEREST_AUDIO,
    "transport_event": _core.INTEREST_RAW,
    "transcript_delta": _core.INTEREST_TRANSCRIPT,
    "transcript_segment": _core.INTEREST_TRANSCRIPT,
}


class SpeechInterest:
    """Keeps the core's interest flags at what the listeners of one session want."""

    __slots__ = ("_core", "_flags", "_listeners", "outgoing_taps")

    def __init__(self, core: _core.Session, listeners: Listeners) -> None:
        self._core = core
        self._listeners = listeners
        self._flags = -1
        self.outgoing_taps: tuple[Callable[[int, str], None], ...] = ()
        """Called with the sequence number and the text of each message for the server."""

    def update(self) -> None:
        """Tells the core, where it has changed."""
        flags = 0
        for name in self._listeners.types & set(_FLAGS):
            flags |= _FLAGS[name]
        if self.outgoing_taps:
            flags |= _core.INTEREST_OUTGOING
        if flags != self._flags:
            self._flags = flags
            self._core.set_interest(flags)

    def tap_outgoing(self, tap: Callable[[int, str], None]) -> None:
        """Calls `tap` with the sequence number and the text of each message for the server."""
        self.outgoing_taps = (*self.outgoing_taps, tap)
        self.update()


class SpeechHandlers:
    """The handlers of one session: one method for each kind of message, and the listeners' host.

    Args:
        scope: the session's.
        listeners: get the events.
        interest: follows the listeners.
        audio_input: waits for the user's sound to be sent.
        connector: waits for the connection.
    """

    __slots__ = (
        "__weakref__",
        "_ends",
        "audio_input",
        "connector",
        "interest",
        "is_over",
        "listeners",
        "scope",
    )
    by_message: ClassVar[Mapping[type[Any], Callable[[SpeechHandlers, Any], None]]]
    """By the class of the message. An event that has none is emitted as it is."""

    def __init__(
        self,
        scope: Scope,
        listeners: Listeners,
        interest: SpeechInterest,
        audio_input: AudioInput,
        connector: SpeechConnector,
    ) -> None:
        self.scope = scope
        self.listeners = listeners
        self.interest = interest
        self.audio_input = audio_input
        self.connector = connector
        self.is_over = False
        """The end of the last connection was dispatched; the core may know of it before."""
        self._ends: tuple[asyncio.Future[None], ...] = ()

    # The listeners' host

    def interest_changed(self) -> None:
        """Listeners want other types of events than before."""
        self.interest.update()

    def run_callback(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs an async callback."""
        self.scope.tasks.spawn(work)

    def callback_failed(self, event: AnyEvent, error: BaseException) -> None:
        """Reports a callback that raised."""
        where = f"callback for {event.type}"
        logger.error("a %s failed", where, exc_info=error)
        # A callback for errors that fails must not call itself for ever.
        if not isinstance(event, Error):
            self.scope.local_events.emit(Error(as_failure(error, where), context=where))

    def callback_lagged(self, lagging: Lagging) -> None:
        """Tells of an async callback that is slow."""
        self.listeners.lagged(lagging)

    def callback_too_slow(self, error: ConsumerTooSlow) -> None:
        """Reports an async callback that does not get on."""
        logger.error("%s", error)
        self.scope.local_events.emit(Error(error, context="callback"))

    def reader_too_slow(self, error: ConsumerTooSlow) -> None:
        """Closes the connection, because a reader of all events does not read."""
        self.scope.core.give_up_unread()
        self.listeners.emit(Error(error))

    # The connection

    def raw(self, message: messages.Raw) -> None:
        """Emits what the server sent."""
        self.listeners.emit(TransportEvent(json.loads(message.text), len(message.text)))

    def connection_changed(self, message: messages.ConnectionChanged) -> None:
        """Emits the change; at the end, ends what waits for the connection."""
        failure = self.connector.take_failure() if message.status == "disconnected" else None
        change = connection_change(message, failure)
        if self.listeners.wants("connection_changed"):
            self.listeners.emit(change)
        if message.status == "connected":
            self.audio_input.connected()
        self.is_over = message.status == "disconnected"
        if self.is_over:
            self.listeners.end()
            self.audio_input.drained()
            self._end(change.error)

    def until_over(self) -> asyncio.Future[None]:
        """Is done at the end of the connection; fails where that was lost."""
        end: asyncio.Future[None] = self.scope.loop.create_future()
        if self.is_over:
            end.set_result(None)
        else:
            self._ends = (*self._ends, end)
        return end

    def _end(self, error: BaseException | None) -> None:
        ends, self._ends = self._ends, ()
        for end in ends:
            if end.done():
                continue
            if isinstance(error, ConnectionLostError):
                end.set_exception(error)
            else:
                end.set_result(None)

    def closed_idle(self) -> None:
        """Ends the readers of a session that was closed without a connection."""
        self.is_over = True
        self.listeners.end()
        self._end(None)

    def opened(self, message: messages.Opened) -> None:
        """Completes `connect`."""
        self.connector.opened(message.connection_id, None)

    def not_opened(self, message: messages.NotOpened) -> None:
        """Fails `connect`."""
        error = message.error or NotConnectedError("the session was closed while it was connecting")
        self.connector.opened(message.connection_id, error)

    def redial(self, message: messages.Redial) -> None:
        """Decides on another connection, and says where to."""
        self.scope.tasks.spawn(self.connector.redial(lost_before(message)))

    def outgoing_message(self, message: messages.OutgoingMessage) -> None:
        """Gives a message for the server to the taps."""
        for tap in self.interest.outgoing_taps:
            tap(self.scope.core.dispatched, message.text)

    def audio_drained(self, _: messages.AudioDrained) -> None:
        """Wakes those who wait for room."""
        self.audio_input.drained()

    def audio_streamed(self, message: messages.AudioStreamed) -> None:
        """Completes a long sound."""
        self.audio_input.streamed(message.token, message.sent, message.failure)

    # Words

    def transcribed(self, message: messages.Transcribed) -> None:
        """Emits a transcript."""
        if not self.listeners.wants("transcript"):
            return
        event = Transcript(
            message.item_id,
            message.text,
            message.content_index,
            message.interrupted,
            _listed(message.logprobs),
            _listed(message.languages),
            None if message.usage is None else json.loads(message.usage),
        )
        self.listeners.emit(event)  # type: ignore[arg-type]

    # Errors

    def core_error(self, message: messages.CoreError) -> None:
        """Emits an error of the core's."""
        self.listeners.emit(Error(error_of(message)))

    def audio_stopped(self, _: messages.AudioStopped) -> None:
        """Tells nothing: sound without parts has one end, that of the connection."""

    def too_slow(self, message: messages.TooSlow) -> None:
        """Says why the connection was closed."""
        self.listeners.emit(Error(too_slow_error(message)))

    def local_event(self, message: messages.LocalEvent) -> None:
        """Emits a staged event."""
        scope, token = self.scope, message.token
        event, _ = scope.local_events.peek(token)
        if event is not None:
            self.listeners.emit(event)
        scope.local_events.resolve(token, scope.core.dispatched)


def _listed(text: str | None) -> tuple[Any, ...] | None:
    """A JSON array; `None` where there is none."""
    value = None if text is None else json.loads(text)
    return tuple(value) if isinstance(value, list) else None


SpeechHandlers.by_message = {
    messages.Raw: SpeechHandlers.raw,
    messages.ConnectionChanged: SpeechHandlers.connection_changed,
    messages.CoreError: SpeechHandlers.core_error,
    messages.LocalEvent: SpeechHandlers.local_event,
    messages.OutgoingMessage: SpeechHandlers.outgoing_message,
    messages.Opened: SpeechHandlers.opened,
    messages.NotOpened: SpeechHandlers.not_opened,
    messages.Redial: SpeechHandlers.redial,
    messages.AudioDrained: SpeechHandlers.audio_drained,
    messages.AudioStopped: SpeechHandlers.audio_stopped,
    messages.AudioStreamed: SpeechHandlers.audio_streamed,
    messages.TooSlow: SpeechHandlers.too_slow,
    messages.Transcribed: SpeechHandlers.transcribed,
}
