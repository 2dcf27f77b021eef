"""The fields of a form, as frameworks have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

FormParams = Mapping[str, str | Sequence[str]] | Iterable[tuple[str, str]]
"""The decoded fields of a form: a mapping of each name to its value or values, or pairs.

The forms of Starlette, aiohttp, Django, and Flask are mappings like that; all values of a name that
comes more than once are read from them.
"""


@runtime_checkable
class _MultiItems(Protocol):
    """A form of Starlette. Its `items()` has one value for each name."""

    def multi_items(self) -> Iterable[tuple[str, Any]]: ...


@runtime_checkable
class _Lists(Protocol):
    """A form of Django or of Werkzeug. Its `items()` has one value for each name."""

    def lists(self) -> Iterable[tuple[str, list[Any]]]: ...


def form_fields(params: FormParams) -> list[tuple[str, str]]:
    """Give each name with each of its values, in their order.

    Raises:
        TypeError: a name or value is no string.
    """
    pairs: Iterable[tuple[Any, Any]]
    if isinstance(params, _MultiItems):
        pairs = params.multi_items()
    elif isinstance(params, _Lists):
        pairs = params.lists()
    elif isinstance(params, Mapping):
        pairs = params.items()
    else:
        pairs = params
    fields: list[tuple[str, str]] = []
    for name, value in pairs:
        values = value if isinstance(value, (list, tuple)) else (value,)
        for one in values:
            if not isinstance(name, str) or not isinstance(one, str):
                what = type(one if isinstance(name, str) else name).__name__
                raise TypeError(
                    f"params: {name!r} has a {what}; signatures are of the form's decoded strings"
                )
            fields.append((name, one))
    return fields
