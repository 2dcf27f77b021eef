"""Lets the core log what Python's `logging` asks for, and nothing else."""

from __future__ import annotations

import functools
import logging

from stapes import _core

__all__ = ["follow_levels"]

_LOGGER = "stapes"

# Silent unless the user sets logging up: without any handler, logging prints warnings itself.
logging.getLogger(_LOGGER).addHandler(logging.NullHandler())


@functools.lru_cache(maxsize=1)
def _names(_count: int) -> tuple[str, ...]:
    """The names of `stapes` and its children, while there are so many: none is ever taken away."""
    known = tuple(logging.root.manager.loggerDict)
    return tuple(name for name in known if name == _LOGGER or name.startswith(f"{_LOGGER}."))


def follow_levels() -> None:
    """Tells the core the least level that the logger `stapes` or a child of it takes now."""
    manager = logging.root.manager
    loggers = (manager.loggerDict[name] for name in _names(len(manager.loggerDict)))
    # What is no logger has only children that are.
    level = min(one.getEffectiveLevel() for one in loggers if isinstance(one, logging.Logger))
    # Zero would mean that nothing is logged; it stands for every level here.
    _core.set_log_level(min(max(level, manager.disable + 1, 1), 255))
