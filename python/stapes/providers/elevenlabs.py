"""ElevenLabs' realtime API. From documentation, not tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from stapes.providers.audio_formats import AudioFormats
from stapes.providers.base import Provider, SessionDefaults
from stapes.providers.capabilities import Capabilities, Source
from stapes.providers.refusing import websocket_alone

__all__ = ["ElevenLabs"]


@dataclass(frozen=True, kw_only=True, repr=False)
class ElevenLabs(Provider):
    """ElevenLabs' realtime models, by the GA protocol. From documentation, not tried.

    No model of its own for what the user says is documented, so nothing asks for a transcription:
    name one in `config["audio"]["input"]["transcription"]`.
    """

    default_model = "eleven_realtime_v1_mini"
    """The small one; `eleven_realtime_v1_max` is the large one."""
    key_variable = "ELEVENLABS_API_KEY"
    defaults = SessionDefaults(transcription=None, turn_detection={"type": "server_vad"})
    """The server's turn detection."""
    input_audio = output_audio = AudioFormats(
        types=frozenset({"audio/pcm"}), rates=frozenset({24_000})
    )
    """PCM at 24 kHz."""
    capabilities = Capabilities(traces=False, prompts=False)
    """OpenAI's, but for its traces and stored prompts."""
    source = Source(
        text="github.com/elevenlabs/skills, realtime/references/session-config.md: the GA protocol "
        "of OpenAI; nothing that it lacks is listed",
        date="2026-11",
        recorded=False,
    )
    """Documentation."""

    def url(
        self, model: str, *, call_id: str | None = None, kind: Literal["websocket", "webrtc"]
    ) -> str:
        """The URL at api.elevenlabs.io that a session connects to.

        Raises:
            stapes.NotSupportedError: a WebRTC call, or a phone call to join.
        """
        websocket_alone(self, kind, call_id)
        return f"wss://api.elevenlabs.io/v1/convai/realtime?model={quote(model, safe='')}"

    def headers(self, key: str) -> dict[str, str]:
        """The key in a header of its own."""
        return {"xi-api-key": key}
