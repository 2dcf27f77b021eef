"""Alibaba Cloud's Qwen-Omni-Realtime. From documentation, not tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from stapes.providers.audio_formats import AudioFormats
from stapes.providers.base import Provider, SessionDefaults
from stapes.providers.capabilities import Capabilities, Source
from stapes.providers.dialect import Dialect
from stapes.providers.refusing import no_call, no_webrtc

__all__ = ["Qwen"]

_HOSTS = {"intl": "dashscope-intl.aliyuncs.com", "cn": "dashscope.aliyuncs.com"}
_PCM = frozenset({"audio/pcm"})
_INPUT = AudioFormats(types=_PCM, rates=frozenset({16_000}), usual_rate=16_000)
_OUTPUT = AudioFormats(types=_PCM, rates=frozenset({24_000}))
_DEFAULTS = SessionDefaults(
    transcription={"model": "qwen3-asr-flash-realtime"},
    turn_detection={"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 800},
)
_DIALECT = Dialect(
    session="flat", nested_tools=True, beta_parts=True, pcm="pcm", max_tokens="max_tokens"
)
_CAPABILITIES = Capabilities(
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
_UNKNOWN = frozenset(
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
_SOURCE = Source(
    text="alibabacloud.com/help/en/document_detail/2922854 and 2922855 (23 October 2026), and what "
    "other clients report",
    date="2026-11",
    recorded=False,
)


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

    def __post_init__(self) -> None:
        """Refuses a region that is none."""
        if self.region not in _HOSTS:
            raise ValueError(f"region is {self.region!r}: use {' or '.join(map(repr, _HOSTS))}")

    @property
    def default_model(self) -> str:
        """The newest of the fast ones that other clients name."""
        return "qwen3.5-omni-flash-realtime"

    @property
    def key_variable(self) -> str:
        """`DASHSCOPE_API_KEY`."""
        return "DASHSCOPE_API_KEY"

    @property
    def defaults(self) -> SessionDefaults:
        """The reference's."""
        return _DEFAULTS

    @property
    def input_audio(self) -> AudioFormats:
        """PCM at 16 kHz."""
        return _INPUT

    @property
    def output_audio(self) -> AudioFormats:
        """PCM at 24 kHz."""
        return _OUTPUT

    @property
    def dialect(self) -> Dialect:
        """The beta's session, with functions nested."""
        return _DIALECT

    @property
    def capabilities(self) -> Capabilities:
        """Sound in, sound or text out, functions; the rest is not there."""
        return _CAPABILITIES

    @property
    def unknown_settings(self) -> frozenset[str]:
        """What the reference does not have."""
        return _UNKNOWN

    @property
    def max_session_duration(self) -> float:
        """Two hours."""
        return 7200.0

    @property
    def source(self) -> Source:
        """Documentation."""
        return _SOURCE

    def url(
        self, model: str, *, call_id: str | None = None, kind: Literal["websocket", "webrtc"]
    ) -> str:
        """The URL of the region that a session connects to.

        Raises:
            stapes.NotSupportedError: a WebRTC call, or a phone call to join.
        """
        no_webrtc(self, kind)
        no_call(self, call_id)
        host = _HOSTS[self.region]
        return f"wss://{host}/api-ws/v1/realtime?model={quote(model, safe='')}"
