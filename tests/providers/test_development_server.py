"""Profiles against the development server, which speaks their providers' dialects.

The server is strict, and written from the providers' references, not from the client.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from agents import function_tool

from stapes import (
    AgentEnd,
    AgentHandoff,
    Audio,
    AudioInterrupted,
    Error,
    MessageItem,
    RealtimeAgent,
    RealtimeSession,
    ReconnectPolicy,
    SessionRestored,
)
from stapes.devserver import Call, ScriptedMind, ToneVoice, Turn
from stapes.items import OutputAudio
from stapes.providers import BETA, XAI, AzureVoiceLive, Local, OpenAI, Provider, Qwen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stapes.devserver import DevServer

PROFILES: dict[str, Provider] = {
    "ga": OpenAI(),
    "beta": Local(dialect=BETA, model="m"),
    "azure": AzureVoiceLive(resource="r", model="m"),
    "qwen": Qwen(),
    "xai": XAI(),
    "xai in binary frames": XAI(binary_audio=True),
}
DETECTION = {"type": "server_vad", "silence_duration_ms": 700, "interrupt_response": True}
STORY = "Once upon a time there was a king who had three daughters. " * 12


@function_tool
async def hours(day: str) -> str:
    """When it is open."""
    return f"{day}: nine to five"


async def says(session: RealtimeSession[Any], words: str) -> None:
    """The user says it, at 24 kHz, and is silent."""
    sound = (await ToneVoice().speak(words, voice="caller", speed=1.0)).pcm
    session.send_audio(sound[: len(sound) // 2 * 2] + bytes(60_000), sample_rate=24_000)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("dialect", PROFILES)
async def test_a_spoken_conversation_in_each_dialect(
    dialect: str, run: Callable[..., Awaitable[DevServer]]
):
    provider = PROFILES[dialect]
    mind = ScriptedMind(
        [
            Turn(when="open", call=Call("hours", {"day": "Monday"})),
            Turn(after="hours", say="From nine to five."),
            Turn(when="bill", call=Call("transfer_to_Billing", {})),
            Turn(after="transfer_to_Billing", say="This is billing."),
            Turn(when="story", say=STORY),
            Turn(say="All right."),
        ],
        hears=["when is it open", "my bill please", "tell a story", "enough of that"],
    )
    server = await run(mind, dialect=dialect.split()[0], pace=2.0)
    billing = RealtimeAgent(name="Billing", instructions="You do bills.", tools=[hours])
    desk = RealtimeAgent(name="Desk", instructions="Be brief.", tools=[hours], handoffs=[billing])
    seen: list[Any] = []
    session = RealtimeSession(
        desk,
        api_key="key",
        provider=provider,
        config={"audio": {"input": {"turn_detection": DETECTION}}},
    )
    session.on("*", seen.append)

    def ends() -> list[str]:
        return [event.output for event in seen if isinstance(event, AgentEnd)]

    await session.connect(url=server.url)
    await says(session, "When is it open?")
    await until(lambda: "From nine to five." in ends())
    await says(session, "My bill, please.")
    await until(lambda: "This is billing." in ends())
    assert [type(event) for event in seen].count(AgentHandoff) == 1
    await says(session, "Tell a story.")
    before = len([event for event in seen if isinstance(event, Audio)])
    await until(lambda: len([e for e in seen if isinstance(e, Audio)]) > before + 12)
    await says(session, "Enough of that.")
    await until(lambda: "All right." in ends())
    assert [event for event in seen if isinstance(event, AudioInterrupted)]
    cut = [
        item
        for item in session.history
        if isinstance(item, MessageItem) and item.text and STORY.startswith(item.text)
    ]
    assert len(cut) == 1
    assert len(cut[0].text) < len(STORY)
    spoken = [part for item in session.history for part in getattr(item, "content", ())]
    assert all(part.transcript for part in spoken if isinstance(part, OutputAudio))
    assert [event.error for event in seen if isinstance(event, Error)] == []
    await session.close()


@pytest.mark.parametrize("binary_audio", [False, True], ids=["in text", "in binary frames"])
async def test_xais_conversation_goes_on_over_another_connection(
    run: Callable[..., Awaitable[DevServer]], binary_audio: bool
):
    mind = ScriptedMind(
        [Turn(when="open", say="From nine to five.")],
        hears=["when is it open"],  # of each connection
    )
    server = await run(mind, dialect="xai")
    seen: list[Any] = []
    session = RealtimeSession(
        RealtimeAgent(name="Desk", instructions="Be brief."),
        api_key="key",
        provider=XAI(binary_audio=binary_audio),
        reconnect=ReconnectPolicy(first_delay=0.01),
    )
    session.on("*", seen.append)

    def ends() -> list[str]:
        return [event.output for event in seen if isinstance(event, AgentEnd)]

    def restored() -> list[SessionRestored]:
        return [event for event in seen if isinstance(event, SessionRestored)]

    await session.connect(url=server.url)
    await says(session, "When is it open?")
    await until(lambda: len(ends()) == 1)
    before = [item.item_id for item in session.history]
    server.calls[0].abort()
    await until(restored)
    await says(session, "And when is it open?")
    await until(lambda: len(ends()) == 2)
    assert restored()[0].resumed
    assert [item.item_id for item in session.history][:2] == before
    first, second = server.calls
    assert second.query["conversation_id"] == first.call.conversation_id
    assert second.conversation.messages == [
        ("user", "when is it open"),
        ("assistant", "From nine to five."),
        ("user", "when is it open"),
        ("assistant", "From nine to five."),
    ]
    assert [event.error for event in seen if isinstance(event, Error)] == []
    await session.close()
