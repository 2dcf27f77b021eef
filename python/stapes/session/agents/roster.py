"""Which agent an agent_version stands for, and which one is in charge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.realtime import RealtimeAgent

    from stapes.session.agents.snapshot import AgentSnapshot

__all__ = ["Roster"]

_REMEMBERED = 256
"""Agents; the oldest is forgotten. A response that is served by its agent does not last so long."""


class Roster:
    """The agents that a session has had, by agent_version."""

    __slots__ = ("_newest", "_snapshots", "agent_version", "chosen", "current", "initial")

    def __init__(self, initial: RealtimeAgent[Any]) -> None:
        self.initial = initial
        self.chosen: RealtimeAgent[Any] | None = None
        """Put in charge while there was no connection, for the next one."""
        self.current = initial
        self.agent_version = 0
        # Of the newest agent_versions, up to `_newest`: most sessions have one.
        self._snapshots: tuple[AgentSnapshot, ...] = ()
        self._newest = 0

    @property
    def next(self) -> RealtimeAgent[Any]:
        """The agent that the next connection begins with."""
        return self.initial if self.chosen is None else self.chosen

    def add(self, snapshot: AgentSnapshot) -> int:
        """Gives an agent its agent_version; `take_over` puts it in charge."""
        self._snapshots = (*self._snapshots, snapshot)[-_REMEMBERED:]
        self._newest += 1
        return self._newest

    def take_over(self, agent_version: int) -> None:
        """Puts the agent of that agent_version in charge."""
        snapshot = self.snapshot(agent_version)
        assert snapshot is not None
        self.agent_version = agent_version
        self.current = snapshot.agent

    def snapshot(self, agent_version: int) -> AgentSnapshot | None:
        """The agent with what it had when it was added; `None` where it is forgotten."""
        at = len(self._snapshots) - 1 - (self._newest - agent_version)
        return self._snapshots[at] if 0 <= at < len(self._snapshots) else None

    def agent(self, agent_version: int) -> RealtimeAgent[Any]:
        """The agent of that agent_version; the one in charge where it is forgotten."""
        snapshot = self.snapshot(agent_version)
        return self.current if snapshot is None else snapshot.agent
