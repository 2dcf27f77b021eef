"""Tools, handoffs, approvals, guardrails and hooks of `openai-agents`, run by a session."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from agents import (
    Agent,
    AgentHooks,
    GuardrailFunctionOutput,
    OutputGuardrail,
    RunContextWrapper,
    function_tool,
    tool_output_guardrail,
)
from calling import SECONDS, eventually

from stapes import (
    AgentEnd,
    AgentHandoff,
    AgentToolEnd,
    AgentToolStart,
    Error,
    FunctionCallItem,
    GuardrailTripped,
    HistoryAdded,
    RealtimeAgent,
    ResponseDone,
    ToolApprovalRequested,
    ToolExecution,
    background_result,
    current_session,
)
from stapes.devserver import Call, ScriptedMind, Turn

WEATHER = ScriptedMind(
    [
        Turn(when="weather", call=Call("weather", {"city": "Oslo"})),
        Turn(after="weather", say="It is {output}."),
        Turn(when="both", call=[Call("weather", {"city": "Oslo"}), Call("clock", {})]),
        Turn(after="clock", say="{output} o'clock."),
        Turn(when="bill", call=Call("transfer_to_billing", {})),
        Turn(after="transfer_to_billing", say="Billing here."),
        Turn(say="Well."),
    ]
)


@function_tool
async def weather(city: str) -> str:
    """Say how the weather is."""
    return f"sunny in {city}"


def desk(*tools: Any, **fields: Any) -> RealtimeAgent[Any]:
    return RealtimeAgent(name="front", instructions="Help.", tools=list(tools), **fields)


async def test_a_tool_runs_and_the_model_answers_with_its_output(call):
    c = await call(WEATHER, desk(weather))
    c.session.send_message("weather please")
    start = await c.seen.until(AgentToolStart)
    end = await c.seen.until(AgentToolEnd)
    assert (start.tool.name, start.tool_call.arguments) == ("weather", '{"city": "Oslo"}')
    assert end.result == "sunny in Oslo"
    assert (await c.seen.until(AgentEnd, count=2)).output == "It is sunny in Oslo."
    item = next(item for item in c.session.history if isinstance(item, FunctionCallItem))
    assert (item.status, item.output) == ("completed", "sunny in Oslo")


async def test_a_tool_that_raises_answers_the_model_and_the_session_goes_on(call):
    @function_tool(failure_error_function=None)
    async def weather(city: str) -> str:
        """Say how the weather is."""
        raise LookupError("the station burnt down")

    c = await call(WEATHER, desk(weather))
    c.session.send_message("weather please")
    error = await c.seen.until(Error)
    assert isinstance(error.error, LookupError)
    assert error.context == "tool weather"
    output = await c.call.received.wait_for(
        lambda e: e.get("item", {}).get("type") == "function_call_output"
    )
    assert output["item"]["output"] == (
        "An error occurred while running the tool. Please try again."
    )
    await c.seen.until(AgentEnd, count=2)
    c.session.send_message("hello")
    assert (await c.seen.until(AgentEnd, count=3)).output == "Well."


async def test_the_model_is_told_of_a_failure_in_the_words_of_the_tool(call):
    @function_tool(failure_error_function=lambda _, error: f"Tell them: {error}")
    def weather(city: str) -> str:
        """Say how the weather is."""
        raise LookupError("no such place")

    c = await call(WEATHER, desk(weather))
    c.session.send_message("weather please")
    assert (await c.seen.until(AgentToolEnd)).result == "Tell them: no such place"
    assert [str(error) for error in c.seen.errors] == ["no such place"]


async def test_a_tool_that_takes_too_long_is_given_up(call):
    never = asyncio.Event()

    @function_tool(timeout=0.02)
    async def weather(city: str) -> str:
        """Say how the weather is."""
        await never.wait()
        return "never"

    c = await call(WEATHER, desk(weather))
    c.session.send_message("weather please")
    assert "timed out" in (await c.seen.until(AgentToolEnd)).result
    await c.seen.until(AgentEnd, count=2)


async def test_commands_work_inside_tools(call):
    @function_tool
    async def weather(city: str) -> str:
        """Say how the weather is."""
        await current_session().transport.send_event({"type": "input_audio_buffer.clear"})
        current_session().interrupt()
        return "sunny"

    c = await call(WEATHER, desk(weather))
    c.session.send_message("weather please")
    await c.seen.until(AgentEnd, count=2)
    assert "input_audio_buffer.clear" in c.call.received.types


async def test_a_tool_that_waits_for_an_event_of_its_own_session_does_not_lock_up(call):
    @function_tool
    async def weather(city: str) -> str:
        """Say how the weather is."""
        session = current_session()
        with session.events(ResponseDone) as reader:
            session.request_response({"conversation": "none", "instructions": "Say something."})
            async with asyncio.timeout(SECONDS):
                while not (await anext(reader)).out_of_band:
                    pass
        return "worth the wait"

    c = await call(WEATHER, desk(weather))
    c.session.send_message("weather please")
    assert (await c.seen.until(AgentToolEnd)).result == "worth the wait"


async def test_a_tool_knows_its_session_and_the_history_of_its_call(call):
    seen: dict[str, Any] = {}

    @function_tool
    async def weather(context: RunContextWrapper[Any], city: str) -> str:
        """Say how the weather is."""
        session = current_session()
        seen.update(session=session, before=list(session.history), context=context.context)
        with session.events(HistoryAdded) as reader:
            session.send_message("meanwhile")
            await anext(reader)
        seen["after"] = list(session.history)
        return "sunny"

    mine = object()
    c = await call(WEATHER, desk(weather), context=mine)
    c.session.send_message("weather please")
    await c.seen.until(AgentToolEnd)
    assert seen["session"] is c.session
    assert seen["context"] is mine
    assert [item.type for item in seen["before"]] == ["message", "function_call"]
    assert seen["after"] == seen["before"]
    assert len(c.session.history) > len(seen["before"])
    with pytest.raises(LookupError, match="none is running here"):
        current_session()


async def test_sync_tools_know_their_session_too(call):
    known: list[Any] = []

    @function_tool
    def weather(city: str) -> str:
        """Say how the weather is."""
        known.append((current_session(), len(current_session().history)))
        return "sunny"

    c = await call(WEATHER, desk(weather))
    c.session.send_message("weather please")
    await c.seen.until(AgentToolEnd)
    assert known == [(c.session, 2)]


async def test_sync_tools_run_in_threads_of_the_sessions_own(call):
    """asyncio's executor is full: a tool that used it would never run."""
    release = threading.Event()
    loop = asyncio.get_running_loop()
    names: list[str] = []

    @function_tool
    def weather(city: str) -> str:
        """Say how the weather is."""
        names.append(threading.current_thread().name)
        return "sunny"

    c = await call(WEATHER, desk(weather))
    blocked = [loop.run_in_executor(None, release.wait, SECONDS) for _ in range(64)]
    c.session.send_message("weather please")
    try:
        assert (await c.seen.until(AgentToolEnd)).result == "sunny"
    finally:
        release.set()
        await asyncio.gather(*blocked)
    assert names[0].startswith("stapes-tool")


async def test_a_sync_tool_finds_no_event_loop_and_may_run_its_own(call):
    found: list[Any] = []

    async def look_up(city: str) -> str:
        found.append(asyncio.current_task() is not None)
        return await asyncio.to_thread(lambda: f"sunny in {city}")

    @function_tool(failure_error_function=None)
    def weather(city: str) -> str:
        """Say how the weather is."""
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        said = asyncio.run(look_up(city))
        if len(found) == 1:
            # The loop that waits for the tool is to go on after a failure as well.
            raise LookupError("the first time")
        return said

    workers = ToolExecution(sync_workers=1)
    c = await call(WEATHER, desk(weather), tool_execution=workers)
    c.session.send_message("weather please")
    assert isinstance((await c.seen.until(Error)).error, LookupError)
    await c.seen.until(AgentEnd, count=2)
    c.session.send_message("weather again")
    assert (await c.seen.until(AgentToolEnd)).result == "sunny in Oslo"
    assert found == [True, True]
    await c.seen.until(AgentEnd, count=4)


async def test_no_more_sync_tools_run_at_once_than_there_are_workers(call):
    running, most, lock = 0, 0, threading.Lock()

    @function_tool
    def weather(city: str) -> str:
        """Say how the weather is."""
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.02)
        with lock:
            running -= 1
        return city

    many = ScriptedMind(
        [Turn(when="go", call=[Call("weather", {"city": str(n)}) for n in range(6)])]
    )
    c = await call(many, desk(weather), tool_execution=ToolExecution(sync_workers=2))
    c.session.send_message("go")
    await c.seen.until(AgentToolEnd, count=6)
    assert most == 2


async def test_the_failure_of_a_tool_is_told_though_what_comes_after_it_fails_too(call):
    @tool_output_guardrail
    def check(_: Any) -> Any:
        raise TypeError("the guardrail")

    def own_words(*_: Any) -> str:
        raise ValueError("the words")

    async def weather(city: str) -> str:
        """Say how the weather is."""
        raise LookupError("the tool")

    for options, later in (
        ({"tool_output_guardrails": [check]}, TypeError),
        ({"failure_error_function": own_words}, ValueError),
    ):
        c = await call(WEATHER, desk(function_tool(weather, **options)))
        c.session.send_message("weather please")
        await c.seen.until(AgentEnd, count=2)
        assert [type(error) for error in c.seen.errors] == [LookupError, later]
        await c.session.close()


async def test_a_background_result_starts_no_response(call):
    @function_tool
    async def weather(city: str) -> Any:
        """Say how the weather is."""
        return background_result("sunny")

    c = await call(WEATHER, desk(weather))
    c.session.send_message("weather please")
    assert (await c.seen.until(AgentToolEnd)).result == "sunny"
    await c.seen.until(AgentEnd)
    c.session.send_message("hello")
    assert (await c.seen.until(AgentEnd, count=2)).output == "Well."
    assert c.call.received.types.count("response.create") == 2


@function_tool(name_override="weather", needs_approval=True)
async def guarded_weather(city: str) -> str:
    """Say how the weather is, if allowed."""
    return f"sunny in {city}"


async def test_approve_works_inside_the_callback_that_reports_the_request(call):
    c = await call(WEATHER, desk(guarded_weather))

    @c.session.on("tool_approval_requested")
    def asked(event: ToolApprovalRequested) -> None:
        c.session.approve(event.approval)

    c.session.send_message("weather please")
    assert (await c.seen.until(AgentToolEnd)).result == "sunny in Oslo"


async def test_approve_awaited_inside_async_for_waits_for_the_tool(call):
    c = await call(WEATHER, desk(guarded_weather))
    c.session.send_message("weather please")
    async with asyncio.timeout(SECONDS):
        async for event in c.session.events(ToolApprovalRequested):
            await c.session.approve(event.approval)
            break
    output = c.call.received.wait_for(
        lambda e: e.get("item", {}).get("type") == "function_call_output"
    )
    assert (await output)["item"]["output"] == "sunny in Oslo"


async def test_a_second_decision_changes_nothing(call):
    c = await call(WEATHER, desk(guarded_weather))
    c.session.send_message("weather please")
    asked = await c.seen.until(ToolApprovalRequested)
    await c.session.reject(asked.approval, message="Not today.")
    await c.session.approve(asked.approval)
    await c.seen.until(AgentEnd, count=2)
    assert [end.result for end in c.seen.of(AgentToolEnd)] == ["Not today."]


async def test_a_decision_after_the_connection_is_over_fails(call):
    from agents import ModelBehaviorError

    c = await call(WEATHER, desk(guarded_weather))
    c.session.send_message("weather please")
    asked = await c.seen.until(ToolApprovalRequested)
    await c.session.close()
    with pytest.raises(ModelBehaviorError, match="closed realtime connection"):
        await c.session.approve(asked.approval)


async def test_a_handoff_changes_the_agent_and_tells_the_server(call):
    billing = RealtimeAgent(name="billing", instructions="Bill.")
    c = await call(WEATHER, desk(handoffs=[billing]))
    c.session.send_message("bill")
    handoff = await c.seen.until(AgentHandoff)
    assert (handoff.from_agent.name, handoff.to_agent.name) == ("front", "billing")
    end = await c.seen.until(AgentEnd, count=2)
    assert (end.agent.name, end.output) == ("billing", "Billing here.")
    assert c.session.current_agent is billing
    updates = [e["session"].get("instructions") for e in c.call.received.of("session.update")]
    assert updates[-1] == "Bill."


async def test_the_hooks_of_agents_are_called(call):
    calls: list[tuple[Any, ...]] = []

    class Hooks(AgentHooks[Any]):
        async def on_start(self, context: Any, agent: Any) -> None:
            calls.append(("start", agent.name))

        async def on_end(self, context: Any, agent: Any, output: Any) -> None:
            calls.append(("end", agent.name, output))

        async def on_handoff(self, context: Any, agent: Any, source: Any) -> None:
            calls.append(("handoff", agent.name, source.name))

        async def on_tool_start(self, context: Any, agent: Any, tool: Any) -> None:
            calls.append(("tool_start", tool.name))

        async def on_tool_end(self, context: Any, agent: Any, tool: Any, result: Any) -> None:
            calls.append(("tool_end", tool.name, result))

    billing = RealtimeAgent(name="billing", hooks=Hooks())
    c = await call(WEATHER, desk(weather, handoffs=[billing], hooks=Hooks()))
    c.session.send_message("weather please")
    await c.seen.until(AgentEnd, count=2)
    c.session.send_message("bill")
    await c.seen.until(AgentEnd, count=4)
    await eventually(lambda: ("end", "billing", "Billing here.") in calls)
    assert calls[0] == ("start", "front")
    assert ("tool_start", "weather") in calls
    assert ("tool_end", "weather", "sunny in Oslo") in calls
    assert ("end", "front", "It is sunny in Oslo.") in calls
    assert ("handoff", "billing", "front") in calls


async def test_a_hook_that_raises_becomes_an_error_event(call):
    class Hooks(AgentHooks[Any]):
        async def on_start(self, context: Any, agent: Any) -> None:
            raise RuntimeError("no start")

    c = await call(WEATHER, desk(hooks=Hooks()))
    c.session.send_message("hello")
    error = await c.seen.until(Error)
    assert (str(error.error), error.context) == ("no start", "agent hook on_start")
    await c.seen.until(AgentEnd)


async def test_a_guardrail_that_trips_stops_the_answer_and_tells_the_model(call):
    async def no_secrets(
        context: RunContextWrapper[Any], agent: Agent[Any], output: str
    ) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput({"why": "secret"}, "secret" in output)

    story = ScriptedMind(
        [
            Turn(when="blocked", say="Let us talk about birds."),
            Turn(say="The secret is out. " + "And so on and so forth. " * 200),
        ]
    )
    c = await call(
        story,
        desk(output_guardrails=[OutputGuardrail(no_secrets, name="no secrets")]),
        server={"pace": 20.0},
    )
    c.session.send_message("go")
    tripped = await c.seen.until(GuardrailTripped)
    assert "secret" in str(tripped.error)
    assert (await c.seen.until(AgentEnd, count=2)).output == "Let us talk about birds."
    assert c.call.sent.of("response.done")[0]["response"]["status"] == "cancelled"
    assert len(c.seen.of(GuardrailTripped)) == 1
    feedback = c.call.received.of("conversation.item.create")[-1]["item"]
    assert "Failed Guardrail Reason: no secrets" in feedback["content"][0]["text"]


async def test_a_guardrail_that_raises_becomes_an_error_event(call):
    async def broken(
        context: RunContextWrapper[Any], agent: Agent[Any], output: str
    ) -> GuardrailFunctionOutput:
        raise RuntimeError("cannot judge")

    c = await call(WEATHER, output_guardrails=[OutputGuardrail(broken)])
    c.session.send_message("hello")
    error = await c.seen.until(Error)
    assert (str(error.error), error.context) == ("cannot judge", "output guardrail")
    await c.seen.until(AgentEnd)


async def test_a_tool_that_is_still_at_work_when_the_session_closes_answers_nobody(call):
    started, release, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @function_tool
    async def weather(city: str) -> str:
        """Say how the weather is."""
        started.set()
        await release.wait()
        done.set()
        return "too late"

    c = await call(WEATHER, desk(weather))
    c.session.send_message("weather please")
    await asyncio.wait_for(started.wait(), SECONDS)
    await c.session.close()
    release.set()
    await asyncio.wait_for(done.wait(), SECONDS)
    await c.session.connect()
    c.session.send_message("hello")
    await c.seen.until(AgentEnd, lambda event: event.output == "Well.")
    assert c.seen.of(AgentToolEnd) == []
    assert c.seen.errors == []
