"""Changes the agent in charge: on a new connection, by `update_agent`, by a handoff."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stapes.events import AgentHandoff, SessionEvent
from stapes.session.agents.snapshot import AgentSnapshot, prepare_agent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.realtime import RealtimeAgent

    from stapes.session.agents.mcp_tools import HostedMcpTools
    from stapes.session.agents.roster import Roster
    from stapes.session.configuration import Configuration
    from stapes.session.dispatch.interest import Interest
    from stapes.session.scope import Scope

__all__ = ["AgentSwitching"]


class AgentSwitching:
    """The changes of agent of one session.

    Args:
        scope: the session's.
        roster: its agents.
        mcp_tools: the hosted MCP tools, of which each agent has others.
        configuration: makes the `session.update` of the new agent.
        interest: depends on the guardrails of the agent in charge.
    """

    __slots__ = ("_configuration", "_connecting", "_interest", "_mcp_tools", "_roster", "_scope")

    def __init__(
        self,
        scope: Scope,
        roster: Roster,
        mcp_tools: HostedMcpTools,
        configuration: Configuration,
        interest: Interest,
    ) -> None:
        self._scope = scope
        self._roster = roster
        self._mcp_tools = mcp_tools
        self._configuration = configuration
        self._interest = interest
        # Is done when the attempt to connect that is under way has ended.
        self._connecting: asyncio.Future[None] | None = None

    @contextmanager
    def connecting(self) -> Iterator[RealtimeAgent[Any]]:
        """Holds changes of agent back: the connection is being made with the one that it gives."""
        if self._connecting is not None:
            # It will be refused.
            yield self._roster.next
            return
        self._connecting = ended = self._scope.loop.create_future()
        try:
            yield self._roster.next
            # Not where it failed: the next attempt is for the same agent.
            self._roster.chosen = None
        finally:
            self._connecting = None
            ended.set_result(None)

    def begin(self, snapshot: AgentSnapshot) -> int:
        """Puts the first agent in charge of a new connection; returns its agent_version."""
        agent_version = self._roster.add(snapshot)
        self.take_over(agent_version)
        for event in self._mcp_tools.changes(snapshot):
            self._scope.local_events.emit(event)
        return agent_version

    def take_over(self, agent_version: int) -> None:
        """Puts an agent in charge, as its handoff event is dispatched."""
        self._roster.take_over(agent_version)
        self._interest.update()

    async def update(self, agent: RealtimeAgent[Any]) -> RealtimeAgent[Any]:
        """See `RealtimeSession.update_agent`."""
        core, configuration = self._scope.core, self._configuration
        snapshot = await prepare_agent(agent, self._scope.context)
        while True:
            while self._connecting is not None:
                await asyncio.shield(self._connecting)
            connection_id = core.connection_id
            update: str | None = None
            if core.is_standing:
                payload = await configuration.payload(snapshot, switching=True)
                update = configuration.session_update(payload)
            # Users' instructions may have taken long: the update is for one connection.
            is_for_this = connection_id == core.connection_id and self._connecting is None
            if is_for_this and (update is None or core.is_standing):
                break
        source = self._roster.current
        agent_version = self._roster.add(snapshot)

        def switch(tokens: list[int]) -> bool:
            core.switch_agent(connection_id, agent_version, update, tokens, [])
            return True

        self._scope.local_events.transact(
            self._events(source, snapshot), switch, takes_over=agent_version
        )
        # The core has taken it.
        if update is None:
            self._roster.chosen = agent
        self._roster.take_over(agent_version)
        return agent

    async def hand_off(
        self,
        call_id: str,
        connection_id: int,
        source: RealtimeAgent[Any],
        agent: Any,
        output: str,
    ) -> bool | None:
        """Answers a handoff's call with `output`: `agent` is to follow `source`.

        Returns:
            `None` where the call is over, false where its connection was lost: nothing happened.
        """
        core, configuration = self._scope.core, self._configuration
        snapshot = await prepare_agent(agent, self._scope.context)
        payload = await configuration.payload(snapshot, switching=True)
        update = configuration.session_update(payload)
        agent_version = self._roster.add(snapshot)
        sent: list[bool | None] = []

        def act(tokens: list[int]) -> bool:
            sent.append(
                core.hand_off(call_id, connection_id, agent_version, update, tokens, output)
            )
            return sent[0] is True

        self._scope.local_events.transact(
            self._events(source, snapshot), act, takes_over=agent_version
        )
        return sent[0]

    def _events(self, source: RealtimeAgent[Any], snapshot: AgentSnapshot) -> list[SessionEvent]:
        handoff = AgentHandoff(self._scope.context, source, snapshot.agent)
        return [handoff, *self._mcp_tools.changes(snapshot)]
