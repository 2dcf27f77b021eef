"""The SDK's sessions with servers of other dialects than OpenAI's."""

from __future__ import annotations

from typing import Any

import pytest
from agents.realtime import RealtimeAgent, RealtimeRunner
from sdk_call import DESK, KEY, Reader, get_weather, spoken

from stapes import NotSupportedError, providers
from stapes.agents_sdk import StapesRealtimeModel
from stapes.testing import ScriptedServer

PROVIDERS: dict[str, providers.Provider] = {
    "beta": providers.Local(dialect=providers.BETA, model="m"),
    "azure": providers.AzureVoiceLive(resource="r", model="m"),
    "qwen": providers.Qwen(),
}
"""By the development server's name for their dialect."""


async def test_a_typed_message_is_refused_by_name_where_the_provider_takes_none(stack, run):
    desk = await run(DESK, pace=30.0, dialect="qwen")
    runner = RealtimeRunner(
        RealtimeAgent(name="front", instructions="Be brief."),
        model=StapesRealtimeModel(provider="qwen"),
    )
    config: Any = {"api_key": KEY, "url": desk.url}
    session = await stack.enter_async_context(await runner.run(model_config=config))
    with pytest.raises(NotSupportedError, match="Qwen does not support messages from a client"):
        await session.send_message("Is it open?")


async def test_what_a_profile_asks_for_by_itself_is_asked_for(stack):
    server = await stack.enter_async_context(ScriptedServer())
    runner = RealtimeRunner(RealtimeAgent(name="front"), model=StapesRealtimeModel(provider="xai"))
    config: Any = {"api_key": KEY, "url": server.url}
    await stack.enter_async_context(await runner.run(model_config=config))
    (update,) = [it for it in server.received if it["type"] == "session.update"]
    assert update["session"]["resumption"] == {"enabled": True}


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_spoken_conversation_with_a_tool(stack, run, name):
    desk = await run(DESK, pace=30.0, dialect=name)
    agent = RealtimeAgent(name="front", instructions="Be brief.", tools=[get_weather])
    runner = RealtimeRunner(
        agent, model=StapesRealtimeModel(provider=PROVIDERS[name], input_sample_rate=24_000)
    )
    transcription = {"model": "whisper"}
    settings = {
        "input_audio_transcription": transcription,
        "turn_detection": {"type": "server_vad"},
    }
    config: Any = {"api_key": KEY, "url": desk.url, "initial_model_settings": settings}
    session = await stack.enter_async_context(await runner.run(model_config=config))
    reader = Reader(session)
    await session.send_audio(await spoken("What is the weather?"))
    assert (await reader.until("tool_end")).output == "sunny for Oslo"
    await reader.until("agent_end", 2)
    assert reader.said() == "It is sunny for Oslo in Oslo."
    assert reader.of("audio")
    assert reader.of("error") == []
