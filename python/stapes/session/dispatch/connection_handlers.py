"""Takes the messages of the core that every session has, whatever it is for."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from stapes.events import Error, TransportEvent
from stapes.session.completion import Completion, done
from stapes.session.dispatch import messages
from stapes.session.dispatch.readings import error_of, lost_before, too_slow_error
from stapes.session.failures import as_failure

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Mapping

    from stapes.errors import ConsumerTooSlow
    from stapes.events import AnyEvent, Lagging
    from stapes.hub import LoopHub
    from stapes.session.attempts import ConnectionAttempts
    from stapes.session.audio_input import AudioInput
    from stapes.session.dispatch.interest import ListenerInterest
    from stapes.session.dispatch.listeners import Listeners
    from stapes.session.scope import Scope

__all__ = ["ConnectionHandlers"]

logger = logging.getLogger("stapes")

_Connector = TypeVar("_Connector", bound="ConnectionAttempts")


class ConnectionHandlers(Generic[_Connector]):
    """The handlers of the connection, of sound and of errors, and the listeners' host.

    Args:
        scope: the session's.
        listeners: get the events.
        interest: follows the listeners.
        audio_input: waits for the user's sound to be sent.
        connector: waits for the connection.
    """

    __slots__ = (
        "__weakref__",
        "audio_input",
        "connector",
        "interest",
        "is_over",
        "listeners",
        "scope",
    )
    by_message: ClassVar[Mapping[type[Any], Callable[[Any, Any], None]]]
    """By the class of the message. An event of `stapes.events` without one is emitted as it is."""

    def __init__(
        self,
        scope: Scope,
        listeners: Listeners,
        interest: ListenerInterest,
        audio_input: AudioInput,
        connector: _Connector,
    ) -> None:
        self.scope = scope
        self.listeners = listeners
        self.interest = interest
        self.audio_input = audio_input
        self.connector = connector
        self.is_over = False
        """The end of the last connection was dispatched; the core may know of it before."""

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

    # The server and the connection

    def raw(self, message: messages.Raw) -> None:
        """Emits what the server sent."""
        self.listeners.emit(TransportEvent(json.loads(message.text), len(message.text)))

    def opened(self, message: messages.Opened) -> None:
        """Completes `connect`."""
        self.connector.opened(message.connection_id, None)

    def not_opened(self, message: messages.NotOpened) -> None:
        """Fails `connect`."""
        if message.error is None:
            self.connector.closed(message.connection_id)
        else:
            self.connector.opened(message.connection_id, message.error)

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

    def close_idle(self, hub: LoopHub) -> Completion[None]:
        """Ends the readers of a session that was closed without a connection.

        What the hub has not dispatched yet comes first: the last events of a connection that the
        far side has just closed.
        """
        if hub.is_idle:
            self.scope.tasks.here(self.closed_idle)
            return done()
        self.scope.tasks.here(self._close_when_dispatched)
        return self.scope.tasks.flushed()

    def _close_when_dispatched(self) -> None:
        self.scope.local_events.all_so_far().add_done_callback(self._nothing_waits)

    def _nothing_waits(self, _: asyncio.Future[int]) -> None:
        # Unless it connects again meanwhile.
        if self.scope.core.status == "disconnected" and not self.connector.is_busy:
            self.closed_idle()

    def closed_idle(self) -> None:
        """Ends the readers of a session that has no connection."""
        self.is_over = True
        self.listeners.end()

    # Errors

    def core_error(self, message: messages.CoreError) -> None:
        """Emits an error of the core's."""
        self.listeners.emit(Error(error_of(message)))

    def too_slow(self, message: messages.TooSlow) -> None:
        """Says why the connection was closed."""
        self.listeners.emit(Error(too_slow_error(message)))


ConnectionHandlers.by_message = {
    messages.Raw: ConnectionHandlers.raw,
    messages.CoreError: ConnectionHandlers.core_error,
    messages.OutgoingMessage: ConnectionHandlers.outgoing_message,
    messages.Opened: ConnectionHandlers.opened,
    messages.NotOpened: ConnectionHandlers.not_opened,
    messages.Redial: ConnectionHandlers.redial,
    messages.AudioDrained: ConnectionHandlers.audio_drained,
    messages.AudioStreamed: ConnectionHandlers.audio_streamed,
    messages.TooSlow: ConnectionHandlers.too_slow,
}
