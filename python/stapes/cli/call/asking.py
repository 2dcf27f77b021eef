"""Asking the person at the terminal for approval."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from stapes.approvals import ToolApproval


class Pausable(Protocol):
    """A display that can make room for a question."""

    def paused(self) -> AbstractContextManager[None]:
        """Do not draw as long as the context is open."""
        ...


class AskOnTerminal:
    """Asks with `y/n`; where nobody can answer, says no.

    Args:
        display: what is paused meanwhile.
        ask: asks and returns a line; `input` by default.
    """

    by = "you"

    def __init__(self, display: Pausable, ask: Callable[[str], str] | None = None) -> None:
        self._display = display
        self._ask = ask
        self._one_at_a_time = asyncio.Lock()

    async def decide(self, wish: ToolApproval) -> bool:
        """Ask until there is an answer."""
        if self._ask is None and not sys.stdin.isatty():
            self.by = "nobody: there is no terminal to ask on (--approve all or none decides)"
            return False
        question = f"approve {wish.tool_name}({wish.arguments})? [y/n] "
        async with self._one_at_a_time:
            with self._display.paused():
                while True:
                    try:
                        reply = await asyncio.to_thread(self._ask or input, question)
                    except EOFError:
                        return False
                    match reply.strip().casefold():
                        case "y" | "yes":
                            return True
                        case "n" | "no":
                            return False
                        case _:
                            pass
