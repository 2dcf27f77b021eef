"""Inworld's realtime API. From documentation, not tried."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

from stapes.providers.audio_formats import AudioFormats
from stapes.providers.base import Provider, SessionDefaults
from stapes.providers.capabilities import Capabilities, Source
from stapes.providers.refusing import websocket_alone

__all__ = ["Inworld"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Inworld(Provider):
    """Inworld: a language model of your choice between its own ears and voices.

    From documentation, not tried. Settings without a place in `config`, such as the model of the
    voice (`{"audio": {"output": {"model": "inworld-tts-2"}}}`) and `providerData`, go into
    `config["provider_data"]`.
    """

    default_model = "openai/gpt-4.1-mini"
    """The reference's example: `provider/model`, or a router of yours."""
    key_variable = "INWORLD_API_KEY"
    """`INWORLD_API_KEY`: as the portal gives it, in base64."""
    defaults = SessionDefaults(
        transcription={"model": "inworld/inworld-stt-1"},
        turn_detection={
            "type": "semantic_vad",
            "eagerness": "medium",
            "create_response": True,
            "interrupt_response": True,
        },
    )
    """The reference's."""
    input_audio = output_audio = AudioFormats(types=frozenset({"audio/pcm"}))
    """PCM."""
    capabilities = Capabilities(traces=False, images=False, prompts=False, changes_voice=True)
    """Everything but images, traces and stored prompts; the voice may change at any time."""
    unknown_settings = frozenset(
        {"audio.input.noise_reduction", "reasoning", "truncation", "include"}
    )
    """What the reference does not have."""
    source = Source(
        text="docs.inworld.ai, realtime/connect/websocket and the realtime-websocket reference",
        date="2026-11",
        recorded=False,
    )
    """Documentation."""

    def url(
        self, model: str, *, call_id: str | None = None, kind: Literal["websocket", "webrtc"]
    ) -> str:
        """The URL at api.inworld.ai that a session connects to: it names a session of its own.

        Raises:
            stapes.NotSupportedError: a WebRTC call, or a phone call to join.
        """
        websocket_alone(self, kind, call_id)
        session = uuid.uuid4().hex
        return f"wss://api.inworld.ai/api/v1/realtime/session?key={session}&protocol=realtime"

    def headers(self, key: str) -> dict[str, str]:
        """The key, which is in base64 already."""
        return {"Authorization": f"Basic {key}"}
