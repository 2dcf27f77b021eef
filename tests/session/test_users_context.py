"""`current_session()` and the history in users' code, whoever has set that code to work."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest
from agents import (
    ToolGuardrailFunctionOutput,
    function_tool,
    tool_input_guardrail,
    tool_output_guardrail,
)
from calling import KEY, SECONDS

from stapes import (
    AgentEnd,
    AgentHandoff,
    AgentToolEnd,
    AgentToolStart,
    Error,
    RealtimeAgent,
    RealtimeSession,
    ToolApprovalRequested,
    current_session,
)
from stapes.devserver import Call, ScriptedMind, Turn
from stapes.testing import place_of_cause

ASK = ScriptedMind([Turn(when="ask", call=Call("tool", {})), Turn(say="Well.")])
LET = ToolGuardrailFunctionOutput.allow()


class Places:
    """What users' code found where it ran."""

    def __init__(self) -> None:
        self.sessions: dict[str, Any] = {}
        self.histories: dict[str, int] = {}
        self.causes: dict[str, int] = {}

    def note(self, where: str) -> None:
        try:
            self.sessions[where] = current_session()
        except LookupError:
            self.sessions[where] = None
        else:
            self.histories[where] = len(current_session().history)
        self.causes[where] = place_of_cause()

    def guarded_tool(self, *, sync: bool) -> Any:
        @tool_input_guardrail
        async def before(_: Any) -> ToolGuardrailFunctionOutput:
            self.note("input guardrail")
            return LET

        @tool_output_guardrail
        def after(_: Any) -> ToolGuardrailFunctionOutput:
            self.note("output guardrail")
            return LET

        options: dict[str, Any] = {
            "needs_approval": True,
            "tool_input_guardrails": [before],
            "tool_output_guardrails": [after],
        }
        if sync:

            def tool() -> str:
                """Work."""
                self.note("tool")
                return "fine"

            return function_tool(tool, **options)

        async def tool() -> str:  # type: ignore[no-redef]
            """Work."""
            self.note("tool")
            return "fine"

        return function_tool(tool, **options)

    def formatter(self, _: Any) -> str:
        self.note("formatter")
        return "no"


async def waiting_call(call: Any, places: Places, *, sync: bool = False) -> tuple[Any, Any, int]:
    """Make a session whose tool waits for approval; then let its history grow."""
    agent = RealtimeAgent(name="front", tools=[places.guarded_tool(sync=sync)])
    c = await call(ASK, agent, tool_error_formatter=places.formatter)
    c.session.send_message("ask")
    approval = (await c.seen.until(ToolApprovalRequested)).approval
    await c.seen.until(AgentEnd)
    size = len(c.session.history)
    c.session.send_message("hello")
    await c.seen.until(AgentEnd, count=2)
    assert len(c.session.history) > size
    return c, approval, size


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
async def test_a_tool_approved_from_outside_runs_in_its_calls_own_context(call, sync):
    places = Places()
    c, approval, size = await waiting_call(call, places, sync=sync)
    async with asyncio.timeout(SECONDS):
        await c.session.approve(approval)
    assert places.sessions == dict.fromkeys(
        ("input guardrail", "tool", "output guardrail"), c.session
    )
    assert set(places.histories.values()) == {size}
    assert places.causes["tool"] > 0
    await c.seen.until(AgentToolStart)


async def test_a_formatter_of_a_call_rejected_from_outside_has_its_session(call):
    places = Places()
    c, approval, size = await waiting_call(call, places)
    async with asyncio.timeout(SECONDS):
        await c.session.reject(approval)
    assert (places.sessions["formatter"], places.histories["formatter"]) == (c.session, size)


async def test_a_tool_of_one_session_that_approves_for_another_leaves_each_its_own(call):
    places = Places()
    other, approval, size = await waiting_call(call, places)
    found: list[Any] = []

    @function_tool
    async def tool() -> str:
        """Approve."""
        await other.session.approve(approval)
        found.append(current_session())
        return "approved"

    c = await call(ASK, RealtimeAgent(name="desk", tools=[tool]))
    c.session.send_message("ask")
    await c.seen.until(AgentToolEnd)
    assert found == [c.session]
    assert places.sessions["tool"] is other.session
    assert places.histories["tool"] == size


async def test_a_synchronous_tool_may_decide(call):
    places = Places()
    other, approval, _ = await waiting_call(call, places)
    go = threading.Event()

    @function_tool
    def tool() -> str:
        """Approve, and go on working until that call is answered."""
        other.session.approve(approval)
        return str(go.wait(SECONDS))

    c = await call(ASK, RealtimeAgent(name="desk", tools=[tool]))
    c.session.send_message("ask")
    await other.seen.until(AgentToolEnd)
    go.set()
    assert (await c.seen.until(AgentToolEnd)).result == "True"


@pytest.mark.parametrize("debug", [False, True])
async def test_update_agent_in_a_synchronous_tool_is_sent_while_the_tool_works(call, debug):
    asyncio.get_running_loop().set_debug(debug)
    go = threading.Event()
    billing = RealtimeAgent(name="billing", instructions="Bill.")

    @function_tool
    def tool() -> str:
        """Update, and go on working until that is done."""
        current_session().update_agent(billing)
        return str(go.wait(SECONDS))

    c = await call(ASK, RealtimeAgent(name="front", tools=[tool]))
    c.session.send_message("ask")
    await c.call.received.wait_for(lambda e: e.get("session", {}).get("instructions") == "Bill.")
    await c.seen.until(AgentHandoff)
    go.set()
    assert (await c.seen.until(AgentToolEnd)).result == "True"
    assert c.seen.errors == []


async def test_commands_of_another_thread_can_be_awaited_in_its_own_loop(call):
    c = await call(ASK, RealtimeAgent(name="front"))
    billing = RealtimeAgent(name="billing")

    async def elsewhere() -> list[Any]:
        made = await c.session.update_agent(billing)
        await c.session.send_message("hello")
        await c.session.mute()
        await c.session.close()
        return [made, c.session.status]

    made, status = await asyncio.to_thread(asyncio.run, elsewhere())
    assert made is billing
    assert status == "disconnected"


async def test_a_failure_in_another_thread_reaches_who_awaits_it_there(call):
    async def fail(*_: Any) -> str:
        raise LookupError("no words")

    c = await call(ASK, RealtimeAgent(name="front"))
    billing = RealtimeAgent(name="billing", instructions=fail)

    async def elsewhere() -> None:
        await c.session.update_agent(billing)

    with pytest.raises(LookupError):
        await asyncio.to_thread(asyncio.run, elsewhere())

    def unawaited() -> None:
        c.session.update_agent(billing)

    assert c.seen.errors == []
    await asyncio.to_thread(unawaited)
    assert isinstance((await c.seen.until(Error)).error, LookupError)


async def test_instructions_have_their_session(call):
    places = Places()

    async def front(*_: Any) -> str:
        places.note("connect")
        return "Front."

    async def next_one(*_: Any) -> str:
        places.note("update")
        return "Next."

    c = await call(ASK, RealtimeAgent(name="front", instructions=front))
    assert places.sessions["connect"] is c.session
    await c.session.update_agent(RealtimeAgent(name="next", instructions=next_one))
    assert places.sessions["update"] is c.session
    with pytest.raises(LookupError):
        current_session()


async def test_update_agent_for_another_session_has_that_one(call):
    places = Places()
    other = await call(ASK, RealtimeAgent(name="other"))

    async def words(*_: Any) -> str:
        places.note("update")
        return "Next."

    @function_tool
    async def tool() -> str:
        """Update the other's agent."""
        await other.session.update_agent(RealtimeAgent(name="next", instructions=words))
        places.note("tool")
        return "fine"

    c = await call(ASK, RealtimeAgent(name="front", tools=[tool]))
    c.session.send_message("ask")
    await c.seen.until(AgentToolEnd)
    assert places.sessions == {"update": other.session, "tool": c.session}


async def test_callbacks_of_a_session_that_a_tool_made_are_none_of_its_makers(call, run):
    server = await run(ScriptedMind(otherwise="Hello."))
    found: list[Any] = []

    def note(_: Any) -> None:
        try:
            found.append(current_session())
        except LookupError:
            found.append(None)

    async def note_later(event: Any) -> None:
        note(event)

    @function_tool
    async def tool() -> str:
        """Hold another conversation."""
        inner = RealtimeSession(RealtimeAgent(name="inner"), api_key=KEY)
        inner.on("agent_end", note)
        inner.on("agent_end", note_later)
        await inner.connect(url=server.url)
        async with inner:
            inner.send_message("hi")
            async for _ in inner.events(AgentEnd):
                return "talked"
        return ""

    c = await call(ASK, RealtimeAgent(name="front", tools=[tool]))
    c.session.send_message("ask")
    assert (await c.seen.until(AgentToolEnd)).result == "talked"
    assert found == [None, None]


async def test_context_variables_of_the_user_are_those_of_the_maker_of_the_session(call):
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="none")
    found: list[str] = []

    @function_tool(needs_approval=True)
    async def tool() -> str:
        """Work."""
        found.append(tenant.get())
        return "fine"

    tenant.set("maker")
    c = await call(ASK, RealtimeAgent(name="front", tools=[tool]))
    tenant.set("other")
    c.session.send_message("ask")
    approval = (await c.seen.until(ToolApprovalRequested)).approval
    await c.session.approve(approval)
    assert found == ["maker"]
