"""The core's messages of one connection, as the events of the SDK's models."""

from __future__ import annotations

import contextvars
import json
import logging
from typing import TYPE_CHECKING, Any

from agents.realtime.items import RealtimeToolCallItem
from agents.realtime.model_events import (
    RealtimeModelAudioEvent,
    RealtimeModelAudioInterruptedEvent,
    RealtimeModelConnectionStatusEvent,
    RealtimeModelEndOfStreamEvent,
    RealtimeModelExceptionEvent,
    RealtimeModelItemUpdatedEvent,
    RealtimeModelOtherEvent,
    RealtimeModelRawServerEvent,
    RealtimeModelToolCallEvent,
    RealtimeModelTurnEndedEvent,
    RealtimeModelTurnStartedEvent,
)

from stapes.agents_sdk.heard import HeardWords
from stapes.agents_sdk.lost import ModelConnectionLostError
from stapes.agents_sdk.problems import error_event
from stapes.agents_sdk.reading import events_of, is_sound
from stapes.agents_sdk.server_text import UnreadServerEvent
from stapes.agents_sdk.usage import usage_event
from stapes.errors import NotConnectedError
from stapes.events import Lagging, MediaChanged, SessionRestored
from stapes.session.dispatch import messages
from stapes.session.dispatch.readings import lost_before, too_slow_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes import _core
    from stapes.agents_sdk.calls import OpenCalls
    from stapes.agents_sdk.delivery import Delivery
    from stapes.agents_sdk.dialling import Dialler
    from stapes.agents_sdk.parts import SoundParts
    from stapes.agents_sdk.tracker import FollowedTracker
    from stapes.events import Audio
    from stapes.session.room import Room

__all__ = ["Dispatcher"]

logger = logging.getLogger("stapes")


class Dispatcher:
    """Takes the core's messages of one connection, and puts the SDK's events into its delivery.

    Args:
        core: the session of the connection.
        delivery: gives the events to the model's listeners.
        dialler: waits for the connection, and makes it again.
        parts: takes note of what has sound.
        calls: takes note of the model's calls.
        room: wakes those who wait to send sound.
        tracker: the user's, if there is one.
        over: called when the connection has ended for good.
    """

    def __init__(
        self,
        core: _core.Session,
        delivery: Delivery,
        dialler: Dialler,
        parts: SoundParts,
        calls: OpenCalls,
        room: Room,
        tracker: FollowedTracker | None,
        over: Callable[[], None],
    ) -> None:
        self.run = contextvars.copy_context().run
        self.audio: tuple[Callable[[Any], Any], ...] = (self._sound,)
        self._core = core
        self._heard = HeardWords(core)
        self._delivery = delivery
        self._dialler = dialler
        self._parts = parts
        self._calls = calls
        self._room = room
        self._tracker = tracker
        self._over = over
        self._is_lost = False
        # There never was a connection.
        self._is_over = False
        self._current: str | None = None

    def __call__(self, message: Any) -> None:
        """Takes a message; the hub calls this through `run`."""
        if (handler := _HANDLERS.get(type(message))) is not None:
            handler(self, message)

    def answered(self, event: Any, result: Any, listener: Any, /) -> None:
        """Takes what a listener to sound returned: ours returns nothing."""

    def failed(self, event: Any, error: BaseException, listener: Any, /) -> None:
        """Takes what a listener to sound raised.

        Raises:
            BaseException: what it raised.
        """
        raise error

    # Sound

    def _sound(self, audio: Audio) -> None:
        response_id, item_id, index = audio.response_id, audio.item_id, audio.content_index
        self._parts.sounded(response_id, item_id, index)
        if self._tracker is not None:
            self._tracker.follow()
        data = audio.data
        self._delivery.put(RealtimeModelAudioEvent(data, response_id, item_id, index), len(data))

    def audio_interrupted(self, message: messages.AudioInterrupted) -> None:
        """Tells of each part that was cut."""
        first = (message.item_id, message.content_index)
        cut = self._parts.cut(message.response_id, first)
        for item_id, content_index in cut:
            self._delivery.put(
                RealtimeModelAudioInterruptedEvent(item_id=item_id, content_index=content_index)
            )
        for heard in self._heard.cut(item_id for item_id, _ in cut):
            self._delivery.put(heard)
        if self._tracker is not None:
            self._tracker.interrupted(cut)

    # What the server says

    def raw(self, message: messages.Raw) -> None:
        """Tells what the server sent, and what it means."""
        text = message.text
        if is_sound(text):
            self._delivery.put(UnreadServerEvent(text), len(text))
            return
        event = json.loads(text)
        self._delivery.put(RealtimeModelRawServerEvent(data=event), len(text))
        if self._tracker is not None:
            self._follow(self._tracker, event)
        if not message.is_replay:
            for meant in events_of(event):
                if (heard := self._heard.as_heard(meant)) is not None:
                    self._delivery.put(heard)

    def _follow(self, tracker: FollowedTracker, event: dict[str, Any]) -> None:
        tracker.follow()
        match event.get("type"):
            case "session.created" | "session.updated":
                tracker.configured(event.get("session") or {})
            case "input_audio_buffer.speech_started":
                self._stop_answers()

    def _stop_answers(self) -> None:
        """The user speaks: what they have not heard of the answers so far is cut.

        Without a tracker the core does so by itself, and sooner.
        """
        known = dict.fromkeys(self._parts.responses)
        if self._current is not None:
            known[self._current] = None
        for response_id in known:
            self._core.stop_response(response_id, True, None)

    def core_error(self, message: messages.CoreError) -> None:
        """Tells of an error."""
        self._delivery.put(error_event(message))

    # Responses

    def response_started(self, message: messages.ResponseStarted) -> None:
        """Begins a turn."""
        self._current = message.response_id
        self._delivery.put(RealtimeModelTurnStartedEvent(response_id=message.response_id))

    def response_ended(self, message: messages.ResponseEnded) -> None:
        """Ends a turn, with its usage."""
        if message.response_id == self._current:
            self._current = None
        if self._tracker is not None:
            self._tracker.follow()
        if not message.lost and (usage := usage_event(message.usage)) is not None:
            self._delivery.put(usage)
        if not message.out_of_band:
            self._delivery.put(RealtimeModelTurnEndedEvent(response_id=message.response_id))

    def function_call(self, message: messages.FunctionCall) -> None:
        """Tells of a call, which the SDK's session runs."""
        # The next response does not wait for a call that awaits approval; the SDK's session does
        # not say which of its calls do.
        self._core.await_approval(message.call_id, message.connection_id, 0)
        self._calls.made(message.call_id, message.connection_id)
        item = RealtimeToolCallItem(
            item_id=message.item_id,
            call_id=message.call_id,
            name=message.name,
            arguments=message.arguments,
            # Call and output are one item: its output completes it.
            status="in_progress",
        )
        self._delivery.put(RealtimeModelItemUpdatedEvent(item=item))
        self._delivery.put(
            RealtimeModelToolCallEvent(
                name=message.name,
                call_id=message.call_id,
                arguments=message.arguments,
                id=message.item_id,
            )
        )

    # The connection

    def opened(self, message: messages.Opened) -> None:
        """Completes `connect`."""
        self._dialler.opened(message.connection_id, None)

    def not_opened(self, message: messages.NotOpened) -> None:
        """Fails `connect`."""
        self._is_over |= self._dialler.is_busy
        closed = NotConnectedError("the model was closed while it was connecting")
        self._dialler.opened(message.connection_id, message.error or closed)

    def redial(self, message: messages.Redial) -> None:
        """Makes another connection, or decides against it."""
        self._dialler.redial(lost_before(message))

    def connection_changed(self, message: messages.ConnectionChanged) -> None:
        """Tells of a loss, of what follows it, and of the end."""
        match message.status:
            case "reconnecting":
                self._is_lost = True
                logger.info("the connection was lost, and is made again: %s", message.reason)
                self._delivery.put(RealtimeModelConnectionStatusEvent(status="connecting"))
            case "connected" if self._is_lost:
                self._is_lost = False
                self._delivery.put(RealtimeModelConnectionStatusEvent(status="connected"))
            case "disconnected" if not self._dialler.is_busy and not self._is_over:
                self._ended(message)

    def _ended(self, message: messages.ConnectionChanged) -> None:
        if message.is_clean:
            self._delivery.put(RealtimeModelConnectionStatusEvent(status="disconnected"))
            self._delivery.put(RealtimeModelEndOfStreamEvent())
        else:
            lost = ModelConnectionLostError(
                message.reason or "the connection was lost",
                message.code,
                retryable=bool(message.is_retryable),
            )
            context = "WebSocket connection closed unexpectedly"
            self._delivery.put(RealtimeModelExceptionEvent(exception=lost, context=context))
        self._delivery.end()
        self._room.drained()
        self._over()

    def told_as_it_is(self, message: SessionRestored | MediaChanged) -> None:
        """Tells of what the SDK's models have no event for."""
        self._delivery.put(RealtimeModelOtherEvent(data=message))

    def lagging(self, message: Lagging) -> None:
        """Tells what was dropped."""
        logger.warning(
            "the event loop was busy for too long: %d chunks of sound, %d raw events and %d "
            "transcript deltas were dropped",
            message.audio,
            message.transport_events,
            message.transcript_deltas,
        )
        self._delivery.put(RealtimeModelOtherEvent(data=message))

    def too_slow(self, message: messages.TooSlow) -> None:
        """Says why the connection was closed."""
        error = too_slow_error(message)
        self._delivery.put(RealtimeModelExceptionEvent(exception=error))

    def audio_drained(self, _: messages.AudioDrained) -> None:
        """Wakes those who wait to send sound."""
        self._room.drained()


_HANDLERS: dict[type[Any], Callable[[Dispatcher, Any], None]] = {
    messages.Raw: Dispatcher.raw,
    messages.AudioInterrupted: Dispatcher.audio_interrupted,
    messages.CoreError: Dispatcher.core_error,
    messages.ResponseStarted: Dispatcher.response_started,
    messages.ResponseEnded: Dispatcher.response_ended,
    messages.FunctionCall: Dispatcher.function_call,
    messages.Opened: Dispatcher.opened,
    messages.NotOpened: Dispatcher.not_opened,
    messages.Redial: Dispatcher.redial,
    messages.ConnectionChanged: Dispatcher.connection_changed,
    messages.TooSlow: Dispatcher.too_slow,
    messages.AudioDrained: Dispatcher.audio_drained,
    SessionRestored: Dispatcher.told_as_it_is,
    MediaChanged: Dispatcher.told_as_it_is,
    Lagging: Dispatcher.lagging,
}
"""By the class of the message. Others are of no use to the SDK's session."""
