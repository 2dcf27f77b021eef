"""OpenAI, and servers that speak its protocol at a URL of their own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

from agents import UserError

from stapes import _core
from stapes.providers.base import Provider, SessionDefaults
from stapes.providers.capabilities import Source

__all__ = ["OPENAI", "OpenAI"]

# The reference's transcription model shuts down on 2027-02-26. Of those that go on, this one is
# known to transcribe conversations with turn detection (recordings of July 2026), and others use it
# by default (Pipecat since May 2026). `gpt-live-transcribe` refuses turn detection where it
# transcribes alone.
_DEFAULTS = SessionDefaults(
    transcription={"model": "gpt-realtime-whisper"}, turn_detection={"type": "semantic_vad"}
)
_SOURCE = Source(
    text="OpenAI's reference and recorded conversations over WebSocket and WebRTC sidebands",
    date="2026-11",
    recorded=True,
)


_BASE_URL = "OPENAI_BASE_URL"
_SCHEMES = {
    "websocket": {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"},
    "webrtc": {"http": "http", "https": "https", "ws": "http", "wss": "https"},
}


def _base_url(kind: Literal["websocket", "webrtc"]) -> str:
    """Where the API is, with the scheme for a kind of connection."""
    said = os.environ.get(_BASE_URL, "").strip() or "https://api.openai.com/v1"
    scheme, _, rest = said.partition("://")
    known = _SCHEMES[kind].get(scheme.lower())
    if known is None or not urlsplit(f"//{rest}").hostname:
        raise UserError(
            f"{_BASE_URL} is {_core.shown_url(said)!r}: give the URL of the API, such as "
            "https://api.openai.com/v1 or http://127.0.0.1:8765/v1"
        )
    return f"{known}://{rest.rstrip('/')}"


@dataclass(frozen=True, slots=True, repr=False)
class OpenAI(Provider):
    """OpenAI's realtime API, or the server that `OPENAI_BASE_URL` names.

    The environment variable is the one that OpenAI's own clients read: the URL up to and including
    `/v1`, with the scheme `https`, `http`, `wss` or `ws`.
    """

    @property
    def default_model(self) -> str:
        """The model that the reference (`@openai/agents-realtime` 0.20) uses."""
        return "gpt-realtime-2.1"

    @property
    def key_variable(self) -> str:
        """`OPENAI_API_KEY`."""
        return "OPENAI_API_KEY"

    @property
    def defaults(self) -> SessionDefaults:
        """The reference's, but for the transcription model, which outlives the reference's."""
        return _DEFAULTS

    @property
    def source(self) -> Source:
        """Recorded."""
        return _SOURCE

    def url(
        self, model: str, *, call_id: str | None = None, kind: Literal["websocket", "webrtc"]
    ) -> str:
        """The URL that a session connects to.

        Raises:
            agents.UserError: `OPENAI_BASE_URL` is no URL.
        """
        base = _base_url(kind)
        if kind == "webrtc":
            return f"{base}/realtime/calls?model={quote(model, safe='')}"
        name, value = ("model", model) if call_id is None else ("call_id", call_id)
        return f"{base}/realtime?{name}={quote(value, safe='')}"


OPENAI = OpenAI()
"""The provider of a session that names none."""
