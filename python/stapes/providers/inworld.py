"""Inworld's realtime API. From documentation, not tried."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

from stapes.providers.audio_formats import AudioFormats
from stapes.providers.base import Provider, SessionDefaults
from stapes.providers.capabilities import Capabilities, Source
from stapes.providers.refusing import no_call, no_webrtc

__all__ = ["Inworld"]

_AUDIO = AudioFormats(types=frozenset({"audio/pcm"}))
_DEFAULTS = SessionDefaults(
    transcription={"model": "inworld/inworld-stt-1"},
    turn_detection={
        "type": "semantic_vad",
        "eagerness": "medium",
        "create_response": True,
        "interrupt_response": True,
    },
)
_CAPABILITIES = Capabilities(traces=False, images=False, prompts=False, changes_voice=True)
_UNKNOWN = frozenset({"audio.input.noise_reduction", "reasoning", "truncation", "include"})
_SOURCE = Source(
    text="docs.inworld.ai, realtime/connect/websocket and the realtime-websocket reference",
    date="2026-11",
    recorded=False,
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Inworld(Provider):
    """Inworld: a language model of your choice between its own ears and voices.

    From documentation, not tried. Settings without a place in `config`, such as the model of the
    voice (`{"audio": {"output": {"model": "inworld-tts-2"}}}`) and `providerData`, go into
    `config["provider_data"]`.
    """

    @property
    def default_model(self) -> str:
        """The reference's example: `provider/model`, or a router of yours."""
        return "openai/gpt-4.1-mini"

    @property
    def key_variable(self) -> str:
        """`INWORLD_API_KEY`: as the portal gives it, in base64."""
        return "INWORLD_API_KEY"

    @property
    def defaults(self) -> SessionDefaults:
        """The reference's."""
        return _DEFAULTS

    @property
    def input_audio(self) -> AudioFormats:
        """PCM."""
        return _AUDIO

    @property
    def output_audio(self) -> AudioFormats:
        """PCM."""
        return _AUDIO

    @property
    def capabilities(self) -> Capabilities:
        """Everything but images, traces and stored prompts; the voice may change at any time."""
        return _CAPABILITIES

    @property
    def unknown_settings(self) -> frozenset[str]:
        """What the reference does not have."""
        return _UNKNOWN

    @property
    def source(self) -> Source:
        """Documentation."""
        return _SOURCE

    def url(
        self, model: str, *, call_id: str | None = None, kind: Literal["websocket", "webrtc"]
    ) -> str:
        """The URL at api.inworld.ai that a session connects to: it names a session of its own.

        Raises:
            stapes.NotSupportedError: a WebRTC call, or a phone call to join.
        """
        no_webrtc(self, kind)
        no_call(self, call_id)
        session = uuid.uuid4().hex
        return f"wss://api.inworld.ai/api/v1/realtime/session?key={session}&protocol=realtime"

    def headers(self, key: str) -> dict[str, str]:
        """The key, which is in base64 already."""
        return {"Authorization": f"Basic {key}"}
