"""What the built-in model says. `scripts/make_builtin_speech.py` speaks what is changed here."""

from __future__ import annotations

from typing import Final

GREETING: Final = (
    "Hello! Your agent is connected, and the sound works. "
    "I am the model that comes with stapes: I hear when you speak, but I understand no words. "
    "Say anything, and interrupt me whenever you like."
)
INSTALL: Final = (
    "I heard you speak, and then you stopped, so it was my turn. "
    "What you said, I could not understand. "
    "For that, install the extra called speech, or set an OpenAI API key."
)
LONG: Final = (
    "Here is a longer answer, so that you can try to interrupt me. "
    "What I say arrives faster than it is played, and waits at your end of the line. "
    "When you begin to speak, all of it that waits is thrown away, "
    "and the conversation remembers only what you have heard. "
    "If you are still listening, nobody has interrupted me."
)
TYPE: Final = (
    "I heard you, but I understood no words. "
    "You can type to me: what the name of a tool is in, I answer by calling that tool."
)
CALLING: Final = "I heard you, and now I will call one of your tools."
CALLED: Final = "Your tool has answered: the page and the log show which one it was."
HANDED_OVER: Final = "You have been handed over to another one of your agents."
APOLOGY: Final = "I am sorry, something has gone wrong on our side. Please try again later."

ANSWERS: Final = (INSTALL, LONG, TYPE)
TEXTS: Final = (GREETING, *ANSWERS, CALLING, CALLED, HANDED_OVER, APOLOGY)
