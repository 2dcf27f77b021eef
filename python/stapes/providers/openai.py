"""OpenAI, and servers that speak its protocol at a URL of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

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


@dataclass(frozen=True, slots=True, repr=False)
class OpenAI(Provider):
    """OpenAI's realtime API."""

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
        """The URL at api.openai.com that a session connects to."""
        if kind == "webrtc":
            return f"https://api.openai.com/v1/realtime/calls?model={quote(model, safe='')}"
        if call_id is not None:
            return f"wss://api.openai.com/v1/realtime?call_id={quote(call_id, safe='')}"
        return f"wss://api.openai.com/v1/realtime?model={quote(model, safe='')}"


OPENAI = OpenAI()
"""The provider of a session that names none."""
