"""The token usage of a session's responses."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from typing import Any

from agents import Usage
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

__all__ = ["SessionUsage", "note", "note_transcription", "total_tokens"]


# One for all: it is held for moments, and a session is to cost little memory.
_adding = threading.RLock()


class SessionUsage(Usage):
    """A `Usage` that adds up responses and transcriptions when somebody reads it.

    `requests` counts the responses; transcriptions add to the tokens alone.

    Adding one response takes longer than everything else that Python does at a response's end, and
    most users read the usage at the end of a call, if at all.
    """

    # The fields of `Usage` take more memory than most parts of a session: they are made when
    # somebody reads or sets one.
    __slots__ = ("_noted",)

    def __new__(cls) -> SessionUsage:
        """Makes one with nothing noted; copies are made without `__init__`."""
        usage = super().__new__(cls)
        object.__setattr__(usage, "_noted", None)
        return usage

    def __init__(self) -> None:
        pass

    def __getattribute__(self, name: str) -> Any:
        if not object.__getattribute__(self, "__dict__") or _noted(self):
            _add_up(self)
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        # What was noted came before.
        getattr(self, name, None)
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        # A copy has what was noted so far, and none of what is noted from now on.
        return vars(self)


def _add_up(usage: SessionUsage) -> None:
    """Adds what was noted. Tools read from their own threads: one of them adds.

    Another that reads meanwhile may get the sum from before.
    """
    with _adding:
        if not object.__getattribute__(usage, "__dict__"):
            object.__setattr__(usage, "__dict__", vars(Usage()))
        # Taken out before they are added: adding reads the sum, which leads here again.
        for used, requests in _emptied(_noted(usage)):
            Usage.add(usage, _usage(used, requests))


def _noted(usage: SessionUsage) -> list[tuple[str | None, int]] | None:
    """What has not been added up yet."""
    noted: list[tuple[str | None, int]] | None = object.__getattribute__(usage, "_noted")
    return noted


def _emptied(noted: list[tuple[str | None, int]] | None) -> list[tuple[str | None, int]]:
    if not noted:
        return []
    taken: list[tuple[str | None, int]] = []
    # The session notes more meanwhile: `pop` leaves that where it is.
    with suppress(IndexError):
        while True:
            taken.append(noted.pop(0))
    return taken


def note(usage: Usage, used: str | None) -> None:
    """Counts a response; `used` is the `usage` of its `response.done` event, as JSON text."""
    _note(usage, used, requests=1)


def note_transcription(usage: Usage, used: str) -> None:
    """Counts a transcription of the user's speech; `used` is the `usage` of its event."""
    _note(usage, used, requests=0)


def _note(usage: Usage, used: str | None, requests: int) -> None:
    if not isinstance(usage, SessionUsage):
        usage.add(_usage(used, requests))
    elif (noted := _noted(usage)) is None:
        object.__setattr__(usage, "_noted", [(used, requests)])
    else:
        noted.append((used, requests))


def _number(value: Any) -> int:
    """A count of tokens, which some servers write as text."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else 0
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value) if 0 <= value < 1e18 else 0
    return 0


def _used(counts: Any) -> tuple[int, int]:
    """The tokens that were given, and those that were made, by the `usage` of an event."""
    if not isinstance(counts, dict):
        return 0, 0
    return _number(counts.get("input_tokens")), _number(counts.get("output_tokens"))


def total_tokens(counts: Any) -> int:
    """The tokens of a response, by the `usage` of its `response.done` event."""
    stated = _number(counts.get("total_tokens")) if isinstance(counts, dict) else 0
    return max(stated, sum(_used(counts)))


def _usage(used: str | None, requests: int) -> Usage:
    counts = None if used is None else json.loads(used)
    given, made = _used(counts)
    details = counts.get("input_token_details") if isinstance(counts, dict) else None
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        requests=requests,
        input_tokens=given,
        output_tokens=made,
        total_tokens=given + made,
        input_tokens_details=InputTokensDetails.model_construct(
            cached_tokens=_number(cached), cache_write_tokens=0
        ),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
    )
