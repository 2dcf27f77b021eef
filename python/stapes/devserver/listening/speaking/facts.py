"""What an agent's instructions let it say: its role, and statements of fact."""

from __future__ import annotations

import re

from stapes.devserver.listening.words import stems

_ROLE = re.compile(r"\byou(?:'re| are) ((?:the |an? )?[^.!?\n,;:]+)", re.IGNORECASE)
_ORDERS = re.compile(
    r"^(?:you|your|never|always|do|don't|help|if|when|use|ask|answer|be|keep|speak|call|say|greet|"
    r"offer|hand|transfer|please|only|make|try|let|stay|respond|reply|explain|tell|give|talk)\b",
    re.IGNORECASE,
)
_PORTRAIT = re.compile(
    r"^you (?:are|help|take|control|work|sell|answer|assist|run|look after|serve)\b", re.IGNORECASE
)
_LONGEST = 8
"""Sentences of one answer."""


def role_of(instructions: str) -> str | None:
    """Return who the agent is, as "the front desk of Fennel and Thyme"; None if it is not said."""
    found = _ROLE.search(instructions)
    return found[1].strip() if found else None


def facts_of(instructions: str) -> list[str]:
    """Return the sentences that state something; those that tell the agent what to do are out.

    What they say of the agent it says of itself: "You take orders" becomes "I take orders".
    """
    sentences = (one.strip(" -*#") for one in re.split(r"(?<=[.!?])\s+|\n+", instructions))
    return [
        _of_oneself(one) if _PORTRAIT.match(one) else one
        for one in sentences
        if one and (_PORTRAIT.match(one) or not _ORDERS.match(one))
    ]


def _of_oneself(sentence: str) -> str:
    for pattern, words in ((r"^you are\b", "I am"), (r"^you\b", "I"), (r"\byour\b", "my")):
        sentence = re.sub(pattern, words, sentence, flags=re.IGNORECASE)
    return sentence


def facts_about(question: str, instructions: str, *, at_length: bool) -> list[str]:
    """Return the facts that share words with `question`, in their order.

    `at_length` adds the facts that follow the first of them, as one does who tells a story.
    """
    asked = stems(question)
    facts = facts_of(instructions)
    scores = [len(asked & stems(fact)) for fact in facts]
    best = max(scores, default=0)
    if best == 0:
        return []
    first = scores.index(best)
    if at_length:
        return facts[first : first + _LONGEST]
    return [fact for fact, score in zip(facts, scores, strict=True) if score == best][:2]
