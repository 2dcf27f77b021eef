"""Providers by their names, with what the environment says of them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from agents import UserError

from stapes.providers.azure import Azure, AzureVoiceLive
from stapes.providers.elevenlabs import ElevenLabs
from stapes.providers.inworld import Inworld
from stapes.providers.local import Local
from stapes.providers.openai import OPENAI
from stapes.providers.qwen import Qwen
from stapes.providers.xai import XAI

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.providers.base import Provider

__all__ = ["NAMES", "chosen", "named"]


def _variable(name: str, example: str) -> str:
    """What a variable of the environment says.

    Raises:
        agents.UserError: it is not set.
    """
    if value := os.environ.get(name, "").strip():
        return value
    raise UserError(f"{name} is not set: give it, such as {example}, or make the provider yourself")


def _resource(variable: str, example: str) -> str:
    """The resource that a variable with its endpoint names.

    Raises:
        agents.UserError: it names none.
    """
    endpoint = _variable(variable, example)
    found = re.fullmatch(r"(?:\w+://)?([\w-]+)(?:\.[\w.-]+)?(?::\d+)?(?:/.*)?", endpoint)
    if found is None:
        raise UserError(f"{variable} names no resource: give it such as {example}")
    return found[1]


def _azure() -> Provider:
    return Azure(
        resource=_resource("AZURE_OPENAI_ENDPOINT", "https://NAME.openai.azure.com"),
        deployment=_variable("AZURE_OPENAI_DEPLOYMENT", "the name of the deployment"),
    )


def _azure_voice_live() -> Provider:
    return AzureVoiceLive(
        resource=_resource("AZURE_VOICELIVE_ENDPOINT", "https://NAME.services.ai.azure.com"),
        model=_variable("AZURE_VOICELIVE_MODEL", "gpt-realtime"),
    )


_MAKERS: dict[str, Callable[[], Provider]] = {
    "azure": _azure,
    "azure-voice-live": _azure_voice_live,
    "elevenlabs": ElevenLabs,
    "inworld": Inworld,
    "local": Local,
    "openai": lambda: OPENAI,
    "qwen": Qwen,
    "xai": XAI,
}
NAMES = tuple(_MAKERS)
"""The names that `RealtimeSession(provider=...)` takes."""


def named(name: str) -> Provider:
    """The provider of that name, as the environment describes it.

    Keys are read when a session connects; of Azure the environment also has the endpoint and the
    deployment (`AZURE_OPENAI_ENDPOINT`, `AZURE_OPENAI_DEPLOYMENT`), or the model
    (`AZURE_VOICELIVE_ENDPOINT`, `AZURE_VOICELIVE_MODEL`).

    Raises:
        ValueError: there is none of that name.
        agents.UserError: a variable of the environment is missing.
    """
    if name not in _MAKERS:
        raise ValueError(f"provider is {name!r}: use one of {', '.join(NAMES)}, or a Provider")
    return _MAKERS[name]()


def chosen(provider: Provider | str) -> Provider:
    """The provider that the user asks for, by its name or as it is.

    Raises:
        ValueError: there is none of that name.
        agents.UserError: a variable of the environment is missing.
    """
    return named(provider) if isinstance(provider, str) else provider
