"""What users' code raises: the model is answered, an `error` event tells of it, nothing hangs."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from agents import (
    AgentHooks,
    GuardrailFunctionOutput,
    OutputGuardrail,
    ToolGuardrailFunctionOutput,
    ToolTimeoutError,
    UserError,
    function_tool,
    tool_input_guardrail,
    tool_output_guardrail,
)
from agents.realtime import realtime_handoff
from calling import KEY, SECONDS, eventually

from stapes import (
    AgentEnd,
    AgentToolEnd,
    Error,
    GuardrailTripped,
    RealtimeAgent,
    RealtimeSession,
    StapesError,
    ToolApprovalRequested,
)
from stapes.devserver import Call, ScriptedMind, Turn

ASK = ScriptedMind(
    [
        Turn(when="ask", call=Call("tool", {})),
        Turn(when="bill", call=Call("transfer_to_billing", {})),
        Turn(say="Well."),
    ]
)
FAILED = "An error occurred while running the tool. Please try again."


class Odd(BaseException):
    """What a native extension raises when it panics."""


class Own(asyncio.CancelledError):
    """What a client library makes of a cancellation."""


RAISED = [asyncio.CancelledError, Own, Odd, LookupError, StopIteration, StopAsyncIteration]


def agent_with(*tools: Any, **fields: Any) -> RealtimeAgent[Any]:
    return RealtimeAgent(name="front", instructions="Help.", tools=list(tools), **fields)


def raising(kind: type[BaseException], *, sync: bool = False, **options: Any) -> Any:
    if sync:

        def tool() -> str:
            """Fail."""
            raise kind("broken")

        return function_tool(tool, **options)

    async def tool() -> str:  # type: ignore[no-redef]
        """Fail."""
        raise kind("broken")

    return function_tool(tool, **options)


async def answer_to(c: Any) -> str:
    async with asyncio.timeout(SECONDS):
        event = await c.call.received.wait_for(
            lambda e: e.get("item", {}).get("type") == "function_call_output"
        )
    return str(event["item"]["output"])


async def update(c: Any, agent: Any) -> BaseException | None:
    """Try to make an agent the successor; return what was raised."""
    try:
        await c.session.update_agent(agent)
    except BaseException as error:
        return error
    return None


async def failure(c: Any, kind: type[BaseException]) -> Error:
    """Wait for the `error` event of what was raised, or that it caused."""

    def fits(event: Error) -> bool:
        found: BaseException | None = event.error
        while found is not None and not isinstance(found, kind):
            found = found.__cause__ or found.__context__
        return found is not None or kind in {StopIteration, StopAsyncIteration}

    return await c.seen.until(Error, fits)


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("own_words", [False, True], ids=["raised", "answered"])
@pytest.mark.parametrize("kind", RAISED)
async def test_a_tool_that_raises_anything_answers_the_model(call, kind, own_words, sync, caplog):
    options: dict[str, Any] = {} if own_words else {"failure_error_function": None}
    c = await call(ASK, agent_with(raising(kind, sync=sync, **options)))
    c.session.send_message("ask")
    assert await answer_to(c) == FAILED
    event = await failure(c, kind)
    assert event.context == "tool tool"
    assert str(event.error)
    assert not isinstance(event.error, asyncio.CancelledError)
    await c.seen.until(AgentEnd, count=2)
    assert len(c.seen.errors) == 1
    (record,) = [r for r in caplog.records if r.name == "stapes" and r.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[2] is not None


async def test_a_tool_that_is_given_up_for_its_time_is_reported(call):
    @function_tool(timeout=0.01)
    async def tool() -> str:
        """Take too long."""
        await asyncio.Event().wait()
        return ""

    c = await call(ASK, agent_with(tool))
    c.session.send_message("ask")
    assert await answer_to(c) == "Tool 'tool' timed out after 0.01 seconds."
    assert isinstance((await c.seen.until(Error)).error, ToolTimeoutError)


async def test_a_tools_error_comes_before_its_end(call):
    c = await call(ASK, agent_with(raising(LookupError)))
    c.session.send_message("ask")
    await c.seen.until(AgentToolEnd)
    types = c.seen.types
    assert types.index("error") < types.index("agent_tool_end")


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("kind", RAISED)
async def test_whatever_decides_about_a_tool_may_raise_anything(call, kind, sync):
    """One call asks all of these: an approval policy, guardrails, whether it is enabled."""

    def fail(*_: Any) -> Any:
        raise kind("broken")

    async def fail_later(*_: Any) -> Any:
        raise kind("broken")

    function = fail if sync else fail_later
    allowed = [True]

    def enabled(*_: Any) -> Any:
        # At the connection it is enabled.
        return True if allowed else function()

    for options in (
        {"needs_approval": function},
        {"tool_input_guardrails": [tool_input_guardrail(function)]},
        {"tool_output_guardrails": [tool_output_guardrail(function)]},
        {"is_enabled": enabled},
    ):
        allowed[:] = [True]

        @function_tool(**options)
        async def tool() -> str:
            """Work."""
            return "fine"

        c = await call(ASK, agent_with(tool))
        allowed.clear()
        c.session.send_message("ask")
        assert await answer_to(c) == FAILED, options
        await failure(c, kind)
        # Its server is not to speak to a session that has gone.
        await c.seen.until(AgentEnd, count=2)
        await c.session.close()


@pytest.mark.parametrize("kind", RAISED)
async def test_a_handoff_that_raises_anything_answers_the_model(call, kind):
    async def fail(_: Any) -> None:
        raise kind("broken")

    billing = RealtimeAgent(name="billing", instructions="Bill.")
    handoff = realtime_handoff(billing, on_handoff=fail, tool_name_override="transfer_to_billing")
    c = await call(ASK, agent_with(handoffs=[handoff]))
    c.session.send_message("bill")
    assert await answer_to(c) == FAILED
    await failure(c, kind)
    assert c.session.current_agent.name == "front"


@pytest.mark.parametrize("kind", RAISED)
async def test_an_agent_whose_instructions_raise_is_no_successor(call, kind):
    async def fail(*_: Any) -> str:
        raise kind("broken")

    billing = RealtimeAgent(name="billing", instructions=fail)
    c = await call(ASK, agent_with(handoffs=[billing]))
    c.session.send_message("bill")
    assert await answer_to(c) == FAILED
    await failure(c, kind)
    async with asyncio.timeout(SECONDS):
        (outcome,) = await asyncio.gather(update(c, billing))
    assert not isinstance(outcome, asyncio.CancelledError)
    assert outcome is not None
    assert c.session.current_agent.name == "front"
    c.session.update_agent(billing)
    await c.seen.until(Error, count=2)


async def test_connecting_is_not_cancelled_by_instructions_that_raise_it(run):
    async def fail(*_: Any) -> str:
        raise asyncio.CancelledError

    session = RealtimeSession(RealtimeAgent(name="front", instructions=fail), api_key=KEY)
    server = await run(ASK)
    with pytest.raises(StapesError, match=r"agent 'front' raised asyncio\.CancelledError"):
        await session.connect(url=server.url)
    assert session.status == "disconnected"


@pytest.mark.parametrize("kind", RAISED)
async def test_a_guardrail_that_raises_does_not_stand_in_the_way_of_another(call, kind):
    async def fail(*_: Any) -> GuardrailFunctionOutput:
        raise kind("broken")

    async def trip(*_: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info={}, tripwire_triggered=True)

    async def nothing(*_: Any) -> Any:
        return None

    guardrails = [OutputGuardrail(one, name=one.__name__) for one in (fail, nothing, trip)]
    c = await call(ASK, agent_with(), output_guardrails=guardrails)
    c.session.send_message("hello")
    await c.seen.until(GuardrailTripped)
    await failure(c, kind)
    await failure(c, AttributeError)


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("kind", RAISED)
async def test_hooks_may_raise_anything(call, kind, sync):
    class Hooks(AgentHooks[Any]):
        if sync:

            def on_start(self, *_: Any) -> Any:  # type: ignore[override]
                raise kind("broken")

            def on_end(self, *_: Any) -> Any:  # type: ignore[override]
                raise kind("broken")
        else:

            async def on_start(self, *_: Any) -> None:
                raise kind("broken")

            async def on_end(self, *_: Any) -> None:
                raise kind("broken")

    checked: list[str] = []

    async def check(_: Any, __: Any, text: str) -> GuardrailFunctionOutput:
        checked.append(text)
        return GuardrailFunctionOutput(output_info={}, tripwire_triggered=False)

    c = await call(ASK, agent_with(hooks=Hooks()), output_guardrails=[OutputGuardrail(check)])
    c.session.send_message("hello")
    await c.seen.until(AgentEnd)
    await c.seen.until(Error, lambda e: e.context == "agent hook on_end")
    await c.seen.until(Error, lambda e: e.context == "agent hook on_start")
    await eventually(lambda: checked == ["Well."])


@pytest.mark.parametrize("kind", RAISED)
async def test_a_formatter_that_raises_leaves_the_default_message(call, kind):
    def fail(_: Any) -> str:
        raise kind("broken")

    @function_tool(needs_approval=True)
    async def tool() -> str:
        """Work."""
        return "fine"

    c = await call(ASK, agent_with(tool), tool_error_formatter=fail)
    c.session.send_message("ask")
    await c.session.reject((await c.seen.until(ToolApprovalRequested)).approval)
    assert await answer_to(c) == "Tool execution was not approved."
    assert (await failure(c, kind)).context == "tool_error_formatter"


@pytest.mark.parametrize("kind", RAISED)
async def test_a_decided_call_may_raise_anything(call, kind):
    c = await call(ASK, agent_with(raising(kind, needs_approval=True)))
    c.session.send_message("ask")
    async with asyncio.timeout(SECONDS):
        await c.session.approve((await c.seen.until(ToolApprovalRequested)).approval)
    assert await answer_to(c) == FAILED
    await failure(c, kind)


@pytest.mark.parametrize("event", ["audio", "agent_end", "history_updated"])
@pytest.mark.parametrize("kind", [*RAISED, GeneratorExit][:-1])
async def test_a_callback_that_raises_anything_leaves_the_others_their_events(call, kind, event):
    c = await call(ASK, agent_with())
    got: list[str] = []

    def fail(_: Any) -> None:
        raise kind("broken")

    c.session.on(event, fail)
    c.session.on(event, lambda e: got.append(e.type))
    c.session.send_message("hello")
    await c.seen.until(AgentEnd)
    found = await c.seen.until(Error)
    assert found.context == f"callback for {event}"
    assert event in got


async def test_a_callback_for_errors_that_fails_is_logged_and_does_not_call_itself(call, caplog):
    c = await call(ASK, agent_with(raising(LookupError)))

    def fail(_: Any) -> None:
        raise asyncio.CancelledError

    c.session.on("error", fail)
    c.session.send_message("ask")
    await c.seen.until(AgentEnd, count=2)
    assert len(c.seen.errors) == 1
    assert [r for r in caplog.records if r.getMessage() == "a callback for error failed"]


async def test_a_tool_that_returns_a_coroutine_is_awaited(call):
    async def later() -> str:
        return "later"

    @function_tool
    def tool() -> Any:
        """Work."""
        return later()

    c = await call(ASK, agent_with(tool))
    c.session.send_message("ask")
    assert await answer_to(c) == "later"
    assert c.seen.errors == []


async def test_a_tool_that_yields_is_reported(call):
    @function_tool
    async def tool() -> Any:
        """Work."""
        yield "one"

    c = await call(ASK, agent_with(tool))
    c.session.send_message("ask")
    assert await answer_to(c) == FAILED
    assert "generator" in str((await c.seen.until(Error)).error)


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        (lambda: 1, "'<lambda>', a function.*function_tool"),
        (7, "is int.*function_tool"),
        (RealtimeAgent(name="other"), "'other'.*RealtimeAgent"),
    ],
)
async def test_what_is_no_tool_is_refused_by_name(run, tool, said):
    server = await run(ASK)
    session = RealtimeSession(agent_with(tool), api_key=KEY)
    with pytest.raises(UserError, match=said):
        await session.connect(url=server.url)


@pytest.mark.parametrize("entry", [lambda: 1, 7, function_tool(lambda: 1, name_override="x")])
async def test_what_is_no_handoff_is_refused_by_name(run, entry):
    server = await run(ASK)
    session = RealtimeSession(agent_with(handoffs=[entry]), api_key=KEY)
    with pytest.raises(UserError, match=r"a handoff of agent 'front' is .*RealtimeAgent"):
        await session.connect(url=server.url)


async def test_a_handoff_that_returns_no_agent_answers_the_model(call):
    handoff = realtime_handoff(
        RealtimeAgent(name="billing"), tool_name_override="transfer_to_billing"
    )

    async def nobody(*_: Any) -> Any:
        return None

    handoff.on_invoke_handoff = nobody
    c = await call(ASK, agent_with(handoffs=[handoff]))
    c.session.send_message("bill")
    assert await answer_to(c) == FAILED
    assert "transfer_to_billing" in str((await c.seen.until(Error)).error)


async def test_a_tool_guardrail_may_say_nothing_useful(call):
    @tool_input_guardrail
    def nothing(_: Any) -> ToolGuardrailFunctionOutput:
        return None  # type: ignore[return-value]

    @function_tool(tool_input_guardrails=[nothing])
    async def tool() -> str:
        """Work."""
        return "fine"

    c = await call(ASK, agent_with(tool))
    c.session.send_message("ask")
    assert await answer_to(c) == FAILED
    await c.seen.until(Error)


INTERRUPTED = """
    import logging
    from agents import function_tool
    from stapes.devserver import *
    logging.disable(logging.CRITICAL)
    @function_tool
    {sync}def tool():
        "Stop."
        raise {kind}
    def stop(event):
        raise {kind}
    async def main():
        agent = RealtimeAgent(name="front", tools=[tool])
        session = RealtimeSession(agent, api_key=key, transport=WebSocketTransport(url=url))
        {on}
        await session.connect()
        session.send_message("ask")
        await asyncio.sleep(10)
    try:
        {run}(main())
    except {kind}:
        print("propagated")
"""


@pytest.mark.parametrize("run_with", ["asyncio.run", "run"])
@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit"])
@pytest.mark.parametrize("where", ["tool", "sync tool", "agent_start", "audio", "async audio"])
def test_what_ends_the_process_goes_on(interpreter, where, kind, run_with):
    from elsewhere import Elsewhere

    on = ""
    if where in {"agent_start", "audio"}:
        on = f"session.on({where!r}, stop)"
    elif where == "async audio":
        on = "session.on('audio', lambda e: asyncio.to_thread(stop, e))"
    mind = ASK if "tool" in where else ScriptedMind(otherwise="Hello.")
    sync = "async " if where == "tool" else ""
    script = INTERRUPTED.format(kind=kind, sync=sync, on=on, run=run_with)
    with Elsewhere(mind) as there:
        done = interpreter.run(script, there.url)
    assert "propagated" in done.out, done.err


async def test_a_guardrail_that_raises_after_close_is_logged_and_no_event(call, caplog):
    gate = asyncio.Event()

    async def fail(*_: Any) -> GuardrailFunctionOutput:
        await gate.wait()
        raise LookupError("broken")

    c = await call(ASK, agent_with(), output_guardrails=[OutputGuardrail(fail)])
    c.session.send_message("hello")
    await c.seen.until(AgentEnd)
    await c.session.close()
    seen: list[Any] = []
    c.session.on("error", seen.append)
    with caplog.at_level(logging.ERROR, "stapes"):
        gate.set()
        await eventually(lambda: "after its connection" in caplog.text)
    assert not seen
