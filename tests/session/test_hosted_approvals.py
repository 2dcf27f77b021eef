"""`HostedMCPTool(on_approval_request=...)`: users' code decides about a hosted server's call."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from agents import HostedMCPTool

import stapes
from stapes import RealtimeAgent
from stapes.testing import ScriptedServer, VirtualClock, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

REQUEST = {
    "id": "m1",
    "type": "mcp_approval_request",
    "server_label": "docs",
    "name": "search",
    "arguments": '{"for": "x"}',
}


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


def hosted(label: str, decide: Any = None) -> HostedMCPTool:
    config: Any = {"type": "mcp", "server_label": label, "server_url": "https://x.test"}
    return HostedMCPTool(tool_config=config, on_approval_request=decide)


async def requested(
    server: ScriptedServer, *tools: HostedMCPTool
) -> tuple[stapes.RealtimeSession[Any], list[Any]]:
    """A session in which a hosted server asks for a decision, and its events."""
    agent = RealtimeAgent(name="Desk", instructions="x", tools=list(tools))
    session = VirtualClock().session(agent, api_key="key", context="mine", reconnect=None)
    events: list[Any] = []
    session.on("*", events.append)
    await session.connect(url=server.url)
    await server.send({"type": "conversation.item.done", "item": REQUEST})
    await settle(session, server)
    return session, events


def answers(server: ScriptedServer) -> list[tuple[str, bool, str | None]]:
    items = [event["item"] for event in server.received if "item" in event]
    return [
        (item["approval_request_id"], item["approve"], item.get("reason"))
        for item in items
        if item["type"] == "mcp_approval_response"
    ]


def at_once(result: Any) -> Callable[[Any], Any]:
    return lambda request: result


def later(result: Any) -> Callable[[Any], Any]:
    async def decide(request: Any) -> Any:
        await asyncio.sleep(0)
        return result

    return decide


@pytest.mark.parametrize("kind", [at_once, later])
@pytest.mark.parametrize(
    ("result", "answer"),
    [
        ({"approve": True}, ("m1", True, None)),
        ({"approve": False, "reason": "not today"}, ("m1", False, "not today")),
        ({"approve": False}, ("m1", False, None)),
    ],
)
async def test_the_callback_decides(
    server: ScriptedServer, kind: Any, result: Any, answer: Any
) -> None:
    session, events = await requested(
        server, hosted("other", at_once({})), hosted("docs", kind(result))
    )
    assert answers(server) == [answer]
    kinds = {type(event) for event in events}
    assert stapes.ToolApprovalRequested not in kinds
    assert stapes.Error not in kinds
    await session.close()


@pytest.mark.parametrize("by", ["callback", "session"])
async def test_tests_are_told_of_a_decision_once(server: ScriptedServer, by: str) -> None:
    told: list[tuple[str, bool]] = []
    waiting = asyncio.Event()

    async def decide(_request: Any) -> Any:
        await waiting.wait()
        return {"approve": False}

    tools = [hosted("docs", decide)] if by == "callback" else []
    session, events = await requested(server, *tools)
    session.probe.tap_decisions(lambda *decision: told.append(decision))
    if by == "callback":
        waiting.set()
        await settle(session, server)
    else:
        (event,) = (event for event in events if isinstance(event, stapes.ToolApprovalRequested))
        for _ in range(2):
            await session.reject(event.approval)
    assert told == [("m1", False)]
    await session.close()


async def test_the_callback_gets_the_request_and_the_run_context(server: ScriptedServer) -> None:
    seen: list[Any] = []

    def decide(request: Any) -> Any:
        seen.append((request, stapes.current_session()))
        return {"approve": True}

    session, _ = await requested(server, hosted("docs", decide))
    ((request, current),) = seen
    assert (request.data.id, request.data.name, request.data.server_label) == (
        "m1",
        "search",
        "docs",
    )
    assert json.loads(request.data.arguments) == {"for": "x"}
    assert request.ctx_wrapper is session.context
    assert current is session
    await session.close()


async def test_without_a_callback_for_that_server_the_event_asks(server: ScriptedServer) -> None:
    session, events = await requested(server, hosted("other", at_once({})), hosted("docs"))
    (asked,) = [event for event in events if isinstance(event, stapes.ToolApprovalRequested)]
    await session.approve(asked.approval)
    await settle(session, server)
    assert answers(server) == [("m1", True, None)]
    await session.close()


def raises(request: Any) -> Any:
    raise RuntimeError("no policy")


def is_cancelled(request: Any) -> Any:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("decide", "told"),
    [
        (raises, "no policy"),
        (is_cancelled, "CancelledError"),
        (at_once(True), "on_approval_request must return .*, not bool"),
        (later({"approve": "yes"}), "on_approval_request must return"),
        (at_once({"approve": False, "reason": 404}), "the reason .* must be text or None, not int"),
    ],
)
async def test_a_callback_that_fails_rejects_the_call_and_is_an_error_event(
    server: ScriptedServer, decide: Any, told: str
) -> None:
    session, events = await requested(server, hosted("docs", decide))
    assert answers(server) == [("m1", False, "The approval of this call failed.")]
    (error,) = [event for event in events if isinstance(event, stapes.Error)]
    with pytest.raises(BaseException, match=told):
        raise error.error
    await session.close()


async def test_a_reason_of_half_a_surrogate_pair_costs_its_character_alone(
    server: ScriptedServer,
) -> None:
    decide = at_once({"approve": False, "reason": "no \ud83d"})
    session, _ = await requested(server, hosted("docs", decide))
    assert answers(server) == [("m1", False, "no \ufffd")]
    await session.close()


async def test_a_decision_that_is_refused_is_still_to_be_made(server: ScriptedServer) -> None:
    session, events = await requested(server, hosted("docs"))
    (asked,) = [event for event in events if isinstance(event, stapes.ToolApprovalRequested)]
    with pytest.raises(TypeError, match="message must be text or None, not int"):
        session.reject(asked.approval, message=404)  # type: ignore[arg-type]
    await session.reject(asked.approval, message="not found")
    await settle(session, server)
    assert answers(server) == [("m1", False, "not found")]
    await session.close()


async def test_an_event_in_place_of_its_approval_is_refused_by_name(
    server: ScriptedServer,
) -> None:
    session, events = await requested(server, hosted("docs"))
    (asked,) = [event for event in events if isinstance(event, stapes.ToolApprovalRequested)]
    said = "approval must be a ToolApproval, not ToolApprovalRequested: give .*event.approval"
    for decide in (session.approve, session.reject):
        with pytest.raises(TypeError, match=said):
            decide(asked)
    await session.close()


async def test_a_decision_after_the_connection_is_lost_is_dropped(server: ScriptedServer) -> None:
    gate = asyncio.Event()

    async def decide(request: Any) -> Any:
        await gate.wait()
        return {"approve": True}

    session, events = await requested(server, hosted("docs", decide))
    await server.close(1001, "going away")
    await settle(session, server)
    gate.set()
    await settle(session, server)
    assert answers(server) == []
    assert not [event for event in events if isinstance(event, stapes.Error)]
