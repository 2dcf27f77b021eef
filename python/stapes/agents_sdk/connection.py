"""One connection of a model: the core's session, and what joins it with the SDK's."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents.realtime.model_events import RealtimeModelErrorEvent, RealtimeModelExceptionEvent

from stapes import _core
from stapes.agents_sdk.calls import OpenCalls
from stapes.agents_sdk.delivery import Delivery
from stapes.agents_sdk.dialling import Dialler
from stapes.agents_sdk.dispatching import Dispatcher
from stapes.agents_sdk.parts import SoundParts
from stapes.agents_sdk.sending import Sender
from stapes.agents_sdk.settings import session_payload, tracing_of
from stapes.agents_sdk.tracker import FollowedTracker
from stapes.errors import ConsumerTooSlow
from stapes.hub import LoopHub
from stapes.providers.refusing import refusal
from stapes.session.options import CoreOptions
from stapes.session.reconnecting import reconnect_by, redial_by
from stapes.session.room import Room
from stapes.virtual_time import has_virtual_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agents.realtime import RealtimeModelListener
    from agents.realtime.model import RealtimePlaybackTracker
    from agents.realtime.model_inputs import RealtimeModelSendEvent, RealtimeModelSendUserInput

    from stapes.agents_sdk.dialling import Asked
    from stapes.providers import Provider
    from stapes.session import ReconnectPolicy
    from stapes.session.dialling import Opening
    from stapes.transport import WebRTCTransport, WebSocketTransport

__all__ = ["Connection", "ModelOptions"]

_INTEREST = _core.INTEREST_AUDIO | _core.INTEREST_RAW


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """The parameters of `StapesRealtimeModel`, which documents them and states their defaults."""

    provider: Provider
    transport: WebSocketTransport | WebRTCTransport = field(repr=False)
    reconnect: ReconnectPolicy | None
    input_sample_rate: int | None
    output_sample_rate: int | None
    response_timeout: float
    max_queued_events: int
    max_queued_bytes: int


class Connection:
    """What stands between `connect` and `close` of a model, over several connections if need be.

    Args:
        options: the model's.
        asked: where to connect.
        settings: the SDK's, of the first agent.
        listeners: the model's.
        tracker: the user's, if there is one.
    """

    def __init__(
        self,
        options: ModelOptions,
        asked: Asked,
        settings: Mapping[str, Any],
        listeners: Sequence[RealtimeModelListener],
        tracker: RealtimePlaybackTracker | None,
    ) -> None:
        self._options = options
        self._asked = asked
        self._settings = settings
        self._hub = LoopHub.current()
        self._loop = asyncio.get_running_loop()
        self._voice: Any = None
        self._core = core = self._core_session(reports=tracker is not None)
        self._tracker = None if tracker is None else FollowedTracker(tracker, core)
        self._delivery = Delivery(
            listeners,
            max_events=options.max_queued_events,
            max_bytes=options.max_queued_bytes,
            overflown=self._unread,
        )
        policy, provider = options.reconnect, options.provider
        self._dialler = Dialler(
            core, asked, provider, options.transport, policy, self._redial_failed
        )
        self.parts = SoundParts()
        """What of the answers has sound."""
        calls, room = OpenCalls(), Room(core)
        self._sender = Sender(
            core,
            self._delivery,
            calls,
            room,
            self.parts,
            self._tracker,
            options.input_sample_rate,
            options.provider,
            self._payload,
        )
        dispatcher = Dispatcher(
            core,
            self._delivery,
            self._dialler,
            self.parts,
            calls,
            room,
            self._tracker,
            self._over,
        )
        # The hub holds the listeners to sound weakly, and this dispatcher, which is both.
        self._hub.register(core, dispatcher, dispatcher)

    async def open(self) -> None:
        """Connects, and sends the configuration.

        Raises:
            agents.UserError: there is no key, or a setting cannot be.
            stapes.ConnectError: the connection could not be made; its subclasses say why.
        """
        self._delivery.begin()
        try:
            await self._dialler.connect(self._opening)
        except BaseException:
            await self.close()
            raise

    async def send(self, event: RealtimeModelSendEvent) -> None:
        """See `Sender.send`."""
        await self._sender.send(event)

    def send_if(self, event: RealtimeModelSendUserInput, send_if: Callable[[], bool]) -> bool:
        """Sends a message of the user's, if the condition holds and no response is asked for."""
        # Nothing is awaited between the question and the act.
        if self._core.awaits_response() or not send_if():
            return False
        self._sender.user_input(event)
        return True

    async def close(self) -> None:
        """Closes the connection. The listeners get nothing more."""
        self._dialler.stop()
        self._core.close(1000, "")
        self._hub.unregister(self._core)
        if self._tracker is not None:
            self._tracker.forget()
        await self._delivery.stop()

    def _core_session(self, *, reports: bool) -> _core.Session:
        options = self._options
        limits = options.transport
        core = _core.Session(
            self._hub.core,
            CoreOptions(
                # A user's tracker is asked when the server says that the user speaks.
                speech_interrupts=not reports,
                playback="reports" if reports else "clock",
                # As with the SDK's own model: who uses hosted MCP servers asks for the response.
                respond_to_mcp_calls=False,
                response_timeout=options.response_timeout,
                high_water=limits.high_water,
                max_outgoing_bytes=limits.max_outgoing_bytes,
                max_queued_events=options.max_queued_events,
                max_queued_bytes=options.max_queued_bytes,
            ),
            virtual_clock=has_virtual_time.get(),
        )
        core.follow_profile(options.provider.dialect, options.provider.capabilities)
        core.set_interest(_INTEREST)
        if (policy := options.reconnect) is not None:
            provider, asked = options.provider, self._asked
            reconnect_by(core, policy, provider, limits.max_outgoing_bytes)
            key = asked.api_key if asked.headers is None else ""
            redial_by(core, policy, provider, key, limits)
        return core

    def _opening(self) -> Opening:
        payload = self._payload(self._settings)
        audio = payload["audio"]
        given = _wire("input", audio, self._options.provider)
        made = _wire("output", audio, self._options.provider)
        self._core.set_formats(given, made, self._options.output_sample_rate)
        update = {"type": "session.update", "session": payload}
        tracing = json.dumps(tracing_of(self._settings), ensure_ascii=False)
        return json.dumps(update, ensure_ascii=False), tracing, 0

    def _payload(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        asked = self._asked
        payload = session_payload(
            settings, self._options.provider, asked.model, joins_call=asked.call_id is not None
        )
        output = payload["audio"]["output"]
        if self._options.provider.capabilities.changes_voice or not self._core.has_spoken:
            self._voice = output.get("voice")
        elif output.get("voice") != self._voice:
            # The provider would refuse the whole update, the new agent's instructions included.
            output.pop("voice", None)
        return payload

    def _unread(self, waiting: int) -> None:
        self._core.give_up_unread()
        error = ConsumerTooSlow(
            f"{waiting} events were waiting for the listeners of the model, which did not return: "
            "the connection is closed. Return from on_event sooner, or raise max_queued_events "
            "and max_queued_bytes"
        )
        self._delivery.put(RealtimeModelExceptionEvent(exception=error))

    def _redial_failed(self, error: BaseException) -> None:
        self._delivery.put(RealtimeModelErrorEvent(error=error))

    def _over(self) -> None:
        """The connection has ended for good; the hub is dispatching its messages right now."""
        self._loop.call_soon(self._hub.unregister, self._core)


def _wire(direction: str, audio: Mapping[str, Any], provider: Provider) -> tuple[str, int | None]:
    """The format on the wire of the user's sound, or of the answer's."""
    offered = provider.input_audio if direction == "input" else provider.output_audio
    stated = audio[direction].get("format") or offered.usual
    if (instead := offered.why_not(stated)) is not None:
        raise refusal(provider, f"audio.{direction}.format {stated}", instead)
    return stated["type"], stated.get("rate")
