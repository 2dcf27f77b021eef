"""The clients that are measured, each in a module of its own; only one is imported."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benches.load.clients.client import Client

CLIENTS = {
    "null": "null.Null",
    "stapes": "stapes_session.Stapes",
    "stapes-quiet": "stapes_session.StapesQuiet",
    "stapes-mic": "stapes_session.StapesMicrophone",
    "stapes-quiet-mic": "stapes_session.StapesQuietMicrophone",
    "agents-py": "agents_sdk.AgentsSdk",
    "agents-py-stapes": "agents_sdk.AgentsSdkOnStapes",
    "picows": "picows_callbacks.PicowsCallbacks",
    "websockets": "websockets_json.WebsocketsJson",
}


def load_client(name: str) -> type[Client]:
    """Imports what the client of that name stands on."""
    module, class_name = CLIENTS[name].split(".")
    found: type[Client] = getattr(import_module(f"{__name__}.{module}"), class_name)
    return found
