"""Azure OpenAI, by the GA protocol (`/openai/v1/realtime`)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from agents import UserError

from stapes.providers.base import ApiKey, Credentials, Provider, SessionDefaults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["AzureOpenAI"]


@dataclass(frozen=True, kw_only=True)
class AzureOpenAI(Provider):
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
        if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", self.resource):
            raise ValueError(
                f"resource is {self.resource!r}: give the resource's name, which is NAME in "
                "https://NAME.openai.azure.com"
            )
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
