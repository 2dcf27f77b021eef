"""Calls agents' hooks, which upstream's realtime session ignores.

Each runs beside everything else; one that raises becomes an `error` event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes.events import AgentHandoff, AgentToolEnd, AgentToolStart, Error, SessionEvent
from stapes.session.upstream import hook_context

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from stapes.session.session import RealtimeSession

__all__ = ["agent_ended", "agent_started", "local_event"]


def agent_started(session: RealtimeSession[Any], agent: Any) -> None:
    """The agent begins a response."""
    if agent.hooks is not None:
        _run(session, agent.hooks.on_start(hook_context(session.context), agent), "on_start")


def agent_ended(session: RealtimeSession[Any], agent: Any, output: str) -> None:
    """The agent has ended a response."""
    if agent.hooks is not None:
        _run(session, agent.hooks.on_end(hook_context(session.context), agent, output), "on_end")


def local_event(session: RealtimeSession[Any], event: SessionEvent) -> None:
    """Something of the session layer's happened."""
    match event:
        case AgentHandoff(context=context, from_agent=source, to_agent=agent) if agent.hooks:
            _run(session, agent.hooks.on_handoff(context, agent, source), "on_handoff")
        case AgentToolStart(context=context, agent=agent, tool=tool) if agent.hooks:
            _run(session, agent.hooks.on_tool_start(context, agent, tool), "on_tool_start")
        case AgentToolEnd(context=context, agent=agent, tool=tool, result=result) if agent.hooks:
            _run(session, agent.hooks.on_tool_end(context, agent, tool, result), "on_tool_end")
        case _:
            pass


def _run(session: RealtimeSession[Any], hook: Awaitable[None], name: str) -> None:
    session._spawn(_guarded(session, hook, name), session._core.history)


async def _guarded(session: RealtimeSession[Any], hook: Awaitable[None], name: str) -> None:
    try:
        await hook
    except Exception as error:
        session._local(Error(error, context=f"agent hook {name}"))
