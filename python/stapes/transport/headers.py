"""The headers of a connection: those of the provider, the transport and the call together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["merged_headers"]


def merged_headers(*given: Mapping[str, str | None]) -> dict[str, str]:
    """The headers of all; of those with the same name, in any case, the last.

    `None` leaves a header out.

    Raises:
        TypeError: a name or a value is no text; it names the header.
    """
    merged: dict[str, tuple[str, str]] = {}
    for headers in given:
        for name, value in headers.items():
            if not isinstance(name, str) or not isinstance(value, str | None):
                raise TypeError(
                    f"headers: the value of {name!r} is of type {type(value).__name__}: give names "
                    "and values as str, or None as a value to leave the header out"
                )
            merged.pop(name.lower(), None)
            if value is not None:
                merged[name.lower()] = (name, value)
    return dict(merged.values())
