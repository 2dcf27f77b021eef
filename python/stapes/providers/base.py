"""The base class of provider profiles: one profile is one file."""

from __future__ import annotations

import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any, Literal

from agents import UserError

from stapes.providers.audio_formats import AudioFormats
from stapes.providers.capabilities import Capabilities, Source
from stapes.providers.dialect import GA, Dialect
from stapes.providers.endings import Endings

__all__ = ["ApiKey", "Credentials", "Provider", "SessionDefaults"]

ApiKey = str | Callable[[], str | Awaitable[str]]
"""A key, or a function (sync or async) that gets one; it is called for each connection."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How one connection authenticates.

    Attributes:
        headers: sent with the handshake.
        secrets: masked in every text that the server sends and a person may read, as what the
            headers and the URL hold is. Those of fewer than 8 characters are not: they would mask
            ordinary words.
    """

    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionDefaults:
    """The values of a session's configuration that hold where the user gives none.

    Attributes:
        transcription: `config.audio.input.transcription`.
        turn_detection: `config.audio.input.turn_detection`.
        noise_reduction: `config.audio.input.noise_reduction`.
        output_modalities: `config.output_modalities`.
        speed: `config.audio.output.speed`.
    """

    transcription: Mapping[str, Any] | None
    turn_detection: Mapping[str, Any] | None
    noise_reduction: Mapping[str, Any] | None = None
    output_modalities: tuple[str, ...] = ("audio",)
    speed: float = 1


_ENDINGS = Endings()
_CAPABILITIES = Capabilities()


class Provider(ABC):
    """A provider of the realtime protocol: where it is, how it differs, and what it cannot do.

    A subclass is a frozen dataclass: sessions share its instances. What it does not override is
    OpenAI's. `repr=False` keeps the repr of this class, which says what nobody has tried.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def default_model(self) -> str:
        """The model of a session that names none."""

    @property
    def endings(self) -> Endings:
        """What the ends of its connections mean."""
        return _ENDINGS

    @property
    @abstractmethod
    def key_variable(self) -> str | None:
        """The environment variable with the key of a session that is given none.

        `None`: the provider wants no key, so that such a session has none.
        """

    @property
    @abstractmethod
    def defaults(self) -> SessionDefaults:
        """The defaults of the session's configuration."""

    @property
    def audio_types(self) -> frozenset[str]:
        """The `type`s of the audio formats that the provider offers."""
        return frozenset({"audio/pcm", "audio/pcmu", "audio/pcma"})

    @property
    def input_audio(self) -> AudioFormats:
        """The formats of the user's sound."""
        return AudioFormats(types=self.audio_types)

    @property
    def output_audio(self) -> AudioFormats:
        """The formats of the answer's sound."""
        return AudioFormats(types=self.audio_types)

    @property
    def dialect(self) -> Dialect:
        """How client events are written."""
        return GA

    @property
    def capabilities(self) -> Capabilities:
        """What of the protocol it has."""
        return _CAPABILITIES

    @property
    def unknown_settings(self) -> frozenset[str]:
        """Settings of a session that it does not know, as paths in `config`: `audio.output.speed`.

        They are left out where they have their default; another value is refused.
        """
        return frozenset()

    @property
    def own_settings(self) -> Mapping[str, Any]:
        """Settings of its own that each session has; `config["provider_data"]` may change them."""
        return {}

    @property
    def max_session_duration(self) -> float | None:
        """How long a connection lasts, in seconds, where the server does not say so by itself."""
        return None

    @property
    def source(self) -> Source | None:
        """Where the facts of the profile come from."""
        return None

    def __repr__(self) -> str:
        """The fields, and whether anybody has tried it."""
        known: tuple[Field[Any], ...] = fields(self) if is_dataclass(self) else ()
        shown = (f"{it.name}={getattr(self, it.name)!r}" for it in known if it.repr)
        made = f"{type(self).__name__}({', '.join(shown)})"
        source = self.source
        untried = source is not None and not source.recorded
        return f"<{made}, from documentation, not tried>" if untried else made

    @abstractmethod
    def url(
        self, model: str, *, call_id: str | None = None, kind: Literal["websocket", "webrtc"]
    ) -> str:
        """The URL that a session connects to.

        Args:
            model: the model in use.
            call_id: a phone call (SIP) to join in place of a new conversation.
            kind: a WebSocket is opened there, or a WebRTC call offered.
        """

    def headers(self, key: str) -> dict[str, str]:
        """The headers that authenticate with a key."""
        return {"Authorization": f"Bearer {key}"}

    async def authenticate(self, api_key: ApiKey | None) -> Credentials:
        """The credentials of one connection.

        Args:
            api_key: the user's; `None`: the environment's.

        Raises:
            agents.UserError: there is no key, or it cannot be one.
        """
        if api_key is None and self.key_variable is None:
            return Credentials({}, ())
        key = await self.key(api_key)
        return Credentials(self.headers(key), (key,))

    async def key(self, api_key: ApiKey | None) -> str:
        """The key: the user's, or the environment's.

        Raises:
            agents.UserError: there is no key, or it cannot be one.
        """
        variable = self.key_variable
        key: Any = os.environ.get(variable or "") if api_key is None else api_key
        if callable(key):
            key = key()
            if inspect.isawaitable(key):
                key = await key
        if isinstance(key, str) and key.strip():
            key = key.strip()
            if not (key.isascii() and key.isprintable()) or " " in key:
                raise UserError(
                    "the API key has characters that a key cannot have, such as a line break or a "
                    "letter that is not ASCII: give the key and nothing else"
                )
            return str(key)
        give = "Give" if variable is None else f"Set {variable}, or give"
        raise UserError(
            f"API key is not set. {give} api_key= (a string, or a function that gets one) to "
            "RealtimeSession or connect(). A server that wants none takes any."
        )
