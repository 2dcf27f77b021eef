"""Everyday phrases that need no tool, and what to say when nothing was understood."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes.devserver.listening.speaking.facts import role_of
from stapes.devserver.listening.tools import Tool, topic_of
from stapes.devserver.listening.words import list_of

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_CAUGHT = "I am sorry, I did not catch that. Could you say it again?"
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
_FAREWELLS = {"goodbye", "bye"}
_GREETINGS = {"hello", "hi", "morning", "afternoon", "evening"}
_THANKS = {"thanks", "thank"}


def introduce(instructions: str, name: str | None = None) -> str:
    """Say who is speaking, by the instructions or else by the agent's name."""
    role = role_of(instructions) or (f"the {name.lower()} desk" if name else None)
    return f"Hello, this is {role}." if role else "Hello."


def offer(tools: Sequence[Tool]) -> str:
    """Say what can be asked for."""
    topics = [" ".join(topic_of(tool)) for tool in tools if not tool.handoff]
    agents = [" ".join(tool.words) for tool in tools if tool.handoff]
    offers = ([f"help with {list_of(topics)}"] if topics else []) + (
        [f"connect you to {list_of(agents)}"] if agents else []
    )
    return f"I can {list_of(offers)}." if offers else "How can I help you?"


def does_not_know(tools: Sequence[Tool]) -> str:
    """Say that nothing is known about what was asked, and what is."""
    return f"I am sorry, I do not know about that. {offer(tools)}"


def wants_length(text: str) -> bool:
    """Whether a longer answer is asked for."""
    return any(request in text for request in _LONG_REQUESTS)


def reply(words: Sequence[str], instructions: str, tools: Sequence[Tool]) -> str | None:
    """Answer small talk; None if it is none."""
    said, text = set(words), " ".join(words)
    if said & _FAREWELLS:
        return "Thank you for calling. Goodbye."
    if any(who in text for who in ("who are you", "who am i", "your name", "who is this")):
        return f"{introduce(instructions)} {offer(tools)}"
    if any(what in text for what in ("can you do", "can you help", "i need help", "help me")):
        return offer(tools)
    if "how are you" in text:
        return "I am well, thank you. How can I help you?"
    if any(robot in said for robot in ("robot", "human", "person", "machine")):
        return "I am a small program with rules of thumb, but I am listening. How can I help?"
    if said & _GREETINGS:
        return f"{introduce(instructions)} How can I help you?"
    if said & _THANKS:
        return "You are welcome. Is there anything else?"
    if "no" in said or "all" in said or "nothing" in said:
        return "All right. Thank you for calling."
    if said & {"stop", "wait", "hold"}:
        return "Of course. Take your time."
    if said & {"yes", "yeah", "okay", "sure", "correct", "right"}:
        return "Good. What else can I do for you?"
    return None
