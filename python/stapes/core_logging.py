"""Lets the core log what Python's `logging` asks for, and nothing else."""

from __future__ import annotations

import logging

from stapes import _core

__all__ = ["follow_levels"]

_LOGGER = "stapes"

# Silent unless the user sets logging up: without any handler, logging prints warnings itself.
logging.getLogger(_LOGGER).addHandler(logging.NullHandler())


def follow_levels() -> None:
    """Tells the core the least level that the logger `stapes` or a child of it takes now."""
    manager = logging.root.manager
    level = min(
        logger.getEffectiveLevel()
        for name, logger in manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
        and (name == _LOGGER or name.startswith(f"{_LOGGER}."))
    )
    # Zero would mean that nothing is logged; it stands for every level here.
    _core.set_log_level(min(max(level, manager.disable + 1, 1), 255))
