"""A session as `stapes.testing` sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes import _core

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.hub import LoopHub
    from stapes.session.attempts import ConnectionAttempts
    from stapes.session.dispatch.interest import ListenerInterest
    from stapes.session.scope import Scope
    from stapes.session.tool_calls.approvals import Approvals

__all__ = ["SessionProbe"]


class SessionProbe:
    """`session.probe`, for `stapes.testing`. It is no part of the public interface."""

    __slots__ = ("_approvals", "_connector", "_core", "_hub", "_interest", "_tasks")

    def __init__(
        self,
        scope: Scope,
        hub: LoopHub,
        connector: ConnectionAttempts,
        interest: ListenerInterest,
        approvals: Approvals | None = None,
    ) -> None:
        self._core = _core.Probe(scope.core)
        self._tasks = scope.tasks
        self._hub = hub
        self._connector = connector
        self._interest = interest
        self._approvals = approvals

    @property
    def is_idle(self) -> bool:
        """Whether no message of any session on this loop waits to be dispatched."""
        return self._hub.is_idle

    @property
    def is_connecting(self) -> bool:
        """Whether `connect` is under way."""
        return self._connector.is_busy

    @property
    def waits_to_reconnect(self) -> bool:
        """Whether the next attempt to connect again waits for its time."""
        return self._core.waits_to_reconnect()

    @property
    def sequence(self) -> int:
        """The sequence number of what happened last."""
        return self._core.sequence

    @property
    def task_count(self) -> int:
        """How many tasks the session runs."""
        return len(self._tasks)

    def traffic(self) -> tuple[int, int, int, int]:
        """Frames read; messages queued, flushed and dropped."""
        return self._core.traffic()

    def hold_reader(self, hold: bool) -> None:
        """Lets frames of the server arrive unread, or no longer."""
        self._core.hold_reader(hold)

    def advance_clock(self, seconds: float) -> None:
        """Moves the virtual clock."""
        self._core.advance_clock(seconds)

    def tap_outgoing(self, tap: Callable[[int, str], None]) -> None:
        """Calls `tap` with the sequence number and the text of each message for the server."""
        self._interest.tap_outgoing(tap)

    def tap_decisions(self, tap: Callable[[str, bool], None]) -> None:
        """Calls `tap` with the id of each call that is decided on, and whether it may be made.

        A session without an agent asks for no approvals.
        """
        if self._approvals is not None:
            self._approvals.tap(tap)
