"""A development server that speaks the realtime protocol, without a key and without a network.

It is written apart from the client and shares no code with it, so that one mistake cannot be made
on both sides. `create_app`, `serve` and `DevServer` need a web server and are imported when they
are asked for; minds, voices and options need none.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from stapes.devserver.mind import (
    Call,
    Mind,
    MindOverloadedError,
    MindPerCall,
    Say,
    Speech,
    View,
    Voice,
)
from stapes.devserver.options import Options
from stapes.devserver.scripted import ScriptedMind, ScriptError, Turn
from stapes.devserver.tones import ToneVoice

if TYPE_CHECKING:
    from stapes.devserver.running import DevServer, serve
    from stapes.devserver.web.app import create_app

__all__ = [
    "Call",
    "DevServer",
    "Mind",
    "MindOverloadedError",
    "MindPerCall",
    "Options",
    "Say",
    "ScriptError",
    "ScriptedMind",
    "Speech",
    "ToneVoice",
    "Turn",
    "View",
    "Voice",
    "create_app",
    "serve",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())

_LATER = {
    "DevServer": "stapes.devserver.running",
    "serve": "stapes.devserver.running",
    "create_app": "stapes.devserver.web.app",
}


def __getattr__(name: str) -> Any:
    """Import what needs a web server only when it is asked for (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATER[name]), name)
