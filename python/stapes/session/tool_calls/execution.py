"""How tools run."""

from __future__ import annotations

from dataclasses import dataclass

from stapes.config import whole_number

__all__ = ["DEFAULT_EXECUTION", "ToolExecution"]


@dataclass(frozen=True, slots=True)
class ToolExecution:
    """How tools run.

    Attributes:
        pre_approval_input_guardrails: run a tool's input guardrails before asking, too.
        sync_workers: threads for synchronous tools, shared by the sessions of an event loop.
        max_concurrency: calls of a session that may be at work at the same time.
    """

    pre_approval_input_guardrails: bool = False
    sync_workers: int = 32
    max_concurrency: int = 64

    def __post_init__(self) -> None:
        """Refuses numbers with which no tool would run.

        Raises:
            ValueError, TypeError: names the option.
        """
        whole_number(self.sync_workers, "sync_workers", at_least=1)
        whole_number(self.max_concurrency, "max_concurrency", at_least=1)


DEFAULT_EXECUTION = ToolExecution()
"""That of the sessions that ask for no other."""
