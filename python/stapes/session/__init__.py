"""The session layer: it reads the core's messages and runs users' code."""

from stapes.session.audio_input import AudioStream
from stapes.session.current import current_session
from stapes.session.reconnecting import ReconnectPolicy
from stapes.session.session import RealtimeSession
from stapes.session.statistics import RateLimit, SessionStats
from stapes.session.tool_calls.execution import ToolExecution
from stapes.session.tool_calls.tool_result import BackgroundResult, background_result

__all__ = [
    "AudioStream",
    "BackgroundResult",
    "RateLimit",
    "RealtimeSession",
    "ReconnectPolicy",
    "SessionStats",
    "ToolExecution",
    "background_result",
    "current_session",
]
