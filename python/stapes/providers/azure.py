"""Azure: OpenAI's models by the GA protocol (`/openai/v1/realtime`), and Voice Live."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from agents import UserError

from stapes.providers.base import ApiKey, Credentials, Provider, SessionDefaults
from stapes.providers.capabilities import Capabilities, Source
from stapes.providers.dialect import Dialect
from stapes.providers.refusing import websocket_alone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Azure", "AzureOpenAI", "AzureVoiceLive"]

_VOICE_LIVE_VERSION = "2026-04-10"
_GA_SOURCE = Source(
    text="Microsoft's reference (realtime-audio-websockets) and recorded conversations",
    date="2026-11",
    recorded=True,
)
_VOICE_LIVE_SOURCE = Source(
    text="Microsoft's reference (voice-live-how-to) and recorded conversations",
    date="2026-11",
    recorded=True,
)
_VOICE_LIVE_CAPABILITIES = Capabilities(traces=False, prompts=False)
_VOICE_LIVE_DIALECT = Dialect(session="flat", states_input_rate=True)
_VOICE_LIVE_UNKNOWN = frozenset(
    {"audio.output.speed", "reasoning", "truncation", "parallel_tool_calls"}
)


class _Resource(Provider):
    """What both services of a resource have: names, and how they authenticate."""

    __slots__ = ()

    resource: str
    token: Callable[[], str | Awaitable[str]] | None

    def __post_init__(self) -> None:
        """Refuses a resource that cannot be one."""
        if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", self.resource):
            raise ValueError(
                f"resource is {self.resource!r}: give the resource's name, which is NAME in "
                "https://NAME.openai.azure.com"
            )

    def headers(self, key: str) -> dict[str, str]:
        """The API key; Azure redirects one that is sent as a bearer token."""
        return {"api-key": key}

    async def authenticate(self, api_key: ApiKey | None) -> Credentials:
        """The credentials of one connection: the token, or the API key.

        Raises:
            agents.UserError: there is neither, or it cannot be one.
        """
        if self.token is None or api_key is not None:
            return await super().authenticate(api_key)
        token = await self.key(self.token)
        return Credentials({"Authorization": f"Bearer {token}"}, (token,))


@dataclass(frozen=True, kw_only=True, repr=False)
class Azure(_Resource):
    """A realtime deployment of Azure OpenAI.

    Attributes:
        resource: the resource's name: `NAME` of `NAME.openai.azure.com`.
        deployment: the deployment of the realtime model; `RealtimeSession(model=...)` names
            another one of the resource.
        transcription_deployment: the deployment that transcribes what the user says. Azure knows
            models by their deployments alone, so there is no default: without one (here or in
            `config.audio.input.transcription.model`) nothing is transcribed.
        token: a function (sync or async) that gets a Microsoft Entra ID token for the scope
            `https://ai.azure.com/.default`, asked for each connection. Without one the API key
            authenticates: `api_key=`, or the environment's `AZURE_OPENAI_API_KEY`.

    Raises:
        ValueError: `resource` or `deployment` cannot be a name.
    """

    resource: str
    deployment: str
    transcription_deployment: str | None = None
    token: Callable[[], str | Awaitable[str]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuses names that cannot be."""
        super().__post_init__()
        if not self.deployment:
            raise ValueError("deployment is empty: give the name of the deployment")

    @property
    def default_model(self) -> str:
        """The deployment."""
        return self.deployment

    @property
    def key_variable(self) -> str:
        """`AZURE_OPENAI_API_KEY`."""
        return "AZURE_OPENAI_API_KEY"

    @property
    def defaults(self) -> SessionDefaults:
        """OpenAI's, but for the transcription model, which must be a deployment."""
        model = self.transcription_deployment
        return SessionDefaults(
            transcription=None if model is None else {"model": model},
            turn_detection={"type": "semantic_vad"},
        )

    @property
    def source(self) -> Source:
        """Recorded."""
        return _GA_SOURCE

    def url(
        self, model: str, *, call_id: str | None = None, kind: Literal["websocket", "webrtc"]
    ) -> str:
        """The URL of the resource that a session connects to.

        Raises:
            agents.UserError: `kind` is `webrtc`.
        """
        if kind == "webrtc":
            raise UserError(
                "Azure OpenAI takes WebRTC calls from clients with a client secret only: use "
                "transport='websocket', or WebRTCTransport(url=...) with a secret as api_key"
            )
        base = f"wss://{self.resource}.openai.azure.com/openai/v1/realtime"
        if call_id is not None:
            return f"{base}?call_id={quote(call_id, safe='')}"
        return f"{base}?model={quote(model, safe='')}"


AzureOpenAI = Azure
"""Another name of `Azure`."""


@dataclass(frozen=True, kw_only=True, repr=False)
class AzureVoiceLive(_Resource):
    """Azure Voice Live: a realtime model, or a model with Azure's speech on both sides.

    It speaks the beta's dialect. Its further settings, such as `turn_detection` of the type
    `azure_semantic_vad` or `input_audio_echo_cancellation`, go into `config` where they have a
    place, and into `config["provider_data"]` where they have none.

    Attributes:
        resource: the name of the Foundry resource: `NAME` of `NAME.services.ai.azure.com`.
        model: such as `gpt-realtime`, `gpt-4.1` or `phi4-mm-realtime`.
        transcription_model: transcribes what the user says. The recorded conversations have
            `whisper-1`; models without sound of their own want `azure-speech`.
        api_version: of the service.
        token: a function (sync or async) that gets a Microsoft Entra ID token for the scope
            `https://ai.azure.com/.default`, asked for each connection. Without one the API key
            authenticates: `api_key=`, or the environment's `AZURE_VOICELIVE_API_KEY`.

    Raises:
        ValueError: `resource` or `model` cannot be a name.
    """

    resource: str
    model: str
    transcription_model: str | None = "whisper-1"
    api_version: str = _VOICE_LIVE_VERSION
    token: Callable[[], str | Awaitable[str]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuses names that cannot be."""
        super().__post_init__()
        if not self.model:
            raise ValueError("model is empty: give the name of the model")

    @property
    def default_model(self) -> str:
        """The model."""
        return self.model

    @property
    def key_variable(self) -> str:
        """`AZURE_VOICELIVE_API_KEY`."""
        return "AZURE_VOICELIVE_API_KEY"

    @property
    def defaults(self) -> SessionDefaults:
        """Those of the recorded conversations."""
        model = self.transcription_model
        return SessionDefaults(
            transcription=None if model is None else {"model": model},
            turn_detection={
                "type": "server_vad",
                "create_response": True,
                "interrupt_response": True,
            },
        )

    @property
    def dialect(self) -> Dialect:
        """The beta's session, with the rate of the user's sound; items as in the GA protocol."""
        return _VOICE_LIVE_DIALECT

    @property
    def capabilities(self) -> Capabilities:
        """OpenAI's, but for its traces and stored prompts."""
        return _VOICE_LIVE_CAPABILITIES

    @property
    def unknown_settings(self) -> frozenset[str]:
        """What neither the recorded sessions nor the reference have."""
        return _VOICE_LIVE_UNKNOWN

    @property
    def source(self) -> Source:
        """Recorded."""
        return _VOICE_LIVE_SOURCE

    def url(
        self, model: str, *, call_id: str | None = None, kind: Literal["websocket", "webrtc"]
    ) -> str:
        """The URL of the resource that a session connects to.

        Raises:
            stapes.NotSupportedError: a WebRTC call, or a phone call to join.
        """
        websocket_alone(self, kind, call_id)
        version, named = quote(self.api_version, safe=""), quote(model, safe="")
        return (
            f"wss://{self.resource}.services.ai.azure.com/voice-live/realtime"
            f"?api-version={version}&model={named}"
        )
