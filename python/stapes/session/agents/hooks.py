"""Calls agents' hooks, which upstream's realtime session ignores.

Each runs as a task of its own; one that raises becomes an `error` event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes.events import AgentHandoff, AgentToolEnd, AgentToolStart, Error, SessionEvent
from stapes.session.upstream import hook_context

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from stapes.session.scope import Scope

__all__ = ["agent_ended", "agent_started", "local_event"]


def agent_started(scope: Scope, agent: Any) -> None:
    """Calls `on_start`, because the agent begins a response."""
    if agent.hooks is not None:
        _run(scope, agent.hooks.on_start(hook_context(scope.context), agent), "on_start")


def agent_ended(scope: Scope, agent: Any, output: str) -> None:
    """Calls `on_end`, because the agent has ended a response."""
    if agent.hooks is not None:
        _run(scope, agent.hooks.on_end(hook_context(scope.context), agent, output), "on_end")


def local_event(scope: Scope, event: SessionEvent) -> None:
    """Calls the hook for an event of the session layer's own, if there is one."""
    match event:
        case AgentHandoff(context=context, from_agent=source, to_agent=agent) if agent.hooks:
            _run(scope, agent.hooks.on_handoff(context, agent, source), "on_handoff")
        case AgentToolStart(context=context, agent=agent, tool=tool) if agent.hooks:
            _run(scope, agent.hooks.on_tool_start(context, agent, tool), "on_tool_start")
        case AgentToolEnd(context=context, agent=agent, tool=tool, result=result) if agent.hooks:
            _run(scope, agent.hooks.on_tool_end(context, agent, tool, result), "on_tool_end")
        case _:
            pass


def _run(scope: Scope, hook: Awaitable[None], name: str) -> None:
    scope.tasks.invoke(_guarded(scope, hook, name))


async def _guarded(scope: Scope, hook: Awaitable[None], name: str) -> None:
    try:
        await hook
    except Exception as error:
        scope.local_events.emit(Error(error, context=f"agent hook {name}"))
