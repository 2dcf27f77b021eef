"""Any events in any order through a whole session: it stays sound, and no other session notices."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from agents import function_tool
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stapes
from stapes import RealtimeAgent
from stapes.testing import ScriptedServer, VirtualClock, settle

RESPONSES = st.sampled_from(["r1", "r2"])
ITEMS = st.sampled_from(["i1", "i2", "i3"])


def _event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def _call(number: int, response: str) -> dict[str, Any]:
    item = {
        "id": f"f{number}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"c{number}",
        "name": ("quick", "raises", "unknown", "transfer_to_Other")[number % 4],
        "arguments": "{}",
    }
    return _event("response.output_item.done", response_id=response, item=item)


FRAMES = st.one_of(
    RESPONSES.map(lambda r: _event("response.created", response={"id": r})),
    RESPONSES.map(lambda r: _event("response.done", response={"id": r, "output": []})),
    st.builds(
        lambda r, i: _event(
            "response.output_audio.delta", response_id=r, item_id=i, delta="A" * 64
        ),
        RESPONSES,
        ITEMS,
    ),
    st.builds(
        lambda i, p: _event(
            "conversation.item.added",
            item={"id": i, "type": "message", "role": "user", "content": []},
            previous_item_id=p,
        ),
        ITEMS,
        st.none() | ITEMS,
    ),
    ITEMS.map(lambda i: _event("conversation.item.deleted", item_id=i)),
    st.just(_event("input_audio_buffer.speech_started")),
    st.just(_event("error", error={"message": "no"})),
    st.builds(_call, st.integers(0, 7), RESPONSES),
).map(json.dumps)
ANYTHING = (
    st.text(max_size=30)
    | st.binary(max_size=10)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=6,
    ).map(json.dumps)
)
COMMANDS = st.sampled_from(["say", "interrupt", "wait"])


@function_tool
async def quick() -> str:
    return "done"


@function_tool(failure_error_function=None)
async def raises() -> str:
    raise RuntimeError("no")


async def _hold(acts: list[str | bytes]) -> None:
    clock = VirtualClock()
    other = RealtimeAgent(name="Other", instructions="y", tools=[quick, raises])
    agent = RealtimeAgent(name="Desk", instructions="x", tools=[quick, raises], handoffs=[other])
    bystander = clock.session(RealtimeAgent(name="Bystander", instructions="z"), api_key="key")
    session = clock.session(agent, api_key="key")
    seen: list[Any] = []
    quiet: list[Any] = []
    session.on("*", seen.append)
    async with ScriptedServer() as server, ScriptedServer() as elsewhere:
        await session.connect(url=server.url)
        await bystander.connect(url=elsewhere.url)
        await settle(bystander, elsewhere)
        bystander.on("*", quiet.append)
        for act in acts:
            match act:
                case "say":
                    await session.send_message("x")
                case "interrupt":
                    await session.interrupt()
                case "wait":
                    clock.advance(0.25)
                case frame:
                    await server.send(frame)
        await settle(session, server)
        assert session.status == "connected", "no frame ends the connection"
        await server.send(_event("response.created", response={"id": "last"}))
        await settle(session, server)
        assert any(isinstance(e, stapes.AgentStart) and e.response_id == "last" for e in seen)
        ids = [item.item_id for item in session.history]
        assert len(ids) == len(set(ids)), "an item stands in the history twice"
        for item in session.history:
            if isinstance(item, stapes.FunctionCallItem):
                assert item.output is not None, "every call has been answered"
        _check_calls(acts, server)
        assert quiet == [], "another session noticed"
        await session.close()
        await bystander.close()
        await settle(session, server)
        await settle(bystander, elsewhere)


def _check_calls(acts: list[str | bytes], server: ScriptedServer) -> None:
    came = Counter(
        json.loads(act)["item"]["call_id"]
        for act in acts
        if isinstance(act, str) and '"function_call"' in act
    )
    answered = Counter(
        message["item"]["call_id"]
        for message in server.received
        if message["type"] == "conversation.item.create"
        and message["item"]["type"] == "function_call_output"
    )
    assert answered == came, "a call is answered as often as it comes"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(FRAMES | ANYTHING | COMMANDS, max_size=25))
def test_a_session_stays_sound_whatever_its_server_sends(acts: list[str | bytes]) -> None:
    asyncio.run(_hold(acts))
