"""A pytest plugin: the SDK's own tests of its model, run with ours.

`scripts/run_sdk_tests.py` starts it. README.md in this folder says which tests apply, and by which
rule.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import agents.realtime
import agents.realtime.openai_realtime as theirs
import agents.realtime.runner
import pytest
from agents import UserError
from agents.realtime import RealtimeModelListener
from openai.types.realtime.realtime_session_create_request import RealtimeSessionCreateRequest

from stapes import WebSocketTransport
from stapes.agents_sdk import StapesRealtimeModel
from stapes.agents_sdk.settings import session_payload
from stapes.hub import LoopHub
from stapes.providers import OpenAI
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

SECONDS = 5.0

# Names of theirs that begin with an underscore and stand for something that crosses the interface.
BRIDGED = {
    "_websocket": "whether the model is connected",
    "_handle_ws_event": "the server sends an event",
    "_get_session_config": "the configuration that the server gets",
    "_tools_to_session_tools": "the tools in it",
    "_retire_response_audio": "a method of the base class RealtimeModel",
}

DEPARTURES = {
    "test_handle_malformed_json_logs_error_continues": "no event",
    "test_raw_event_preserves_null_previous_item_id": "identity",
    "test_incoming_message_size_limit[default-over-limit": "close code",
    "test_incoming_message_size_limit[other-config-over-limit": "close code",
    "test_incoming_message_size_limit[explicit-smaller-limit": "close code",
}
"""Tests that apply and cannot hold, by the reason's name in README.md."""

_made: list[SuiteModel] = []


class _Raw(RealtimeModelListener):
    """Counts the server's events, and errors in their place."""

    def __init__(self) -> None:
        self.count = 0

    async def on_event(self, event: Any) -> None:
        self.count += event.type in ("raw_server_event", "error")


class SuiteModel(StapesRealtimeModel):
    """Our model, with what their tests reach of theirs where that crosses the interface."""

    def __init__(self, *, transport_config: Any = None) -> None:
        # Their tests of a connection's end are about the model without survival.
        if transport_config is None:
            size = 8 * 1024 * 1024
            transport = WebSocketTransport(
                first_event_timeout=0, max_message_size=size, max_frame_size=size
            )
            super().__init__(transport=transport, reconnect=None)
        else:
            super().__init__(transport_config=transport_config, reconnect=None)
            # Their servers say nothing at first.
            quiet = replace(self._options.transport, first_event_timeout=0)
            self._options = replace(self._options, transport=quiet)
        self._script: ScriptedServer | None = None
        _made.append(self)

    @property
    def _websocket(self) -> Any:
        return None if self._connection is None else SimpleNamespace(close_code=None)

    async def _handle_ws_event(self, event: Mapping[str, Any]) -> None:
        if self._script is None:
            self._script = await ScriptedServer(first_event=None).__aenter__()
            await self.connect({"url": self._script.url, "api_key": "test-key"})
        raw = _Raw()
        self._listeners.append(raw)
        try:
            await self._script.send(event)
            assert self._connection is not None
            delivery, hub = self._connection._delivery, LoopHub.current()
            async with asyncio.timeout(SECONDS):
                while not (raw.count and hub.is_idle and not delivery._events):
                    await asyncio.sleep(0)
        finally:
            self._listeners.remove(raw)

    def _payload(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        joins_call = bool(getattr(self, "_call_id", None))
        return session_payload(settings, OpenAI(), self.model, joins_call=joins_call)

    def _get_session_config(self, settings: Mapping[str, Any]) -> RealtimeSessionCreateRequest:
        payload = self._payload(settings)
        choice = payload.pop("tool_choice", None)
        made = RealtimeSessionCreateRequest.model_validate(payload)
        # A name alone is more than their type takes, and not more than their model sends.
        made.tool_choice = choice
        return made

    def _tools_to_session_tools(self, tools: Any, handoffs: Any) -> Any:
        config = self._get_session_config({"tools": tools, "handoffs": handoffs})
        return config.tools

    async def end(self) -> None:
        await self.close()
        if self._script is not None:
            await self._script.__aexit__(None, None, None)


class SuiteSipModel(SuiteModel):
    """The same as their model of phone calls, which only insists on a call."""

    build_initial_session_payload = staticmethod(
        theirs.OpenAIRealtimeSIPModel.build_initial_session_payload
    )

    async def connect(self, options: Any) -> None:
        if not options.get("call_id"):
            raise UserError("OpenAIRealtimeSIPModel requires `call_id` in the model configuration.")
        await super().connect(options)


def pytest_configure(config: pytest.Config) -> None:
    for module in (theirs, agents.realtime, agents.realtime.runner):
        for name, ours in (
            ("OpenAIRealtimeWebSocketModel", SuiteModel),
            ("OpenAIRealtimeSIPModel", SuiteSipModel),
        ):
            if hasattr(module, name):
                setattr(module, name, ours)
    config.addinivalue_line("markers", "applies: the test goes through the model's interface")


@pytest.fixture(autouse=True)
async def _models_end() -> AsyncIterator[None]:
    yield
    while _made:
        await _made.pop().end()


def reason_against(function: Callable[..., Any], module_source: str) -> str | None:
    """Why a test does not apply; `None` where it does."""
    source = inspect.getsource(function)
    makes_model = re.search(r"OpenAIRealtime(WebSocket|SIP)Model\b|\bmodel_type\(|_model\(", source)
    takes_model = "model" in inspect.signature(function).parameters
    if not re.search(r"OpenAIRealtime(WebSocket|SIP)Model", module_source):
        return "makes no model of theirs: their session over a stub, or values alone"
    if not (makes_model or takes_model):
        return "makes no model of theirs: their session over a stub, or values alone"
    if re.search(r"(patch(\.object)?|setattr)\(\s*\"?(websockets|asyncio|agents\.)", source):
        return "replaces a function within their model"
    if re.search(r"setattr\(\s*(model|fresh|module|websockets|_?openai_realtime)\b", source):
        return "replaces a method of their model"
    if re.search(r"\b\w*(model|fresh|m)\._\w+ = ", source):
        return "sets private state of their model"
    private = set(re.findall(r"\b\w*(?:model|fresh|Model|m)\.(_[a-z]\w*)", source)) - set(BRIDGED)
    if private:
        return f"reads or calls private parts of their model ({', '.join(sorted(private))})"
    if "logger" in source or "caplog" in source:
        return "reads their log"
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps the tests that apply, and counts the others by why they do not."""
    kept, dropped, reasons = [], [], {}
    for item in items:
        assert isinstance(item, pytest.Function)
        reason = reason_against(item.function, item.path.read_text())
        if reason is None:
            kept.append(item)
        else:
            dropped.append(item)
        reasons[item.nodeid] = reason
    for item in kept:
        for name, why in DEPARTURES.items():
            if name in item.nodeid:
                item.add_marker(pytest.mark.xfail(reason=why, strict=True))
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept
    config.stash[_REASONS] = reasons


_REASONS: pytest.StashKey[dict[str, str | None]] = pytest.StashKey()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Says, for each file and reason, how many tests do not apply; and which do."""
    counts: dict[tuple[str, str], int] = {}
    for node, reason in config.stash.get(_REASONS, {}).items():
        file = node.split("::")[0].rsplit("/", 1)[-1]
        key = (file, re.sub(r" \(.*", "", reason or "applies"))
        counts[key] = counts.get(key, 0) + 1
    terminalreporter.section("which of the SDK's tests apply")
    for (file, reason), count in sorted(counts.items()):
        terminalreporter.write_line(f"| {file} | {count} | {reason} |")
