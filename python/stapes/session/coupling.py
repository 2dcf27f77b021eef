"""The coupling of a session with the caller's end of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from stapes._core import calls as _core
from stapes.session.usage import total_tokens

if TYPE_CHECKING:
    from stapes.config import SessionConfig
    from stapes.events import ResponseDone
    from stapes.providers import Provider
    from stapes.session.dispatch.listeners import Listeners

__all__ = ["CallerEnd", "attach_call", "chosen_config"]


class CallerEnd(Protocol):
    """The caller's end of a call, such as a `stapes.calls.Call`."""

    @property
    def core(self) -> _core.Call:
        """The core's half."""

    @property
    def codec(self) -> str:
        """The format of its sound, such as `audio/pcmu`."""

    @property
    def max_tokens(self) -> int | None:
        """What its session may use; `None`: it counts nothing."""

    @property
    def resume_after(self) -> float | None:
        """Seconds after which an answer goes on that was paused for a sound; `None`: none is."""

    def spend(self, tokens: int) -> None:
        """Counts what its session has used."""

    def follow(self, session: Any, events: Listeners) -> None:
        """Hears what happens in its session."""


def attach_call(call: CallerEnd | None, session: object, listeners: Listeners) -> None:
    """Has the call hear what happens, and count what responses use, where that is bounded."""
    if call is None:
        return
    call.follow(session, listeners)
    if call.max_tokens is None:
        return

    def count(event: ResponseDone) -> None:
        call.spend(total_tokens(event.usage))

    listeners.follow({"response_done": count})


def chosen_config(
    config: SessionConfig | None, call: CallerEnd | None, provider: Provider
) -> SessionConfig:
    """The configuration: with a call, with its format on both ways where it names none.

    A format that the provider has as well passes without being decoded; otherwise the core converts
    between PCM and the call's.

    Raises:
        TypeError: `call` is none.
    """
    config = {} if config is None else config
    if call is None:
        return config
    if not isinstance(getattr(call, "core", None), _core.Call):
        raise TypeError(
            f"call must be a stapes.calls.Call, not {type(call).__name__}: a CallServer gives them "
            "to its answers, and TwilioCall(websocket) makes one in an ASGI app"
        )
    offered = {"input": provider.input_audio, "output": provider.output_audio}
    is_g711 = call.codec in ("audio/pcmu", "audio/pcma")
    # What is no mapping is refused, by name, where the configuration is checked.
    audio: Any = config.get("audio", {})
    if not isinstance(audio, Mapping):
        return config
    parts = {**audio}
    for direction, formats in offered.items():
        passes = is_g711 and call.codec in formats.types
        wanted = {"type": call.codec} if passes else formats.usual
        part = parts.get(direction, {})
        if isinstance(part, Mapping):
            parts[direction] = {"format": wanted, **part}
    if call.resume_after is not None:
        parts["input"] = _left_to_us(parts["input"], provider)
    return cast("SessionConfig", {**config, "audio": parts})


def _left_to_us(audio_input: Any, provider: Provider) -> Any:
    """Has this side decide what interrupts: the server would end an answer at a cough."""
    if not isinstance(audio_input, Mapping):
        return audio_input
    detection = audio_input.get("turn_detection", {})
    if detection == {}:
        detection = provider.defaults.turn_detection
    if not isinstance(detection, Mapping):
        return audio_input
    return {**audio_input, "turn_detection": {"interrupt_response": False, **detection}}
