"""Calls agents' hooks, which upstream's realtime session ignores.

Each runs as a task of its own; one that raises becomes an `error` event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes.events import AgentHandoff, AgentToolEnd, AgentToolStart, SessionEvent
from stapes.session.failures import ends_more, report_failure
from stapes.session.upstream import hook_context

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stapes.session.scope import Scope

__all__ = ["agent_ended", "agent_started", "local_event"]


def agent_started(scope: Scope, agent: Any) -> None:
    """Calls `on_start`, because the agent begins a response."""
    if agent.hooks is not None:
        _run(scope, "on_start", agent.hooks.on_start, hook_context(scope.context), agent)


def agent_ended(scope: Scope, agent: Any, output: str) -> None:
    """Calls `on_end`, because the agent has ended a response."""
    if agent.hooks is not None:
        _run(scope, "on_end", agent.hooks.on_end, hook_context(scope.context), agent, output)


def local_event(scope: Scope, event: SessionEvent) -> None:
    """Calls the hook for an event of the session layer's own, if there is one."""
    match event:
        case AgentHandoff(context=context, from_agent=source, to_agent=agent) if agent.hooks:
            _run(scope, "on_handoff", agent.hooks.on_handoff, context, agent, source)
        case AgentToolStart(context=context, agent=agent, tool=tool) if agent.hooks:
            _run(scope, "on_tool_start", agent.hooks.on_tool_start, context, agent, tool)
        case AgentToolEnd(context=context, agent=agent, tool=tool, result=result) if agent.hooks:
            _run(scope, "on_tool_end", agent.hooks.on_tool_end, context, agent, tool, result)
        case _:
            pass


def _run(scope: Scope, name: str, hook: Callable[..., Awaitable[None]], *args: Any) -> None:
    scope.tasks.invoke(_guarded(scope, name, hook, args))


async def _guarded(
    scope: Scope, name: str, hook: Callable[..., Awaitable[None]], args: tuple[Any, ...]
) -> None:
    try:
        await hook(*args)
    except BaseException as error:
        if ends_more(error):
            raise
        report_failure(scope.local_events, error, f"agent hook {name}")
