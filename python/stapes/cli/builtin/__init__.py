"""The model that needs nothing: it hears that somebody speaks, and answers in a recorded voice."""

from __future__ import annotations

from stapes.cli.builtin.mind import BuiltinMind
from stapes.cli.builtin.voice import BuiltinVoice, apology
from stapes.cli.builtin.written import WrittenMind

__all__ = ["BuiltinMind", "BuiltinVoice", "WrittenMind", "apology"]
