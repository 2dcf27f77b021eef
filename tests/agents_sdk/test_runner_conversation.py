"""The SDK's runner on our model holds spoken conversations with the development server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agents import GuardrailFunctionOutput, OutputGuardrail
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession
from sdk_call import DESK, HEARING, KEY, Reader, get_weather, spoken

from stapes.agents_sdk import StapesRealtimeModel

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from stapes.devserver import DevServer


@pytest.fixture
async def desk(run: Any) -> DevServer:
    server: DevServer = await run(DESK, pace=30.0)
    return server


async def begin(
    stack: AsyncExitStack, desk: DevServer, agent: RealtimeAgent[Any], **run_config: Any
) -> tuple[RealtimeSession, Reader]:
    runner = RealtimeRunner(agent, model=StapesRealtimeModel(), config=run_config or None)  # type: ignore[arg-type]
    config: Any = {"api_key": KEY, "url": desk.url, "initial_model_settings": HEARING}
    session = await runner.run(model_config=config)
    await stack.enter_async_context(session)
    return session, Reader(session)


def front_desk() -> RealtimeAgent[Any]:
    billing: RealtimeAgent[Any] = RealtimeAgent(name="billing", instructions="You do billing.")
    return RealtimeAgent(
        name="front",
        instructions="You are the front desk.",
        tools=[get_weather],
        handoffs=[billing],
    )


async def test_a_spoken_conversation_with_a_tool_a_handoff_and_an_interruption(stack, desk):
    session, reader = await begin(stack, desk, front_desk())
    call = await desk.next_call()

    await session.send_audio(await spoken("What is the weather?"))
    assert (await reader.until("tool_end")).output == "sunny for Oslo"
    await reader.until("agent_end", 2)
    assert reader.said() == "It is sunny for Oslo in Oslo."
    assert sum(len(event.audio.data) for event in reader.of("audio")) > 48 * 1_000

    await session.send_audio(await spoken("I have a question about an invoice."))
    handoff = await reader.until("handoff")
    assert (handoff.from_agent.name, handoff.to_agent.name) == ("front", "billing")
    await reader.until("agent_end", 4)
    assert reader.said() == "Billing speaking."
    assert call.call.session["instructions"] == "You do billing."

    heard = len(reader.of("audio"))
    await session.send_audio(await spoken("Tell a story."))
    await reader.until("audio", heard + 1)
    await session.send_audio(await spoken("Enough of that now."))
    await reader.until("audio_interrupted")
    await reader.until("agent_end", 6)
    assert reader.said() == "All right."

    statuses = [event["response"]["status"] for event in call.sent.of("response.done")]
    assert statuses == ["completed"] * 4 + ["cancelled", "completed"]
    story = call.sent.of("response.done")[4]["response"]["output"][0]
    cut = [event["item_id"] for event in call.sent.of("conversation.item.truncated")]
    assert story["id"] in cut
    assert call.sent.of("error") == []
    assert reader.of("error") == []
    users = [item for item in reader.of("history_updated")[-1].history if item.type == "message"]
    assert [item.content[0].transcript for item in users if item.role == "user"] == [
        "what is the weather",
        "I have a question about an invoice",
        "tell a story",
        "enough",
    ]


async def test_a_guardrail_stops_an_answer_and_the_model_is_told(stack, desk):
    async def check(context: Any, agent: Any, output: str) -> GuardrailFunctionOutput:
        tripped = "secret number" in output
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=tripped)

    guardrail: OutputGuardrail[Any] = OutputGuardrail(guardrail_function=check, name="secrets")
    session, reader = await begin(
        stack,
        desk,
        RealtimeAgent(name="front", instructions="You know a secret."),
        output_guardrails=[guardrail],
        guardrails_settings={"debounce_text_length": 30},
    )
    call = await desk.next_call()
    await session.send_message("Tell me the secret.")
    tripped = await reader.until("guardrail_tripped")
    assert "secret number" in tripped.message
    await reader.until("audio_interrupted")
    await reader.until("agent_end", 2)
    assert reader.said() == "I cannot say that."
    statuses = [event["response"]["status"] for event in call.sent.of("response.done")]
    assert statuses == ["cancelled", "completed"]
    assert len(call.sent.of("conversation.item.truncated")) == 1
    assert call.sent.of("error") == []


async def test_an_interruption_by_hand_stops_the_answer(stack, desk):
    session, reader = await begin(stack, desk, front_desk())
    call = await desk.next_call()
    await session.send_message("Tell a story.")
    await reader.until("audio")
    await session.interrupt()
    interrupted = await reader.until("audio_interrupted")
    assert interrupted.item_id == reader.of("audio")[0].item_id
    await reader.until("agent_end")
    cancelled = call.sent.of("response.done")[0]["response"]
    assert cancelled["status"] == "cancelled"
    assert interrupted.item_id == cancelled["output"][0]["id"]
    assert call.sent.of("error") == []


async def test_one_model_serves_one_session_after_the_other(desk):
    model = StapesRealtimeModel()
    runner = RealtimeRunner(front_desk(), model=model)
    for _ in range(2):
        config: Any = {"api_key": KEY, "url": desk.url, "initial_model_settings": HEARING}
        async with await runner.run(model_config=config) as session:
            reader = Reader(session)
            await session.send_message("What is the weather?")
            await reader.until("agent_end", 2)
            assert reader.said() == "It is sunny for Oslo in Oslo."
    assert repr(model) == "<StapesRealtimeModel gpt-realtime-2.1, disconnected>"
