"""What a session's responses used."""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress
from typing import Any

from agents import Usage
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

__all__ = ["SessionUsage", "note"]


class SessionUsage(Usage):
    """Adds up what was noted when somebody looks at it.

    To add one response's usage takes longer than all else that Python does at a response's end, and
    few look at it, or not before the end of a call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["_noted"] = deque[str | None]()

    def __getattribute__(self, name: str) -> Any:
        noted = object.__getattribute__(self, "__dict__").get("_noted")
        if noted:
            # All at once: to add one looks at the sum.
            for used in _emptied(noted):
                Usage.add(self, _of_a_response(used))
        return super().__getattribute__(name)


def _emptied(noted: deque[str | None]) -> list[str | None]:
    taken: list[str | None] = []
    # Tools look from threads of their own: each is added once, by whoever gets it.
    with suppress(IndexError):
        while True:
            taken.append(noted.popleft())
    return taken


def note(usage: Usage, used: str | None) -> None:
    """Counts a response: `used` is the `usage` of its `response.done`, as JSON."""
    noted = object.__getattribute__(usage, "__dict__").get("_noted")
    if noted is None:
        usage.add(_of_a_response(used))
    else:
        noted.append(used)


def _of_a_response(used: str | None) -> Usage:
    def number(value: Any) -> int:
        return value if isinstance(value, int) else 0

    counts = {} if used is None else json.loads(used) or {}
    given, made = number(counts.get("input_tokens")), number(counts.get("output_tokens"))
    details = counts.get("input_token_details") or {}
    return Usage(
        requests=1,
        input_tokens=given,
        output_tokens=made,
        total_tokens=given + made,
        input_tokens_details=InputTokensDetails.model_construct(
            cached_tokens=number(details.get("cached_tokens")), cache_write_tokens=0
        ),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
    )
