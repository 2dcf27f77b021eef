"""The SDK's send events, as commands of the core."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agents import UserError
from agents.realtime.items import RealtimeToolCallItem
from agents.realtime.model_events import RealtimeModelItemUpdatedEvent
from agents.realtime.model_inputs import (
    RealtimeModelSendAudio,
    RealtimeModelSendInterrupt,
    RealtimeModelSendRawMessage,
    RealtimeModelSendSessionUpdate,
    RealtimeModelSendToolOutput,
    RealtimeModelSendUserInput,
)

from stapes.session.refusals import refuse_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agents.realtime.model_inputs import RealtimeModelSendEvent

    from stapes import _core
    from stapes.agents_sdk.calls import OpenCalls
    from stapes.agents_sdk.delivery import Delivery
    from stapes.agents_sdk.parts import SoundParts
    from stapes.agents_sdk.tracker import FollowedTracker
    from stapes.providers import Provider
    from stapes.session.room import Room

__all__ = ["Sender", "check_interrupt"]


def check_interrupt(event: RealtimeModelSendInterrupt) -> None:
    """Refuses an interruption that cannot be meant.

    Raises:
        ValueError: says which of its fields do not go together.
    """
    if event.playback_only and (event.cancel_response_only or event.force_response_cancel):
        raise ValueError(
            "playback_only cannot be combined with explicit cancellation modes: leave it out, or "
            "cancel_response_only and force_response_cancel"
        )
    if event.cancel_response_only and event.response_id is None:
        raise ValueError("cancel_response_only requires response_id: name the response to cancel")


class Sender:
    """Sends what the SDK's session gives, over one connection.

    Each command takes effect when `send` is called, before it first waits.

    Args:
        core: the session of the connection.
        delivery: tells the listeners of a call's output.
        calls: the model's calls that are open.
        room: waits for room for sound.
        parts: says which responses have sound.
        tracker: the user's, if there is one.
        input_sample_rate: of the user's sound, in Hz; `None`: it is in the wire's format.
        provider: what it cannot take is refused.
        configure: makes the `session` of an update, of the SDK's settings.
    """

    def __init__(
        self,
        core: _core.Session,
        delivery: Delivery,
        calls: OpenCalls,
        room: Room,
        parts: SoundParts,
        tracker: FollowedTracker | None,
        input_sample_rate: int | None,
        provider: Provider,
        configure: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    ) -> None:
        self._core = core
        self._delivery = delivery
        self._calls = calls
        self._room = room
        self._parts = parts
        self._tracker = tracker
        self._input_sample_rate = input_sample_rate
        self._provider = provider
        self._configure = configure
        self._agent_version = 0

    async def send(self, event: RealtimeModelSendEvent) -> None:
        """Sends an event.

        Raises:
            stapes.NotConnectedError: there is no connection, and none will be made.
            agents.UserError, ValueError, TypeError: the event cannot be sent; says why.
        """
        match event:
            case RealtimeModelSendAudio():
                await self._audio(event)
            case RealtimeModelSendUserInput():
                self.user_input(event)
            case RealtimeModelSendToolOutput():
                self._tool_output(event)
            case RealtimeModelSendInterrupt():
                self._interrupt(event)
            case RealtimeModelSendSessionUpdate():
                self._session_update(event)
            case RealtimeModelSendRawMessage():
                self._raw(event)
            case _:
                raise ValueError(f"{type(event).__name__} is no event that a model can send")

    def user_input(self, event: RealtimeModelSendUserInput) -> None:
        """Sends a message of the user's, and asks for a response.

        Raises:
            stapes.NotSupportedError: the provider takes no messages, or not with what is in this
                one.
        """
        item = {"type": "message", "role": "user", "content": _content(event.user_input)}
        refuse_message(item, self._provider)
        create = {"type": "conversation.item.create", "item": item}
        self._core.send_message(_json(create), True)

    async def _audio(self, event: RealtimeModelSendAudio) -> None:
        if self._core.send_audio(event.audio, self._input_sample_rate, event.commit):
            await self._room.wait()

    def _tool_output(self, event: RealtimeModelSendToolOutput) -> None:
        call, output = event.tool_call, event.output
        connection_id = self._calls.connection_of(call.call_id)
        sent: bool | None = None
        if connection_id is not None:
            sent = self._core.tool_output(
                call.call_id, connection_id, output, event.start_response, []
            )
        if not sent:
            # The core knows nothing of the call: somebody else makes the calls.
            item = {"type": "function_call_output", "call_id": call.call_id, "output": output}
            self._core.send_event(_json({"type": "conversation.item.create", "item": item}))
            if event.start_response:
                self._core.request_response(None)
        self._calls.answered(call.call_id)
        completed = RealtimeToolCallItem(
            item_id=call.id or "",
            previous_item_id=call.previous_item_id,
            call_id=call.call_id,
            name=call.name,
            arguments=call.arguments,
            status="completed",
            output=output,
        )
        self._delivery.put(RealtimeModelItemUpdatedEvent(item=completed))

    def _interrupt(self, event: RealtimeModelSendInterrupt) -> None:
        check_interrupt(event)
        if self._tracker is not None:
            self._tracker.follow()
        if event.response_id is None and not event.playback_only:
            self._core.interrupt()
            return
        stops_playback, cancels = not event.cancel_response_only, not event.playback_only
        responses = self._parts.responses if event.response_id is None else [event.response_id]
        for response_id in responses:
            self._core.stop_response(response_id, stops_playback, cancels)

    def _session_update(self, event: RealtimeModelSendSessionUpdate) -> None:
        core = self._core
        update = {"type": "session.update", "session": self._configure(event.session_settings)}
        self._agent_version += 1
        core.switch_agent(core.connection_id, self._agent_version, _json(update), [], [])

    def _raw(self, event: RealtimeModelSendRawMessage) -> None:
        message = event.message
        self._core.send_event(_json({"type": message["type"], **message.get("other_data", {})}))


def _content(user_input: Any) -> list[dict[str, Any]]:
    if isinstance(user_input, str):
        return [{"type": "input_text", "text": user_input}]
    content = user_input.get("content") if isinstance(user_input, dict) else None
    if not isinstance(content, list | tuple):
        raise UserError("user_input must be text, or a message with a list of parts as `content`")
    return [_part(part) for part in content]


def _part(part: Any) -> dict[str, Any]:
    match part:
        case {"type": "input_text", "text": str(text)}:
            return {"type": "input_text", "text": text}
        case {"type": "input_image", "image_url": str(url)} if url:
            made = {"type": "input_image", "image_url": url}
            detail = part.get("detail")
            return made if detail is None else {**made, "detail": detail}
        case {"type": kind}:
            raise UserError(
                f"a part of the type {kind!r} cannot be sent: give an input_text with text, or an "
                "input_image with an image_url"
            )
    raise UserError("a part of a message must be a mapping with a type")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
