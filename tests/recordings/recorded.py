"""Recordings of others: where they are, whose they are, and what each side said.

STAPES_RECORDINGS names the folder that has them; they are data of others and not part of the
repository.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from stapes.providers import XAI, Azure, AzureVoiceLive, OpenAI, Provider
from tests.providers import accents

FOLDER = os.environ.get("STAPES_RECORDINGS", "")

needs_recordings = pytest.mark.skipif(
    not FOLDER, reason="STAPES_RECORDINGS names no folder with recordings"
)


def steps(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """What was said over the WebSocket, in order: `sent` or `received`, and the event."""
    recording = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [
        (step["direction"], step["data"])
        for step in recording["interactions"]
        if step.get("kind") == "message"
    ]


def received(path: Path) -> list[dict[str, Any]]:
    """What the provider said."""
    return [event for direction, event in steps(path) if direction == "received"]


def recordings() -> list[Path]:
    """The files that have messages of a WebSocket."""
    if not FOLDER:
        return []
    return [path for path in sorted(Path(FOLDER).glob("*/*.yaml")) if received(path)]


def name_of(path: Path) -> str:
    """The id of a recording."""
    return f"{path.parent.name}/{path.stem}"


def provider_of(path: Path) -> Provider:
    """The profile of the provider that was recorded."""
    name = name_of(path)
    if "voice_live" in name:
        return AzureVoiceLive(resource="recorded", model="recorded")
    if "azure" in name:
        return Azure(resource="recorded", deployment="recorded")
    return XAI() if "xai" in name else OpenAI()


def settings_of(provider: Provider) -> frozenset[str]:
    """The settings of a session that the provider knows."""
    match provider:
        case XAI():
            return accents.XAI_KEYS
        case AzureVoiceLive():
            return accents.VOICE_LIVE_KEYS
    return accents.GA_KEYS
