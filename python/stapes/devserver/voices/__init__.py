"""Voices that the development server speaks with, offline."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stapes.devserver.mind import Voice


def offline_voice() -> Voice:
    """Return the best voice that is installed: `HibariVoice`, or else `EspeakVoice`.

    Raises:
        VoiceUnavailableError: there is none; says how to get one.
    """
    if find_spec("hibari") is not None:
        from stapes.devserver.voices.hibari import HibariVoice

        return HibariVoice()
    from stapes.devserver.voices.espeak import EspeakVoice

    return EspeakVoice()
