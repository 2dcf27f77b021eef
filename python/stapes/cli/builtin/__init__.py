"""The model that needs nothing: it hears that somebody speaks, and answers in a recorded voice."""

from __future__ import annotations

from stapes.cli.builtin.mind import BuiltinMind
from stapes.cli.builtin.voice import BuiltinVoice, apology

__all__ = ["BuiltinMind", "BuiltinVoice", "apology"]
