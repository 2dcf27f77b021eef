"""Makes the parts of a session, and joins them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agents import RunContextWrapper

from stapes.hub import LoopHub
from stapes.playback import PlaybackTracker
from stapes.session.agents.mcp_tools import HostedMcpTools
from stapes.session.agents.roster import Roster
from stapes.session.agents.switching import AgentSwitching
from stapes.session.audio_input import AudioInput
from stapes.session.configuration import Configuration
from stapes.session.connecting import Connector
from stapes.session.coupling import attach_call
from stapes.session.dispatch.dispatcher import Dispatcher, Handlers
from stapes.session.dispatch.interest import Interest
from stapes.session.dispatch.listeners import Listeners
from stapes.session.local_events import LocalEvents
from stapes.session.options import core_session
from stapes.session.scope import Scope
from stapes.session.tasks import Tasks
from stapes.session.tool_calls.approvals import Approvals
from stapes.session.upstream import SessionContext
from stapes.session.usage import SessionUsage
from stapes.virtual_time import has_virtual_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agents.realtime import RealtimeAgent

    from stapes.items import HistoryItem
    from stapes.session.options import SessionOptions

__all__ = ["assemble"]


def assemble(
    session: object,
    agent: RealtimeAgent[Any],
    options: SessionOptions,
    context: Any,
    history: Sequence[HistoryItem | Mapping[str, Any]],
) -> Handlers:
    """The parts of a session on the running loop, held by its handlers, registered with the hub.

    Args:
        session: kept alive while its tasks run, and by nothing else here.
        agent: the initial one.
        options: the session's.
        context: the user's object, or a run context.
        history: what each connection begins with.
    """
    hub, loop = LoopHub.current(), asyncio.get_running_loop()
    core = core_session(options, history, hub.core, virtual_clock=has_virtual_time.get())
    if isinstance(options.playback, PlaybackTracker):
        options.playback.attach(core.playback_reported)
    local_events = LocalEvents(core, loop)
    if not isinstance(context, RunContextWrapper):
        context = SessionContext(context, SessionUsage())
    scope = Scope(core, loop, context, Tasks(session, core, loop, local_events), local_events)
    configuration = Configuration(scope, options)
    listeners = Listeners(options.max_queued_events, options.max_queued_bytes, loop)
    roster = Roster(agent)
    has_guardrails = bool(options.output_guardrails)
    interest = Interest(core, listeners, roster, has_guardrails=has_guardrails)
    mcp_tools = HostedMcpTools()
    switching = AgentSwitching(scope, roster, mcp_tools, configuration, interest)
    approvals = Approvals(scope)
    audio_input = AudioInput(scope)
    connector = Connector(scope, options, hub, configuration, switching, approvals, listeners)
    handlers = Handlers(
        scope,
        options,
        hub,
        listeners=listeners,
        interest=interest,
        roster=roster,
        switching=switching,
        mcp_tools=mcp_tools,
        approvals=approvals,
        audio_input=audio_input,
        connector=connector,
        configuration=configuration,
    )
    listeners.attach(handlers)
    hub.register(core, Dispatcher(handlers), listeners)
    attach_call(options.call, session, listeners)
    interest.update()
    return handlers
