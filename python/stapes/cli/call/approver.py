"""Who decides on tools that need approval."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from stapes.approvals import ToolApproval


class Approver(Protocol):
    """Decides, as a person would."""

    by: str
    """Who it is, in the words of the display."""

    async def decide(self, wish: ToolApproval) -> bool:
        """Tell whether a call may be made."""
        ...


class Standing:
    """Decides always the same, after a moment.

    Args:
        approve: the decision.
        by: whose it is.
        after_s: how long it takes.
    """

    def __init__(self, *, approve: bool, by: str, after_s: float = 0.0) -> None:
        self.by = by
        self._approve = approve
        self._after_s = after_s

    async def decide(self, wish: ToolApproval) -> bool:
        """Return the decision."""
        del wish
        await asyncio.sleep(self._after_s)
        return self._approve
