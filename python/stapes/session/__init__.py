"""The session layer: it reads what the core says and runs users' code."""

from stapes.session.session import RealtimeSession, current_session
from stapes.session.streaming import AudioStream
from stapes.session.tools import BackgroundResult, ToolExecution, background_result

__all__ = [
    "AudioStream",
    "BackgroundResult",
    "RealtimeSession",
    "ToolExecution",
    "background_result",
    "current_session",
]
