"""The token usage of a session's responses."""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress
from typing import Any

from agents import Usage
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

__all__ = ["SessionUsage", "note"]


class SessionUsage(Usage):
    """A `Usage` that adds up the responses when somebody reads it.

    Adding one response takes longer than everything else that Python does at a response's end, and
    most users read the usage at the end of a call, if at all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["_noted"] = deque[str | None]()

    def __getattribute__(self, name: str) -> Any:
        noted = object.__getattribute__(self, "__dict__").get("_noted")
        if noted:
            # Taken out before they are added: adding reads the sum, which leads here again.
            for used in _emptied(noted):
                Usage.add(self, _of_a_response(used))
        return super().__getattribute__(name)


def _emptied(noted: deque[str | None]) -> list[str | None]:
    taken: list[str | None] = []
    # Tools read from their own threads: `popleft` gives each response to one reader only.
    with suppress(IndexError):
        while True:
            taken.append(noted.popleft())
    return taken


def note(usage: Usage, used: str | None) -> None:
    """Counts a response; `used` is the `usage` of its `response.done` event, as JSON text."""
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
