"""Answers that fail because the caller has gone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stapes.errors import NotConnectedError

if TYPE_CHECKING:
    from stapes.calls.call import Call

__all__ = ["caller_has_left"]

logger = logging.getLogger("stapes.calls")


def caller_has_left(call: Call, error: BaseException | None) -> bool:
    """Whether an answer failed because its call is over, and with the call its session.

    A caller may hang up at any moment, while the session connects for instance: no failure of the
    application's.
    """
    if not (isinstance(error, NotConnectedError) and call.is_over):
        return False
    logger.info("call %s ended before its answer did: %s", call.id, error)
    return True
