"""A server of your own: LocalAI, Hugging Face's speech-to-speech, speaches.

From documentation, not tried.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from stapes import _core
from stapes.providers.base import Provider, SessionDefaults
from stapes.providers.capabilities import Capabilities, Source
from stapes.providers.dialect import GA, Dialect
from stapes.providers.refusing import websocket_alone

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Local"]

_CAPABILITIES = Capabilities(traces=False, hosted_mcp=False, prompts=False)
_SERVER_VAD = {"type": "server_vad"}
_SOURCE = Source(
    text="LocalAI (82c191af), huggingface/speech-to-speech (9f59bc7), speaches (870e1e1)",
    date="2026-08",
    recorded=False,
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Local(Provider):
    """A server of your own that speaks the protocol. From documentation, not tried.

    It gets no key unless `api_key=` is given. For speaches:
    `Local(base_url="ws://127.0.0.1:8000/v1/realtime", dialect=providers.BETA)`. For a server to
    which a truncation says nothing:
    `Local(capabilities=providers.Capabilities(truncates=False, traces=False))`.

    Attributes:
        base_url: of its WebSocket; `?model=` is added.
        model: in the URL and in the session; empty: in neither.
        transcription_model: transcribes what the user says; `None`: none is asked for.
        turn_detection: as in `config`; `None`: you say when the user's turn ends.
        dialect: in which client events are written.
        capabilities: what it has. The default leaves out OpenAI's traces, stored prompts and hosted
            MCP servers.

    Raises:
        ValueError: `base_url` is no WebSocket URL.
    """

    base_url: str = "ws://127.0.0.1:8080/v1/realtime"
    model: str = ""
    transcription_model: str | None = None
    turn_detection: Mapping[str, Any] | None = field(default_factory=_SERVER_VAD.copy)
    dialect: Dialect = GA
    capabilities: Capabilities = _CAPABILITIES

    def __post_init__(self) -> None:
        """Refuses what is no URL."""
        if urlsplit(self.base_url).scheme not in ("ws", "wss"):
            raise ValueError(
                f"base_url is {_core.shown_url(self.base_url)!r}: give the URL of the WebSocket, "
                "such as ws://127.0.0.1:8080/v1/realtime"
            )

    def __repr__(self) -> str:
        """The URL without what is secret in it."""
        return f"<Local({_core.shown_url(self.base_url)!r}), from documentation, not tried>"

    @property
    def default_model(self) -> str:
        """The model."""
        return self.model

    @property
    def key_variable(self) -> None:
        """It wants no key."""

    @property
    def defaults(self) -> SessionDefaults:
        """What the fields say."""
        model = self.transcription_model
        return SessionDefaults(
            transcription=None if model is None else {"model": model},
            turn_detection=self.turn_detection,
        )

    @property
    def source(self) -> Source:
        """Documentation."""
        return _SOURCE

    def url(
        self, model: str, *, call_id: str | None = None, kind: Literal["websocket", "webrtc"]
    ) -> str:
        """The server's URL.

        Raises:
            stapes.NotSupportedError: a WebRTC call (give `WebRTCTransport(url=...)`), or a phone
                call to join.
        """
        websocket_alone(self, kind, call_id)
        if not model:
            return self.base_url
        joint = "&" if urlsplit(self.base_url).query else "?"
        return f"{self.base_url}{joint}model={quote(model, safe='')}"
