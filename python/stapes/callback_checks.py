"""Which callbacks are refused where they are given: those that would never run."""

from __future__ import annotations

import inspect
from typing import Any

__all__ = ["check_callback"]


def check_callback(callback: Any) -> None:
    """Refuses what cannot be called, and generators, whose code would not run when they are called.

    Raises:
        TypeError: names what is wrong.
    """
    if not callable(callback):
        raise TypeError(f"callback must be callable, not {type(callback).__name__}")
    if inspect.isasyncgenfunction(callback) or inspect.isgeneratorfunction(callback):
        name = getattr(callback, "__name__", repr(callback))
        raise TypeError(f"callback {name} is a generator, which would never run: it must not yield")
