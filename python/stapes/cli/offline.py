"""What answers on this machine where there is no key: the best that is installed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stapes.cli.builtin import BuiltinMind, BuiltinVoice
from stapes.cli.dev_server import ServerSetupError, make_mind, make_voice

if TYPE_CHECKING:
    from stapes.devserver import Mind, Voice

KEY: Final = "OPENAI_API_KEY"
_FIRST_WITHOUT_SPEECH = (3, 14)
"""PocketSphinx has wheels for CPython 3.11 to 3.13."""


@dataclass(frozen=True, slots=True)
class Offline:
    """A model on this machine.

    Attributes:
        name: what it is, in words.
        more: what to do for a better one.
    """

    name: str
    more: str
    mind: Mind
    voice: Voice


def best_offline() -> Offline:
    """Return the best model that this machine has without a key."""
    try:
        # The voice first: a mind that listens has a process, which nobody would end.
        voice = make_voice("natural")
        mind = make_mind("listening")
    except ServerSetupError:
        better = f"set {KEY}"
        if sys.version_info < _FIRST_WITHOUT_SPEECH:
            better += ", or pip install 'stapes[speech]' for one on this machine"
        return Offline(
            "built in: it hears that you speak and answers, but understands no words",
            f"for a model that understands, {better}",
            BuiltinMind(),
            BuiltinVoice(),
        )
    name = "a development server on this machine: it recognises speech and answers by rules"
    return Offline(name, f"for a model that understands, set {KEY}", mind, voice)
