"""Alibaba Cloud's Qwen-Omni-Realtime. From documentation, not tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from stapes.providers.audio_formats import AudioFormats
from stapes.providers.base import Provider, SessionDefaults
from stapes.providers.capabilities import Capabilities, Source
from stapes.providers.dialect import Dialect
from stapes.providers.refusing import websocket_alone

__all__ = ["Qwen"]

_HOSTS = {"intl": "dashscope-intl.aliyuncs.com", "cn": "dashscope.aliyuncs.com"}
_PCM = frozenset({"audio/pcm"})


@dataclass(frozen=True, kw_only=True, repr=False)
class Qwen(Provider):
    """Qwen-Omni-Realtime of Alibaba Cloud Model Studio. From documentation, not tried.

    The user's sound is PCM at 16 kHz, the answer's at 24 kHz; `send_audio(sample_rate=...)` and
    calls are resampled. It takes no messages from a client: the user speaks. What a conversation
    begins with stands at the end of the instructions. Its further settings (`enable_search`,
    `smooth_output`, `temperature`) go into `config["provider_data"]`.

    Attributes:
        region: `"intl"` (Singapore) or `"cn"` (Beijing); a key is good in one of them.

    Raises:
        ValueError: there is no such region.
    """

    region: Literal["intl", "cn"] = "intl"

    default_model = "qwen3.5-omni-flash-realtime"
    """The newest of the fast ones that other clients name."""
    key_variable = "DASHSCOPE_API_KEY"
    defaults = SessionDefaults(
        transcription={"model": "qwen3-asr-flash-realtime"},
        turn_detection={"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 800},
    )
    """The reference's."""
    input_audio = AudioFormats(types=_PCM, rates=frozenset({16_000}), usual_rate=16_000)
    """PCM at 16 kHz."""
    output_audio = AudioFormats(types=_PCM, rates=frozenset({24_000}))
    """PCM at 24 kHz."""
    dialect = Dialect(
        session="flat", nested_tools=True, beta_parts=True, pcm="pcm", max_tokens="max_tokens"
    )
    """The beta's session, with functions nested."""
    capabilities = Capabilities(
        truncates=False,
        retrieves=False,
        cancels_by_id=False,
        traces=False,
        messages=False,
        images=False,
        turn_detection=frozenset({"server_vad", "semantic_vad"}),
        out_of_band=False,
        response_settings=False,
        hosted_mcp=False,
        prompts=False,
    )
    """Sound in, sound or text out, functions; the rest is not there."""
    unknown_settings = frozenset(
        {
            "audio.input.noise_reduction",
            "audio.output.speed",
            "tool_choice",
            "parallel_tool_calls",
            "reasoning",
            "truncation",
            "include",
        }
    )
    """What the reference does not have."""
    max_session_duration = 7200.0
    """Two hours."""
    source = Source(
        text="alibabacloud.com/help/en/document_detail/2922854 and 2922855 (23 October 2026), and "
        "what other clients report",
        date="2026-11",
        recorded=False,
    )
    """Documentation."""

    def __post_init__(self) -> None:
        """Refuses a region that is none."""
        if self.region not in _HOSTS:
            raise ValueError(f"region is {self.region!r}: use {' or '.join(map(repr, _HOSTS))}")

    def url(
        self, model: str, *, call_id: str | None = None, kind: Literal["websocket", "webrtc"]
    ) -> str:
        """The URL of the region that a session connects to.

        Raises:
            stapes.NotSupportedError: a WebRTC call, or a phone call to join.
        """
        websocket_alone(self, kind, call_id)
        host = _HOSTS[self.region]
        return f"wss://{host}/api-ws/v1/realtime?model={quote(model, safe='')}"
