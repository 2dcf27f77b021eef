"""Token counts: estimates with the provider's shapes and rates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stapes.devserver.session.items import Item

INPUT_AUDIO_MS = 100
"""Caller's sound of one token; an assistant's token is half of it (provider's documentation)."""
OUTPUT_AUDIO_MS = 50
_CACHED_BLOCK = 64
_CHARACTERS = 4
"""Characters of one text token, on average."""


def text_tokens(text: str) -> int:
    """Estimate the tokens of a text."""
    return -(-len(text) // _CHARACTERS)


def output_tokens(items: Iterable[Item]) -> dict[str, int]:
    """Count the tokens of a response's output."""
    listed = list(items)
    return {
        "text_tokens": sum(text_tokens(item.text.strip()) for item in listed),
        "audio_tokens": sum(item.audio_ms // OUTPUT_AUDIO_MS for item in listed),
    }


def input_tokens(
    instructions: str, tools: Iterable[Mapping[str, Any]], items: Iterable[Item]
) -> dict[str, int]:
    """Count the tokens that a response has read."""
    listed = list(items)
    prompt = text_tokens(instructions) + sum(text_tokens(json.dumps(tool)) for tool in tools)
    audio = 0
    for item in listed:
        each = OUTPUT_AUDIO_MS if item.role == "assistant" else INPUT_AUDIO_MS
        audio += item.audio_ms // each
    words = sum(text_tokens(item.text.strip()) for item in listed)
    return {"text_tokens": prompt + words, "audio_tokens": audio}


def usage(read: Mapping[str, int], cached: int, wrote: Mapping[str, int]) -> dict[str, Any]:
    """Return the `usage` of a response; `cached` tokens of text were read before."""
    total_in, total_out = sum(read.values()), sum(wrote.values())
    cached = min(cached, read["text_tokens"]) // _CACHED_BLOCK * _CACHED_BLOCK
    return {
        "total_tokens": total_in + total_out,
        "input_tokens": total_in,
        "output_tokens": total_out,
        "input_token_details": {
            **read,
            "image_tokens": 0,
            "cached_tokens": cached,
            "cached_tokens_details": {"text_tokens": cached, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": dict(wrote),
    }
