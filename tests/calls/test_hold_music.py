"""Music while a tool works, and what stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import function_tool
from tests.calls.test_twilio_calls import answered, speak, until, url_of
from tests.calls.twilio_phone import TwilioPhone

from stapes import RealtimeAgent, RealtimeSession
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from stapes.calls import Call

MUSIC = b"\x22" * 8_000 * 4
ANSWER = b"\x33" * 8_000


def is_cancel(message: Any) -> bool:
    return bool(message["type"] == "response.cancel")


async def test_music_that_is_cleared_when_the_tool_ends_leaves_the_answer_to_it():
    calls: list[Call] = []

    @function_tool
    async def look_up() -> str:
        """Looks something up while music plays."""
        calls[0].play(MUSIC)
        await until(lambda: phone.heard)
        return "It rains."

    agent: RealtimeAgent[Any] = RealtimeAgent(name="Desk", tools=[look_up])

    async def answer(call: Call) -> None:
        calls.append(call)
        session = RealtimeSession(agent, call=call, api_key="test")
        session.on("agent_tool_end", lambda _: call.clear())
        await session.connect(url=model.url)
        await call.ended()

    async with (
        ScriptedServer() as model,
        answered(answer) as server,
        TwilioPhone(url_of(server)) as phone,
    ):
        await phone.start()
        await model.receive(1)
        made = {"type": "function_call", "id": "f", "call_id": "c", "name": "look_up"}
        made["arguments"] = "{}"
        ids = {"response_id": "r0", "output_index": 0}
        await model.send({"type": "response.created", "response": {"id": "r0"}})
        await model.send({"type": "response.output_item.done", "item": made, **ids})
        await model.send({"type": "response.done", "response": {"id": "r0", "output": [made]}})
        await until(lambda: any(m["type"] == "response.create" for m in model.received))
        await phone.until(lambda: phone.clears)
        heard = len(phone.heard)
        await speak(model, ANSWER)
        await phone.until(lambda: bytes(phone.heard[heard:]).count(0x33) == len(ANSWER))
        assert not any(is_cancel(message) for message in model.received)
