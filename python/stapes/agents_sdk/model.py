"""`StapesRealtimeModel`: a model for the runner of `openai-agents`."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agents import UserError
from agents.realtime.model import RealtimeModel, RealtimeModelConfig
from agents.realtime.model_inputs import RealtimeModelSendInterrupt, RealtimeModelSendUserInput

from stapes.agents_sdk.connection import Connection, ModelOptions
from stapes.agents_sdk.dialling import Asked
from stapes.agents_sdk.sending import check_interrupt
from stapes.config import whole_number
from stapes.errors import NotConnectedError, StapesError
from stapes.providers import Provider
from stapes.providers.named import chosen
from stapes.providers.openai import OPENAI
from stapes.providers.refusing import binary_audio_needs
from stapes.session import ReconnectPolicy
from stapes.transport import WebRTCTransport, WebSocketTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agents.realtime import RealtimeModelListener
    from agents.realtime.model_inputs import RealtimeModelSendEvent
    from agents.realtime.openai_realtime import TransportConfig

__all__ = ["StapesRealtimeModel"]

logger = logging.getLogger("stapes")

_RECONNECT = ReconnectPolicy()
_CONFIG = frozenset(RealtimeModelConfig.__annotations__)
_NEVER = 1e9
"""Seconds that no connection lasts."""
_LARGEST = 2**32 - 1
_MAX_SIZE = 8 * 1024 * 1024
"""Of a message, in bytes, where nothing else is said: the SDK's own limit."""


class AlreadyConnectedError(StapesError, AssertionError):
    """A model that is connected was to be connected again."""


class StapesRealtimeModel(RealtimeModel):
    """A `RealtimeModel` of `openai-agents` that stapes carries.

        runner = RealtimeRunner(agent, model=StapesRealtimeModel())
        async with await runner.run() as session:
            ...

    Sound is decoded, resampled and sent in Rust, what was heard is known for each part of an
    answer, and a connection that is lost is replaced, without an end of the SDK's session. Events
    and their order are those of the SDK's `OpenAIRealtimeWebSocketModel`;
    `docs/how-to/agents-sdk.md` says what differs. One model serves one session at a time, as the
    SDK's own does.

    Args:
        transport: a `stapes.WebSocketTransport(...)`, or a `stapes.WebRTCTransport(...)`, with
            limits, proxy and TLS.
        transport_config: the same in the SDK's words (`ping_interval`, `ping_timeout`,
            `handshake_timeout` in seconds, `max_size` in bytes), in place of `transport`. Without
            either the defaults are those of `WebSocketTransport`, but for the longest message: 8
            MiB, as in the SDK.
        provider: the provider, by its name or as a profile, see `stapes.providers`. Default:
            OpenAI's.
        reconnect: how the session goes on when its connection is lost: by default it connects
            again, and the conversation goes on. `None`: the SDK's session raises, as it does with
            the SDK's own model.
        input_sample_rate: the rate of the sound that the session sends, in Hz: PCM, 16 bit, mono.
            Default: it is in the format of the wire (24,000 for PCM).
        output_sample_rate: the rate of `audio` events, in Hz. Default: as the wire has it.
        response_timeout: seconds that the server may leave a request for a response unanswered.
        max_queued_events: events that may wait for the listeners. Past it the connection is closed.
        max_queued_bytes: bytes of sound and of the server's text that may wait for them.

    Raises:
        ValueError, TypeError: names the argument that is wrong.
        stapes.NotSupportedError: `binary_audio` without a `WebSocketTransport`.
    """

    def __init__(
        self,
        *,
        transport: WebSocketTransport | WebRTCTransport | None = None,
        transport_config: TransportConfig | None = None,
        provider: Provider | str = OPENAI,
        reconnect: ReconnectPolicy | None = _RECONNECT,
        input_sample_rate: int | None = None,
        output_sample_rate: int | None = None,
        response_timeout: float = 30.0,
        max_queued_events: int = 10_000,
        max_queued_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        profile = chosen(provider)
        if not isinstance(profile, Provider):
            raise TypeError(
                "provider must be a name or a stapes.providers.Provider, "
                f"not {type(profile).__name__}"
            )
        if transport is not None and transport_config is not None:
            raise ValueError("transport and transport_config say the same thing: give one of them")
        if transport is None:
            transport = _transport_of(transport_config or {})
        if not isinstance(transport, WebSocketTransport | WebRTCTransport):
            raise TypeError(
                "transport must be a stapes.WebSocketTransport or a stapes.WebRTCTransport, not "
                f"{type(transport).__name__}"
            )
        binary_audio_needs(profile, websocket=isinstance(transport, WebSocketTransport))
        if not (reconnect is None or isinstance(reconnect, ReconnectPolicy)):
            raise TypeError(
                f"reconnect must be a stapes.ReconnectPolicy, not {type(reconnect).__name__}"
            )
        for name, value in (
            ("input_sample_rate", input_sample_rate),
            ("output_sample_rate", output_sample_rate),
        ):
            if value is not None:
                whole_number(value, name, at_least=1)
        whole_number(max_queued_events, "max_queued_events", at_least=1)
        whole_number(max_queued_bytes, "max_queued_bytes", at_least=1)
        self._options = ModelOptions(
            provider=profile,
            transport=transport,
            reconnect=reconnect,
            input_sample_rate=input_sample_rate,
            output_sample_rate=output_sample_rate,
            response_timeout=response_timeout,
            max_queued_events=max_queued_events,
            max_queued_bytes=max_queued_bytes,
        )
        self.model = profile.default_model
        """The model's name: the provider's default, or what the settings of `connect` named."""
        self._listeners: list[RealtimeModelListener] = []
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        state = "disconnected" if self._connection is None else "connected"
        return f"<StapesRealtimeModel {self.model}, {state}>"

    async def connect(self, options: RealtimeModelConfig) -> None:
        """Connects, and configures the session; the runner's session calls this.

        Args:
            options: the SDK's; each of its keys is honoured. `headers` are sent in place of those
                that authenticate.

        Raises:
            agents.UserError: there is no key, or options do not go together.
            stapes.ConnectError: the connection could not be made; its subclasses say why.
        """
        if self._connection is not None:
            raise AlreadyConnectedError("Already connected: close the model first")
        asked, settings = self._asked(options), options.get("initial_model_settings") or {}
        tracker = options.get("playback_tracker")
        if tracker is not None and self._options.output_sample_rate is not None:
            raise UserError(
                "playback_tracker counts bytes at the rate of the wire: leave output_sample_rate "
                "out"
            )
        connection = Connection(self._options, asked, settings, self._listeners, tracker)
        self._connection = connection
        try:
            await connection.open()
        except BaseException:
            if self._connection is connection:
                self._connection = None
            raise
        self.model = asked.model

    def add_listener(self, listener: RealtimeModelListener) -> None:
        """Has the listener get events from now on."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def remove_listener(self, listener: RealtimeModelListener) -> None:
        """Has the listener get no more events."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def send_event(self, event: RealtimeModelSendEvent) -> None:
        """Sends an event. It takes effect when this is called; sound may have to wait for room.

        Raises:
            stapes.NotConnectedError: there is no connection, and none will be made.
            agents.UserError, ValueError, TypeError: the event cannot be sent; says why.
        """
        if isinstance(event, RealtimeModelSendInterrupt):
            check_interrupt(event)
        await self._standing().send(event)

    async def send_event_if(
        self, event: RealtimeModelSendEvent, send_if: Callable[[], bool]
    ) -> bool:
        """Sends a message of the user's if the condition holds at the moment of sending.

        Returns:
            Whether it was sent: not where a response has been asked for already, and no other kind
            of event.
        """
        if not isinstance(event, RealtimeModelSendUserInput):
            return False
        return self._standing().send_if(event, send_if)

    async def close(self) -> None:
        """Closes the connection. The listeners get nothing more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _retire_response_audio(self, response_id: str) -> None:
        if self._connection is not None:
            self._connection.parts.retire(response_id)

    def _standing(self) -> Connection:
        if self._connection is None:
            raise NotConnectedError("the model is not connected: call connect() first")
        return self._connection

    def _asked(self, options: RealtimeModelConfig) -> Asked:
        for key in options:
            if key not in _CONFIG:
                logger.warning("model_config[%r] has no effect: this version does not know it", key)
        settings: Mapping[str, Any] = options.get("initial_model_settings") or {}
        call_id, model = options.get("call_id"), settings.get("model_name")
        if call_id and model:
            raise UserError(
                "Cannot specify both `call_id` and `model_name` when attaching to an existing "
                "realtime call."
            )
        return Asked(
            model=model or self.model,
            api_key=options.get("api_key"),
            url=options.get("url"),
            headers=options.get("headers"),
            call_id=call_id or None,
        )


def _transport_of(config: Mapping[str, Any]) -> WebSocketTransport:
    """The transport that the SDK's `TransportConfig` describes."""
    transport = WebSocketTransport(max_message_size=_MAX_SIZE, max_frame_size=_MAX_SIZE)
    for key, value in config.items():
        match key:
            case "ping_interval":
                transport = replace(transport, ping_interval=value)
            case "ping_timeout":
                patience = _NEVER if value is None else value
                transport = replace(transport, ping_timeout=patience, sending_ping_timeout=patience)
            case "handshake_timeout":
                transport = replace(transport, connect_timeout=value)
            case "max_size":
                size = _LARGEST if value is None else value
                transport = replace(transport, max_message_size=size, max_frame_size=size)
            case _:
                raise ValueError(
                    f"transport_config key {key!r} is unknown: use ping_interval, ping_timeout, "
                    "handshake_timeout or max_size, or transport=WebSocketTransport(...)"
                )
    return transport
