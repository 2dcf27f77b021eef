"""xAI's Voice Agent API (Grok)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from stapes.providers.audio_formats import AudioFormats
from stapes.providers.base import Provider, SessionDefaults
from stapes.providers.capabilities import Capabilities, Source
from stapes.providers.dialect import Dialect
from stapes.providers.refusing import websocket_alone

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["XAI"]

_RATES = frozenset({8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000})


@dataclass(frozen=True, kw_only=True, repr=False)
class XAI(Provider):
    """xAI's voice agents: the GA protocol, with the voice and the turn detection at the top.

    Tools of the provider's own (`web_search`, `x_search`, `file_search`) and further settings go
    into `config["provider_data"]`.

    Attributes:
        truncates: tell the model what was heard of an interrupted answer. xAI's reference does not
            name `conversation.item.truncate`; clients that send it report that it is accepted
            (August 2026). Without it the history alone says what was heard.
        binary_audio: sound travels in binary frames of the WebSocket, both ways, which saves its
            base64: a quarter of the bytes. xAI's documentation has it (`audio.*.transport`) with
            `json` as its default; no recorded conversation does, so it is off unless asked for.
            It needs a `WebSocketTransport`.
    """

    truncates: bool = False
    binary_audio: bool = False

    default_model = "grok-voice-latest"
    """The one that xAI recommends."""
    key_variable = "XAI_API_KEY"
    defaults = SessionDefaults(
        transcription={"model": "grok-transcribe"},
        turn_detection={"type": "server_vad", "create_response": True, "interrupt_response": True},
    )
    """Those of the recorded conversations."""
    input_audio = output_audio = AudioFormats(rates=_RATES)
    """PCM at eight rates, and G.711."""
    dialect = Dialect(session="voice_at_top")
    """The GA protocol's, but for the voice and the turn detection."""
    unknown_settings = frozenset(
        {
            "output_modalities",
            "audio.input.noise_reduction",
            "audio.output.speed",
            "max_output_tokens",
            "parallel_tool_calls",
            "truncation",
            "include",
        }
    )
    """What neither the recorded requests nor the reference have."""
    max_session_duration = 3600.0
    """An hour; the server states no end."""
    source = Source(
        text="docs.x.ai (voice agent) and recorded conversations", date="2026-11", recorded=True
    )
    """Recorded."""

    @property
    def capabilities(self) -> Capabilities:
        """Neither text alone nor images; no retrieval, traces or stored prompts."""
        return Capabilities(
            truncates=self.truncates,
            retrieves=False,
            cancels_by_id=False,
            traces=False,
            ends_items=False,
            resumes_by="conversation_id",
            binary_audio=self.binary_audio,
            images=False,
            text_output=False,
            turn_detection=frozenset({"server_vad"}),
            out_of_band=False,
            prompts=False,
        )

    @property
    def own_settings(self) -> Mapping[str, Any]:
        """The server keeps the conversation, for a connection in place of a lost one."""
        own: dict[str, Any] = {"resumption": {"enabled": True}}
        if self.binary_audio:
            own["audio"] = {way: {"transport": "binary"} for way in ("input", "output")}
        return own

    def url(
        self, model: str, *, call_id: str | None = None, kind: Literal["websocket", "webrtc"]
    ) -> str:
        """The URL at api.x.ai that a session connects to.

        Raises:
            stapes.NotSupportedError: a WebRTC call, or a phone call to join.
        """
        websocket_alone(self, kind, call_id)
        return f"wss://api.x.ai/v1/realtime?model={quote(model, safe='')}"
