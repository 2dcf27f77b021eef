"""What is under way when a connection is lost ends, and what cannot be delivered is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from agents import FunctionTool, function_tool
from agents.realtime import realtime_handoff

import stapes
from stapes import RealtimeAgent, RealtimeSession
from stapes.testing import ScriptedServer, VirtualClock, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Talk:
    """A session with a scripted server, and what came of it."""

    session: RealtimeSession[Any]
    server: ScriptedServer
    clock: VirtualClock
    seen: list[Any] = field(default_factory=list)

    async def connect(self) -> None:
        await self.session.connect(url=self.server.url)
        await self.settle()

    async def settle(self) -> None:
        await settle(self.session, self.server)

    async def says(self, *events: dict[str, Any]) -> None:
        for event in events:
            await self.server.send(event)
        await self.settle()

    async def starts(self) -> None:
        await self.says({"type": "response.created", "response": {"id": "r"}})

    async def speaks(self) -> None:
        delta = {"response_id": "r", "item_id": "i", "content_index": 0, "delta": "AAAA"}
        await self.says({"type": "response.output_audio.delta", **delta})

    async def calls(self, name: str) -> None:
        item = {
            "id": "f",
            "type": "function_call",
            "status": "completed",
            "call_id": "c",
            "name": name,
            "arguments": "{}",
        }
        await self.says({"type": "response.output_item.done", "response_id": "r", "item": item})

    async def lose(self) -> None:
        await self.server.close(1011, "x")
        await self.settle()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.seen if type(event) is kind]

    @property
    def errors(self) -> list[BaseException]:
        return [event.error for event in self.of(stapes.Error)]


class Slow:
    """A tool that ends when it is told to."""

    def __init__(self, **options: Any) -> None:
        self.gate = asyncio.Event()

        @function_tool(**options)
        async def slow() -> str:
            await self.gate.wait()
            return "the result"

        self.tool: FunctionTool = slow

    async def end(self, talk: Talk) -> None:
        self.gate.set()
        await talk.settle()


@pytest.fixture
async def begin() -> AsyncIterator[Any]:
    async with ScriptedServer() as server:
        talks: list[Talk] = []

        async def start(*tools: Any, **options: Any) -> Talk:
            clock = VirtualClock()
            agent = options.pop("agent", None) or RealtimeAgent(name="Desk", tools=list(tools))
            talk = Talk(
                clock.session(agent, api_key="sk-test-0123456789", reconnect=None, **options),
                server,
                clock,
            )
            talk.session.on("*", talk.seen.append)
            await talk.connect()
            talks.append(talk)
            return talk

        yield start
        for talk in talks:
            await talk.session.close()


@pytest.mark.parametrize("reconnects", [False, True])
async def test_a_tool_that_ends_after_its_connection_was_lost_is_told_with_its_output(
    begin: Any, reconnects: bool
):
    slow = Slow()
    talk = await begin(slow.tool)
    await talk.starts()
    await talk.calls("slow")
    await talk.lose()
    if reconnects:
        await talk.connect()
    await slow.end(talk)
    (error,) = talk.errors
    assert isinstance(error, stapes.ToolOutputNotSent)
    assert (error.call_id, error.tool, error.output) == ("c", "slow", "the result")
    assert "call c" in str(error)
    (ended,) = talk.of(stapes.AgentToolEnd)
    assert ended.result == "the result"
    assert not [
        message for message in talk.server.received if message["type"] == "conversation.item.create"
    ]


async def test_approve_raises_where_the_connection_is_lost_while_the_tool_runs(begin: Any):
    slow = Slow(needs_approval=True)
    talk = await begin(slow.tool)
    await talk.starts()
    await talk.calls("slow")
    (asked,) = talk.of(stapes.ToolApprovalRequested)
    approved = asyncio.ensure_future(talk.session.approve(asked.approval))
    await talk.settle()
    await talk.lose()
    await talk.connect()
    await slow.end(talk)
    with pytest.raises(stapes.ToolOutputNotSent, match="call c"):
        await approved
    assert talk.errors == []
    assert len(talk.of(stapes.AgentToolEnd)) == 1


async def test_a_handoff_that_ends_after_its_connection_was_lost_is_told(begin: Any):
    gate = asyncio.Event()

    async def wait(context: Any) -> None:
        await gate.wait()

    other = RealtimeAgent(name="Billing", instructions="y")
    agent = RealtimeAgent(name="Desk", handoffs=[realtime_handoff(other, on_handoff=wait)])
    talk = await begin(agent=agent)
    await talk.starts()
    await talk.calls("transfer_to_billing")
    await talk.lose()
    await talk.connect()
    gate.set()
    await talk.settle()
    (error,) = talk.errors
    assert isinstance(error, stapes.ToolOutputNotSent)
    assert talk.session.current_agent.name == "Desk"


@pytest.mark.parametrize("lost_before", [False, True])
async def test_nothing_is_told_of_a_connection_that_the_user_closed(begin: Any, lost_before: bool):
    slow = Slow()
    talk = await begin(slow.tool)
    await talk.starts()
    await talk.calls("slow")
    if lost_before:
        await talk.lose()
    await talk.session.close()
    await talk.settle()
    talk.seen.clear()
    await slow.end(talk)
    assert talk.seen == []


async def test_every_beginning_has_its_end_before_the_loss_is_told(begin: Any):
    slow = Slow()
    talk = await begin(slow.tool)
    await talk.starts()
    await talk.says(
        {
            "type": "response.output_item.added",
            "response_id": "r",
            "item": {"id": "i", "type": "message", "role": "assistant", "status": "in_progress"},
        },
        {
            "type": "response.output_audio_transcript.delta",
            "response_id": "r",
            "item_id": "i",
            "delta": "Let me",
        },
    )
    await talk.speaks()
    await talk.calls("slow")
    talk.seen.clear()
    await talk.lose()
    kinds = [type(event) for event in talk.seen]
    assert kinds[-1] is stapes.ConnectionChanged
    for kind in (stapes.AudioStopped, stapes.ResponseDone, stapes.AgentEnd):
        assert kinds.count(kind) == 1
    (end,) = talk.of(stapes.AgentEnd)
    assert (end.response_id, end.output) == ("r", "Let me")
    (done,) = talk.of(stapes.ResponseDone)
    assert (done.status, done.status_details["reason"]) == ("incomplete", "connection_lost")
    assert [item.status for item in talk.session.history] == ["incomplete", "incomplete"]
    assert talk.of(stapes.HistoryUpdated)[-1].history == talk.session.history
    assert talk.session.usage.requests == 0
    await slow.end(talk)
    assert len(talk.of(stapes.AgentToolEnd)) == 1


async def test_what_has_ended_before_the_loss_does_not_end_again(begin: Any):
    talk = await begin()
    await talk.starts()
    await talk.speaks()
    await talk.says(
        {"type": "response.output_audio.done", "response_id": "r", "item_id": "i"},
        {"type": "response.done", "response": {"id": "r", "status": "completed", "output": []}},
    )
    talk.seen.clear()
    await talk.lose()
    assert [type(event) for event in talk.seen] == [stapes.ConnectionChanged]


async def test_the_voice_is_set_again_after_a_lost_connection(begin: Any):
    first = RealtimeAgent(name="A", instructions="a")
    session_config = {"audio": {"output": {"voice": "ash"}}}
    talk = await begin(agent=first, config=session_config)
    await talk.starts()
    await talk.speaks()
    await talk.lose()
    await talk.connect()
    updates = [message for message in talk.server.received if message["type"] == "session.update"]
    voices = [
        update["session"]["audio"]["output"].get("voice")
        for update in updates
        if "audio" in update["session"]
    ]
    assert voices == ["ash", "ash"]


async def test_a_long_sound_that_fails_says_how_much_was_sent(begin: Any):
    talk = await begin()
    stream = talk.session.stream_audio(bytes(48_000), sample_rate=24_000)
    await talk.settle()
    await talk.lose()
    with pytest.raises(stapes.NotConnectedError) as failure:
        await stream
    assert failure.value.sent is not None
    assert 0 <= failure.value.sent < 1


async def test_timings_after_a_tool_count_from_the_end_of_the_users_speech(begin: Any):
    slow = Slow()
    talk = await begin(slow.tool)
    await talk.says({"type": "input_audio_buffer.speech_stopped"})
    talk.clock.advance(0.25)
    await talk.starts()
    await talk.calls("slow")
    await talk.says({"type": "response.done", "response": {"id": "r", "output": []}})
    talk.clock.advance(1.0)
    await slow.end(talk)
    talk.clock.advance(0.25)
    await talk.says(
        {"type": "response.created", "response": {"id": "r2"}},
        {"type": "response.done", "response": {"id": "r2", "output": []}},
    )
    assert [event.timings.created for event in talk.of(stapes.ResponseDone)] == [0.25, 1.5]
    # The next turn begins with its own request.
    await talk.session.send_message("next")
    await talk.settle()
    talk.clock.advance(0.125)
    await talk.says(
        {"type": "response.created", "response": {"id": "r3"}},
        {"type": "response.done", "response": {"id": "r3", "output": []}},
    )
    assert talk.of(stapes.ResponseDone)[-1].timings.created == 0.125
