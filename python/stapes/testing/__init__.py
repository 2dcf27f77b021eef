"""Tools to test voice agents: no key, no network, no sleeps.

* `AgentCall` calls an agent, says something, and knows what came of it; with pytest, the fixture
  `caller` of `stapes.testing.pytest_plugin` makes such calls.
* `DevServer` with a `ScriptedMind` holds whole conversations (`stapes.devserver`).
* `ScriptedServer` says exactly what a test tells it to, over a real WebSocket.
* `VirtualClock` is the time that a conversation sees; sockets keep the real one.
* `held_reader` keeps frames on the wire, unread, while the test does something else.
* `settle` waits until everything sent has been read and everything read has been dispatched.

Names that need a web server or `openai-agents` are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from stapes.testing.clock import VirtualClock
from stapes.testing.gate import held_reader
from stapes.testing.order import ClientMessages, place_of_cause
from stapes.testing.settling import NotSettledError, settle

if TYPE_CHECKING:
    from stapes.devserver import (
        Call,
        DevServer,
        Drop,
        Options,
        Rudeness,
        Say,
        ScriptedMind,
        ToneVoice,
        Turn,
    )
    from stapes.testing.agent_call import AgentCall, CallFailedError
    from stapes.testing.agent_turn import AgentTurn, ToolUse
    from stapes.testing.caller import Caller
    from stapes.testing.scripted_server import Handshake, ScriptedServer

__all__ = [
    "AgentCall",
    "AgentTurn",
    "Call",
    "CallFailedError",
    "Caller",
    "ClientMessages",
    "DevServer",
    "Drop",
    "Handshake",
    "NotSettledError",
    "Options",
    "Rudeness",
    "Say",
    "ScriptedMind",
    "ScriptedServer",
    "ToneVoice",
    "ToolUse",
    "Turn",
    "VirtualClock",
    "held_reader",
    "place_of_cause",
    "settle",
]

_LATER = {
    **dict.fromkeys(
        (
            "Call",
            "DevServer",
            "Drop",
            "Options",
            "Rudeness",
            "Say",
            "ScriptedMind",
            "ToneVoice",
            "Turn",
        ),
        "stapes.devserver",
    ),
    **dict.fromkeys(("AgentCall", "CallFailedError"), "stapes.testing.agent_call"),
    **dict.fromkeys(("AgentTurn", "ToolUse"), "stapes.testing.agent_turn"),
    "Caller": "stapes.testing.caller",
    **dict.fromkeys(("Handshake", "ScriptedServer"), "stapes.testing.scripted_server"),
}


def __getattr__(name: str) -> Any:
    if (module := _LATER.get(name)) is not None:
        return getattr(import_module(module), name)
    raise AttributeError(f"module 'stapes.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
