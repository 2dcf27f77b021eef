"""Calls agents' hooks, which upstream's realtime session ignores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes.events import AgentHandoff, AgentToolEnd, AgentToolStart, Error, SessionEvent
from stapes.session.upstream import hook_context

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from stapes.session.session import RealtimeSession

__all__ = ["Hooks"]


class Hooks:
    """Runs each hook beside everything else; one that raises becomes an `error` event."""

    def __init__(self, session: RealtimeSession[Any]) -> None:
        import weakref

        self._session: weakref.ref[RealtimeSession[Any]] = weakref.ref(session)

    def agent_started(self, agent: Any) -> None:
        """The agent begins a response."""
        session = self._session()
        if agent.hooks is not None and session is not None:
            self._run(agent.hooks.on_start(hook_context(session.context), agent), "on_start")

    def agent_ended(self, agent: Any, output: str) -> None:
        """The agent has ended a response."""
        session = self._session()
        if agent.hooks is not None and session is not None:
            self._run(agent.hooks.on_end(hook_context(session.context), agent, output), "on_end")

    def local_event(self, event: SessionEvent) -> None:
        """Something of the session layer's happened."""
        match event:
            case AgentHandoff(context=context, from_agent=source, to_agent=agent) if agent.hooks:
                self._run(agent.hooks.on_handoff(context, agent, source), "on_handoff")
            case AgentToolStart(context=context, agent=agent, tool=tool) if agent.hooks:
                self._run(agent.hooks.on_tool_start(context, agent, tool), "on_tool_start")
            case AgentToolEnd(context=context, agent=agent, tool=tool, result=result) if (
                agent.hooks
            ):
                self._run(agent.hooks.on_tool_end(context, agent, tool, result), "on_tool_end")
            case _:
                pass

    def _run(self, hook: Awaitable[None], name: str) -> None:
        session = self._session()
        if session is not None:
            session._spawn(self._guarded(hook, name), session._history)

    async def _guarded(self, hook: Awaitable[None], name: str) -> None:
        try:
            await hook
        except Exception as error:
            if (session := self._session()) is not None:
                session._local(Error(error, context=f"agent hook {name}"))
