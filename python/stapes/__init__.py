"""Realtime voice sessions for Python on a Rust core.

Importing this is quick: what needs `openai-agents` is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from stapes import _core, events, speech_events
from stapes.approvals import ToolApproval
from stapes.config import SessionConfig
from stapes.errors import (
    AuthenticationError,
    CertificateError,
    ConnectError,
    ConnectionLostError,
    ConnectTimeoutError,
    ConsumerTooSlow,
    HandshakeError,
    NotConnectedError,
    NotSupportedError,
    ServerError,
    StapesError,
    ToolOutputNotSent,
)
from stapes.event_loop import EventLoop, run
from stapes.events import *  # noqa: F403
from stapes.items import (
    FunctionCallItem,
    HistoryItem,
    InputAudio,
    InputImage,
    InputText,
    McpApprovalRequestItem,
    McpCallItem,
    MessageItem,
    OtherPart,
    OutputAudio,
    OutputText,
)
from stapes.playback import PlaybackTracker
from stapes.speech_events import *  # noqa: F403
from stapes.transport import (
    IceServer,
    RealtimeTransport,
    SoundStatistics,
    TransportLine,
    TransportRequest,
    WebRTCTransport,
    WebSocketTransport,
)

if TYPE_CHECKING:
    from stapes.agent import RealtimeAgent, RealtimeOutputGuardrail
    from stapes.session import (
        AudioStream,
        BackgroundResult,
        RateLimit,
        RealtimeSession,
        ReconnectPolicy,
        SessionStats,
        ToolExecution,
        background_result,
        current_session,
    )
    from stapes.transcription import RealtimeTranscription, RealtimeTranslation

__version__: str = _core.__version__

# What needs `openai-agents` (seconds, and a hundred megabytes), by the module that has it.
_LAZY = {
    "AudioStream": "stapes.session",
    "BackgroundResult": "stapes.session",
    "RateLimit": "stapes.session",
    "RealtimeAgent": "stapes.agent",
    "RealtimeOutputGuardrail": "stapes.agent",
    "RealtimeSession": "stapes.session",
    "RealtimeTranscription": "stapes.transcription",
    "RealtimeTranslation": "stapes.transcription",
    "ReconnectPolicy": "stapes.session",
    "SessionStats": "stapes.session",
    "ToolExecution": "stapes.session",
    "background_result": "stapes.session",
    "current_session": "stapes.session",
}

# The classes of events are named in one place, theirs.
__all__ = [
    "AudioStream",
    "AuthenticationError",
    "BackgroundResult",
    "CertificateError",
    "ConnectError",
    "ConnectTimeoutError",
    "ConnectionLostError",
    "ConsumerTooSlow",
    "EventLoop",
    "FunctionCallItem",
    "HandshakeError",
    "HistoryItem",
    "IceServer",
    "InputAudio",
    "InputImage",
    "InputText",
    "McpApprovalRequestItem",
    "McpCallItem",
    "MessageItem",
    "NotConnectedError",
    "NotSupportedError",
    "OtherPart",
    "OutputAudio",
    "OutputText",
    "PlaybackTracker",
    "RateLimit",
    "RealtimeAgent",
    "RealtimeOutputGuardrail",
    "RealtimeSession",
    "RealtimeTranscription",
    "RealtimeTranslation",
    "RealtimeTransport",
    "ReconnectPolicy",
    "ServerError",
    "SessionConfig",
    "SessionStats",
    "SoundStatistics",
    "StapesError",
    "ToolApproval",
    "ToolExecution",
    "ToolOutputNotSent",
    "TransportLine",
    "TransportRequest",
    "WebRTCTransport",
    "WebSocketTransport",
    "__version__",
    "background_result",
    "current_session",
    "run",
]
__all__ += events.__all__
__all__ += speech_events.__all__


def __getattr__(name: str) -> Any:
    if (module := _LAZY.get(name)) is not None:
        value = getattr(import_module(module), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'stapes' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
