"""The audio formats that a provider offers, for one direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AudioFormats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormats:
    """Formats of the user's sound, or of the answer's.

    Attributes:
        types: their `type`s on the wire.
        rates: of PCM, in Hz; `None`: any.
        usual_rate: of PCM where the user names no format, in Hz.
    """

    types: frozenset[str] = frozenset({"audio/pcm", "audio/pcmu", "audio/pcma"})
    rates: frozenset[int] | None = None
    usual_rate: int = 24_000

    @property
    def usual(self) -> dict[str, Any]:
        """The format where the user names none."""
        return {"type": "audio/pcm", "rate": self.usual_rate}

    def why_not(self, format_: Mapping[str, Any]) -> str | None:
        """What is to be used in place of that format; `None` where it is offered."""
        if format_["type"] not in self.types:
            return f"use {', '.join(sorted(self.types))}"
        rate = format_.get("rate") or self.usual_rate
        if format_["type"] == "audio/pcm" and self.rates is not None and rate not in self.rates:
            known = ", ".join(map(str, sorted(self.rates)))
            return f"use PCM at {known} Hz"
        return None
