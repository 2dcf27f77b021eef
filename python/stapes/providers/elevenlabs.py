"""ElevenLabs' realtime API. From documentation, not tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from stapes.providers.audio_formats import AudioFormats
from stapes.providers.base import Provider, SessionDefaults
from stapes.providers.capabilities import Capabilities, Source
from stapes.providers.refusing import no_call, no_webrtc

__all__ = ["ElevenLabs"]

_AUDIO = AudioFormats(types=frozenset({"audio/pcm"}), rates=frozenset({24_000}))
_DEFAULTS = SessionDefaults(transcription=None, turn_detection={"type": "server_vad"})
_CAPABILITIES = Capabilities(traces=False, prompts=False)
_SOURCE = Source(
    text="github.com/elevenlabs/skills, realtime/references/session-config.md: the GA protocol of "
    "OpenAI; nothing that it lacks is listed",
    date="2026-11",
    recorded=False,
)


@dataclass(frozen=True, kw_only=True, repr=False)
class ElevenLabs(Provider):
    """ElevenLabs' realtime models, by the GA protocol. From documentation, not tried.

    No model of its own for what the user says is documented, so nothing asks for a transcription:
    name one in `config["audio"]["input"]["transcription"]`.
    """

    @property
    def default_model(self) -> str:
        """The small one; `eleven_realtime_v1_max` is the large one."""
        return "eleven_realtime_v1_mini"

    @property
    def key_variable(self) -> str:
        """`ELEVENLABS_API_KEY`."""
        return "ELEVENLABS_API_KEY"

    @property
    def defaults(self) -> SessionDefaults:
        """The server's turn detection."""
        return _DEFAULTS

    @property
    def input_audio(self) -> AudioFormats:
        """PCM at 24 kHz."""
        return _AUDIO

    @property
    def output_audio(self) -> AudioFormats:
        """PCM at 24 kHz."""
        return _AUDIO

    @property
    def capabilities(self) -> Capabilities:
        """OpenAI's, but for its traces and stored prompts."""
        return _CAPABILITIES

    @property
    def source(self) -> Source:
        """Documentation."""
        return _SOURCE

    def url(
        self, model: str, *, call_id: str | None = None, kind: Literal["websocket", "webrtc"]
    ) -> str:
        """The URL at api.elevenlabs.io that a session connects to.

        Raises:
            stapes.NotSupportedError: a WebRTC call, or a phone call to join.
        """
        no_webrtc(self, kind)
        no_call(self, call_id)
        return f"wss://api.elevenlabs.io/v1/convai/realtime?model={quote(model, safe='')}"

    def headers(self, key: str) -> dict[str, str]:
        """The key in a header of its own."""
        return {"xi-api-key": key}
