"""A development server that speaks the realtime protocol, without a key and without a network.

It is written apart from the client and shares no code with it, so that one mistake cannot be made
on both sides. `create_app`, `serve` and `DevServer` need a web server and are imported when they
are asked for, as are voices; minds and options need none.
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
from stapes.devserver.rudeness import POINTS, WAYS, Drop, DropWay, Rudeness
from stapes.devserver.scripted import ScriptedMind, ScriptError, Turn

if TYPE_CHECKING:
    from stapes.devserver.running import DevServer, serve
    from stapes.devserver.tones import ToneVoice
    from stapes.devserver.web.app import create_app
    from stapes.devserver.web.conversation_view import ConversationView, ItemView
    from stapes.devserver.web.record import Record
    from stapes.devserver.web.served import ServedCall
    from stapes.devserver.web.trouble import ArmedDrop

__all__ = [
    "POINTS",
    "WAYS",
    "ArmedDrop",
    "Call",
    "ConversationView",
    "DevServer",
    "Drop",
    "DropWay",
    "ItemView",
    "Mind",
    "MindOverloadedError",
    "MindPerCall",
    "Options",
    "Record",
    "Rudeness",
    "Say",
    "ScriptError",
    "ScriptedMind",
    "ServedCall",
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
    "ToneVoice": "stapes.devserver.tones",
    "create_app": "stapes.devserver.web.app",
    "ArmedDrop": "stapes.devserver.web.trouble",
    "ConversationView": "stapes.devserver.web.conversation_view",
    "Record": "stapes.devserver.web.record",
    "ServedCall": "stapes.devserver.web.served",
    "ItemView": "stapes.devserver.web.conversation_view",
}


def __getattr__(name: str) -> Any:
    """Import what needs a web server only when it is asked for (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATER[name]), name)
