"""Reading the wire's conversation items: what was said last, and what came before."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_HANDOFF = "transfer_to_"
_BLOCKED = "was blocked"
"""In the message that clients send when an output guardrail has tripped."""
_INSTRUCTED = re.compile(r"your last (answer|response) was blocked", re.IGNORECASE)
"""In the instructions, where the dialect has no messages of clients."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a call returned.

    Attributes:
        handoff: the name of the agent that the call handed over to.
    """

    name: str
    arguments: Mapping[str, Any]
    text: str
    handoff: str | None


@dataclass(slots=True)
class Turn:
    """What a caller said, with the calls that followed."""

    said: str
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Conversation:
    """The end of a conversation.

    Attributes:
        said: what the caller said last; None if nobody has said anything.
        before: the turns before that.
        outputs: what tools returned since anybody spoke.
        answered: whether the agent has had the last word.
        blocked: whether the last message, or the instructions, report an answer that a guardrail
            has stopped.
    """

    said: str | None
    before: tuple[Turn, ...]
    outputs: tuple[Output, ...]
    answered: bool
    blocked: bool

    @classmethod
    def of(cls, items: Sequence[Mapping[str, Any]], instructions: str = "") -> Conversation:
        """Read wire-shaped items, oldest first."""
        turns: list[Turn] = []
        calls: dict[str, tuple[str, Mapping[str, Any]]] = {}
        outputs: list[Output] = []
        answered = blocked = False
        for item in items:
            match item.get("type"):
                case "message" if item.get("role") == "user":
                    text = text_of(item)
                    answered, blocked = False, _BLOCKED in text
                    outputs.clear()
                    if not blocked:
                        turns.append(Turn(text))
                case "message" if item.get("role") == "assistant":
                    answered = True
                    outputs.clear()
                case "function_call":
                    call = (str(item.get("name", "")), _arguments(item.get("arguments")))
                    calls[str(item.get("call_id"))] = call
                    if turns:
                        turns[-1].calls.append(call)
                case "function_call_output":
                    name, arguments = calls.get(str(item.get("call_id")), ("", {}))
                    outputs.append(_output(name, arguments, str(item.get("output", ""))))
        return cls(
            said=turns[-1].said if turns else None,
            before=tuple(turns[:-1]),
            outputs=tuple(outputs),
            answered=answered,
            blocked=(blocked and not answered) or _INSTRUCTED.search(instructions) is not None,
        )


def text_of(item: Mapping[str, Any]) -> str:
    """Return the text and transcripts of a message."""
    content = item.get("content")
    parts = content if isinstance(content, Sequence) and not isinstance(content, str) else ()
    texts = (
        part.get("text") or part.get("transcript") for part in parts if isinstance(part, Mapping)
    )
    return " ".join(text for text in texts if isinstance(text, str)).strip()


def _arguments(text: Any) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return value if isinstance(value, Mapping) else {}


def _output(name: str, arguments: Mapping[str, Any], text: str) -> Output:
    handoff = None
    if name.startswith(_HANDOFF):
        named = _arguments(text).get("assistant")
        handoff = str(named) if named else name.removeprefix(_HANDOFF).replace("_", " ")
    return Output(name, arguments, text, handoff)
