"""The profile of a provider for each dialect of the development server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes.providers import BETA, XAI, AzureVoiceLive, Local, OpenAI, Qwen

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.devserver.options import DialectName
    from stapes.providers import Provider

_PROFILES: dict[DialectName, Callable[[], Provider]] = {
    "ga": OpenAI,
    "beta": lambda: Local(dialect=BETA, transcription_model="whisper-1"),
    "azure": lambda: AzureVoiceLive(resource="demo", model="gpt-realtime"),
    "qwen": Qwen,
    "xai": XAI,
}


def profile_of(dialect: DialectName) -> Provider:
    """Return the profile of the provider that speaks so; it is called at the server's URL."""
    return _PROFILES[dialect]()
