"""Takes the messages of the core in a session without an agent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stapes import _core
from stapes.errors import ConnectionLostError
from stapes.session.dispatch import messages
from stapes.session.dispatch.connection_handlers import ConnectionHandlers
from stapes.session.dispatch.readings import connection_change
from stapes.speech_events import Transcript

if TYPE_CHECKING:
    import asyncio

    from stapes.session.audio_input import AudioInput
    from stapes.session.dispatch.interest import ListenerInterest
    from stapes.session.dispatch.listeners import Listeners
    from stapes.session.scope import Scope
    from stapes.transcription.connecting import SpeechConnector

__all__ = ["FLAGS", "SpeechHandlers"]

FLAGS = {
    "audio": _core.INTEREST_AUDIO,
    "transport_event": _core.INTEREST_RAW,
    "transcript_delta": _core.INTEREST_TRANSCRIPT,
    "transcript_segment": _core.INTEREST_TRANSCRIPT,
}
"""What the core has to make for each type of event that somebody wants."""


class SpeechHandlers(ConnectionHandlers["SpeechConnector"]):
    """The handlers of one session: one method for each kind of message, and the listeners' host.

    Args:
        scope: the session's.
        listeners: get the events.
        interest: follows the listeners.
        audio_input: waits for the user's sound to be sent.
        connector: waits for the connection.
    """

    __slots__ = ("_ends",)

    def __init__(
        self,
        scope: Scope,
        listeners: Listeners,
        interest: ListenerInterest,
        audio_input: AudioInput,
        connector: SpeechConnector,
    ) -> None:
        super().__init__(scope, listeners, interest, audio_input, connector)
        self._ends: tuple[asyncio.Future[None], ...] = ()

    # The connection

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
        """Ends those who wait for the end as well."""
        super().closed_idle()
        self._end(None)

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

    def audio_stopped(self, _: messages.AudioStopped) -> None:
        """Tells nothing: sound without parts has one end, that of the connection."""

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
    **ConnectionHandlers.by_message,
    messages.ConnectionChanged: SpeechHandlers.connection_changed,
    messages.LocalEvent: SpeechHandlers.local_event,
    messages.AudioStopped: SpeechHandlers.audio_stopped,
    messages.Transcribed: SpeechHandlers.transcribed,
}
