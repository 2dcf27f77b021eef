"""The options that transcription and translation have in common: checked once, and frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from stapes import _core
from stapes.config import whole_number
from stapes.providers import Provider
from stapes.session.options import CoreOptions
from stapes.session.reconnecting import ReconnectPolicy, reconnect_by
from stapes.transport import WebSocketTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stapes.providers import ApiKey

__all__ = ["SpeechOptions", "core_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechOptions:
    """The options of a session without an agent; its class documents them and states defaults."""

    purpose: Literal["transcription", "translation"]
    model: str
    input_format: tuple[str, int | None]
    output_sample_rate: int | None
    transport: WebSocketTransport
    api_key: ApiKey | None = field(repr=False)
    provider: Provider
    reconnect: ReconnectPolicy | None
    max_queued_events: int
    max_queued_bytes: int

    def __post_init__(self) -> None:
        """Refuses options that a session cannot have.

        Raises:
            ValueError, TypeError: names the option that is wrong.
        """
        if not isinstance(self.model, str) or not self.model:
            raise ValueError(f"model is {self.model!r}: give the name of a model")
        if not isinstance(self.transport, WebSocketTransport):
            raise TypeError(
                f"transport must be a WebSocketTransport, not {type(self.transport).__name__}: "
                f"a {self.purpose} goes over a WebSocket"
            )
        if not (self.api_key is None or isinstance(self.api_key, str) or callable(self.api_key)):
            raise TypeError(
                "api_key must be a string or a function that gets one, "
                f"not {type(self.api_key).__name__}"
            )
        if not isinstance(self.provider, Provider):
            raise TypeError(
                f"provider must be a stapes.providers.Provider, not {type(self.provider).__name__}"
            )
        if not (self.reconnect is None or isinstance(self.reconnect, ReconnectPolicy)):
            raise TypeError(
                "reconnect must be a stapes.ReconnectPolicy, or None, "
                f"not {type(self.reconnect).__name__}"
            )
        for name in ("max_queued_events", "max_queued_bytes"):
            whole_number(getattr(self, name), name, at_least=1)
        if self.output_sample_rate is not None:
            whole_number(self.output_sample_rate, "output_sample_rate", at_least=1)


def core_of(options: SpeechOptions, hub: _core.Hub, *, virtual_clock: bool) -> _core.Session:
    """The core's half of a session with these options.

    Raises:
        ValueError: the format of the user's sound, or the rate of the translation, is none.
    """
    transport = options.transport
    core = CoreOptions(
        purpose=options.purpose,
        speech_interrupts=False,
        high_water=transport.high_water,
        max_outgoing_bytes=transport.max_outgoing_bytes,
        max_queued_events=options.max_queued_events,
        max_queued_bytes=options.max_queued_bytes,
    )
    session = _core.Session(hub, core, virtual_clock=virtual_clock)
    session.set_formats(options.input_format, ("audio/pcm", 24_000), options.output_sample_rate)
    if options.reconnect is not None:
        most = transport.max_outgoing_bytes
        reconnect_by(session, options.reconnect, options.provider, most)
    return session


def only_given(**settings: Any) -> Mapping[str, Any]:
    """Those settings that are not `None`."""
    return {name: value for name, value in settings.items() if value is not None}
