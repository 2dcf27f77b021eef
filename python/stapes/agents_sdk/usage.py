"""The tokens of a response, as the SDK counts them."""

from __future__ import annotations

import json
from typing import Any

from agents import Usage
from agents.realtime.model_events import (
    RealtimeModelCachedTokensDetails,
    RealtimeModelInputTokensDetails,
    RealtimeModelOutputTokensDetails,
    RealtimeModelUsageEvent,
)

__all__ = ["usage_event"]


def usage_event(usage: str | None) -> RealtimeModelUsageEvent | None:
    """The event for the `usage` of a response, which is JSON; `None` where the server gave none."""
    stated = _object(None if usage is None else json.loads(usage))
    if stated is None:
        return None
    read, written = _number(stated, "input_tokens"), _number(stated, "output_tokens")
    total = _number(stated, "total_tokens")
    counted = Usage(
        requests=1,
        input_tokens=read or 0,
        output_tokens=written or 0,
        total_tokens=(read or 0) + (written or 0) if total is None else total,
    )
    inputs = _object(stated.get("input_token_details"))
    if inputs is not None:
        counted.input_tokens_details.cached_tokens = _number(inputs, "cached_tokens") or 0
    return RealtimeModelUsageEvent(
        usage=counted,
        input_tokens_details=None if inputs is None else _input_details(inputs),
        output_tokens_details=_output_details(_object(stated.get("output_token_details"))),
    )


def _input_details(inputs: dict[str, Any]) -> RealtimeModelInputTokensDetails:
    cached = _object(inputs.get("cached_tokens_details"))
    return RealtimeModelInputTokensDetails(
        text_tokens=_number(inputs, "text_tokens"),
        audio_tokens=_number(inputs, "audio_tokens"),
        image_tokens=_number(inputs, "image_tokens"),
        cached_tokens=_number(inputs, "cached_tokens"),
        cached_tokens_details=None
        if cached is None
        else RealtimeModelCachedTokensDetails(
            text_tokens=_number(cached, "text_tokens"),
            audio_tokens=_number(cached, "audio_tokens"),
            image_tokens=_number(cached, "image_tokens"),
        ),
    )


def _output_details(outputs: dict[str, Any] | None) -> RealtimeModelOutputTokensDetails | None:
    if outputs is None:
        return None
    return RealtimeModelOutputTokensDetails(
        text_tokens=_number(outputs, "text_tokens"), audio_tokens=_number(outputs, "audio_tokens")
    )


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _number(counts: dict[str, Any], key: str) -> int | None:
    value = counts.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None
