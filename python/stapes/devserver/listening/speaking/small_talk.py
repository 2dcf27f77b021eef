"""Everyday phrases that need no tool, and what to say when nothing was understood."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes.devserver.listening.speaking.facts import role_of
from stapes.devserver.listening.tools import VERBS, Tool
from stapes.devserver.listening.words import list_of

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_CAUGHT = "I am sorry, I did not catch that. Could you say it again?"
ANYTHING_ELSE = "Is there anything else I can help you with?"
BLOCKED = "I am sorry, I cannot talk about that. Is there something else I can help you with?"
AT_LENGTH = (
    "That is a longer story, so stop me whenever you like. "
    "I am not a large model in a data centre. I am a small program that runs on this machine. "
    "What you say is recognised with the help of a vocabulary made from my instructions and my "
    "tools. The words are compared with the names and the descriptions of those tools, and the "
    "one that fits best is called with the cities, the names and the numbers that I heard. "
    "What the tool returns I put into a sentence, and a synthesiser reads it to you. "
    "You can interrupt me at any time, and I will remember only what you have heard."
)
_LONG_REQUESTS = (
    "tell me about", "tell me a", "tell me more", "tell me everything", "explain", "history",
    "story", "describe", "talk about", "in detail",
)  # fmt: skip
_TELLING = {"the", "a", "an", "when", "how", "where", "what", "whether", "if", "who", "which"}
_MOST_OFFERS, _MOST_WORDS = 5, 12
_SHORT = 7
"""Words of an utterance that is taken for small talk by one of them."""


def introduce(instructions: str, name: str | None = None) -> str:
    """Say who is speaking, by the instructions or else by the agent's name."""
    role = role_of(instructions) or (f"the {name.lower()} desk" if name else None)
    return f"Hello, this is {role}." if role else "Hello."


def offer(tools: Sequence[Tool]) -> str:
    """Say what can be asked for."""
    offers = [_offer_of(tool) for tool in tools]
    return f"I can {list_of(offers[:_MOST_OFFERS])}." if offers else "How can I help you?"


def _offer_of(tool: Tool) -> str:
    if tool.handoff:
        return f"connect you to {' '.join(tool.words)}"
    sentence = tool.description.split(".")[0].strip()
    first = sentence.split(" ")[0].lower()
    if not 0 < len(sentence.split()) <= _MOST_WORDS:
        return f"help with {' '.join(tool.words)}"
    said = sentence[0].lower() + sentence[1:]
    if first in _TELLING:
        return f"tell you {said}"
    return said if first in VERBS else f"help with {' '.join(tool.words)}"


def does_not_know(tools: Sequence[Tool]) -> str:
    """Say that nothing is known about what was asked, and what is."""
    return f"I am sorry, I do not know about that. {offer(tools)}"


def wants_length(text: str) -> bool:
    """Whether a longer answer is asked for."""
    return any(request in text for request in _LONG_REQUESTS)


def reply(words: Sequence[str], instructions: str, tools: Sequence[Tool]) -> str | None:
    """Answer small talk; None if it is none."""
    said, text = set(words), " ".join(words)
    if any(who in text for who in ("who are you", "who am i", "your name", "who is this")):
        return f"{introduce(instructions)} {offer(tools)}"
    if any(what in text for what in ("can you do", "can you help", "i need help", "help me")):
        return offer(tools)
    if "how are you" in text:
        return "I am well, thank you. How can I help you?"
    if said & {"robot", "human", "machine"}:
        return "I am a small program with rules of thumb, but I am listening. How can I help?"
    return _short_reply(said, instructions) if len(words) <= _SHORT else None


def _short_reply(said: set[str], instructions: str) -> str | None:
    if said & {"goodbye", "bye"}:
        return "Thank you for calling. Goodbye."
    if said & {"hello", "hi", "morning", "afternoon", "evening"}:
        return f"{introduce(instructions)} How can I help you?"
    if said & {"thanks", "thank"}:
        return "You are welcome. Is there anything else?"
    if said & {"no", "nothing", "all"}:
        return "All right. Thank you for calling."
    if said & {"stop", "wait", "hold", "moment"}:
        return "Of course. Take your time."
    if said & {"yes", "yeah", "okay", "sure", "correct", "right"}:
        return "Good. What else can I do for you?"
    return None
