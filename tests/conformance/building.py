"""Agents, tools, handoffs and guardrails of a scenario, as a user of stapes would write them."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from agents import (
    FunctionTool,
    GuardrailFunctionOutput,
    HostedMCPTool,
    OutputGuardrail,
    RunContextWrapper,
    function_tool,
)
from agents.realtime import realtime_handoff
from agents.tool_context import ToolContext
from pydantic import Field

from stapes import (
    RealtimeAgent,
    RealtimeOutputGuardrail,
    ToolExecution,
    background_result,
    current_session,
)
from stapes.providers import OpenAI, SessionDefaults
from tests.conformance.names import snake_keys

Record = Callable[..., None]
_ABSENT = object()
_TYPES = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
}


@dataclass(frozen=True)
class ReferenceDefaults(OpenAI):
    """OpenAI with the reference's transcription model, so that all else is compared in full."""

    @property
    def defaults(self) -> SessionDefaults:
        return SessionDefaults(
            transcription={"model": "gpt-4o-mini-transcribe"},
            turn_detection={"type": "semantic_vad"},
        )


@dataclass(slots=True)
class Gates:
    """What tools and guardrails wait for until the scenario opens it."""

    _opened: dict[str, asyncio.Event] = field(default_factory=dict)

    async def wait(self, name: str) -> None:
        await self._opened.setdefault(name, asyncio.Event()).wait()

    def release(self, name: str) -> None:
        self._opened.setdefault(name, asyncio.Event()).set()


class Cast:
    """The agents of a scenario by name, with all that they have."""

    def __init__(self, scenario: dict[str, Any], record: Record) -> None:
        self._record = record
        self.gates = Gates()
        self.agents: dict[str, RealtimeAgent[Any]] = {}
        for described in scenario["agents"]:
            self.agents[described["name"]] = self._agent(described)
        for described in scenario["agents"]:
            agent = self.agents[described["name"]]
            agent.handoffs = [self._handoff(entry) for entry in described.get("handoffs", [])]
        self.initial = self.agents[scenario.get("initial_agent") or scenario["agents"][0]["name"]]
        self.guardrails = [
            self._guardrail(described)
            for described in scenario["session"].get("output_guardrails", [])
        ]

    def _agent(self, described: dict[str, Any]) -> RealtimeAgent[Any]:
        prompt = described.get("prompt")
        if prompt is not None:
            prompt = {**prompt}
            prompt["id"] = prompt.pop("promptId")
        return RealtimeAgent(
            name=described["name"],
            instructions=_instructions(described.get("instructions")),
            voice=described.get("voice"),
            handoff_description=described.get("handoff_description"),
            prompt=prompt,
            tools=[self._tool(tool) for tool in described.get("tools", [])],
        )

    def _handoff(self, entry: str | dict[str, Any]) -> Any:
        if isinstance(entry, str):
            return self.agents[entry]
        agent = self.agents[entry["agent"]]
        options: dict[str, Any] = {
            key: entry[key]
            for key in ("tool_name_override", "tool_description_override", "is_enabled")
            if entry.get(key) is not None
        }
        # Upstream's default name is in lower case, the reference's is not.
        options.setdefault("tool_name_override", f"transfer_to_{entry['agent']}".replace(" ", "_"))
        if (message := entry.get("on_handoff_raises")) is not None:

            def on_handoff(context: RunContextWrapper[Any]) -> None:
                raise Exception(message)

            options["on_handoff"] = on_handoff
        return realtime_handoff(agent, **options)

    def _tool(self, described: dict[str, Any]) -> FunctionTool | HostedMCPTool:
        if described.get("kind") == "hosted_mcp":
            return _hosted_mcp(described["options"])
        behaviour = described["behaviour"]
        name = described["name"]

        async def run(context: RunContextWrapper[Any], args: Any) -> Any:
            self._record("tool_run", tool=name, args=args)
            if (gate := behaviour.get("gate")) is not None:
                await self.gates.wait(gate)
            if (raised := behaviour.get("raises")) is not None:
                raise Exception(raised["message"])
            if behaviour.get("returns_history_ids"):
                result: Any = [item.item_id for item in current_session().history]
            else:
                result = behaviour.get("returns")
            return background_result(result) if behaviour.get("background") else result

        tool = (
            _plain(described, run)
            if described.get("schema_kind") == "plain"
            else _validated(described, run)
        )
        tool.needs_approval = _approval_policy(described.get("needs_approval", False))
        tool.is_enabled = described.get("is_enabled", True)
        return tool

    def _guardrail(self, described: dict[str, Any]) -> OutputGuardrail[Any]:
        name = described["name"]

        async def check(context: Any, agent: Any, text: str) -> GuardrailFunctionOutput:
            self._record("guardrail_run", guardrail=name, text=text)
            gated = described.get("gate_when_contains")
            if described.get("gate") is not None and (gated is None or gated in text):
                await self.gates.wait(described["gate"])
            crash = described.get("raises_when_contains")
            if crash is not None and crash in text:
                raise Exception(described.get("raises_message", ""))
            trips = described.get("trip_when_contains")
            return GuardrailFunctionOutput(
                output_info=described.get("output_info", {}),
                tripwire_triggered=trips is not None and trips in text,
            )

        return RealtimeOutputGuardrail(
            guardrail_function=check, name=name, policy_hint=described.get("policy_hint")
        )


def _hosted_mcp(options: dict[str, Any]) -> HostedMCPTool:
    """What the JS SDK's `hostedMcpTool` helper makes of its options, written out."""
    config = {"require_approval": "never", **snake_keys(options)}
    if isinstance(allowed := config.get("allowed_tools"), list):
        config["allowed_tools"] = {"tool_names": allowed}
    return HostedMCPTool(tool_config={"type": "mcp", **config})


def _instructions(described: Any) -> Any:
    if not isinstance(described, dict):
        return described

    def instructions(context: RunContextWrapper[Any], agent: Any) -> str:
        return described["from_context"].format(**(context.context or {}))

    return instructions


def _approval_policy(described: Any) -> Any:
    if not isinstance(described, dict):
        return described

    async def needs_approval(context: Any, args: dict[str, Any], call_id: str) -> bool:
        return bool(args.get(described["when_arg"]) == described["equals"])

    return needs_approval


def _error_function(behaviour: dict[str, Any]) -> dict[str, Any]:
    if "error_function" not in behaviour:
        return {}
    text = behaviour["error_function"]
    if text is None:
        return {"failure_error_function": None}
    return {
        "failure_error_function": lambda context, error: text.replace("{error}", str(error)),
    }


def _validated(described: dict[str, Any], run: Callable[..., Any]) -> FunctionTool:
    """A function with a typed signature, whose arguments pydantic checks."""
    schema = described["parameters"]
    required = set(schema.get("required", ()))

    async def function(context: ToolContext[Any], **arguments: Any) -> Any:
        given = {key: value for key, value in arguments.items() if value is not _ABSENT}
        return await run(context, given)

    parameters = [
        inspect.Parameter(
            "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=ToolContext[Any]
        )
    ]
    for key, property_ in schema.get("properties", {}).items():
        kind: Any = _TYPES.get(property_.get("type"), Any)
        default = inspect.Parameter.empty if key in required else _ABSENT
        parameters.append(
            inspect.Parameter(
                key,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=Annotated[kind, Field(description=property_.get("description"))],
                default=default,
            )
        )
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters}
    tool = function_tool(
        function,
        name_override=described["name"],
        description_override=described.get("description", ""),
        strict_mode=False,
        **_error_function(described["behaviour"]),
    )
    tool.params_json_schema = schema
    return tool


def _plain(described: dict[str, Any], run: Callable[..., Any]) -> FunctionTool:
    """A tool that is given by its JSON schema and takes what comes."""
    options = _error_function(described["behaviour"])
    fail = options.get(
        "failure_error_function",
        lambda context, error: "An error occurred while running the tool. Please try again.",
    )

    async def invoke(context: ToolContext[Any], arguments: str) -> Any:
        try:
            return await run(context, json.loads(arguments))
        except Exception as error:
            if fail is None:
                raise
            return fail(context, error)

    return FunctionTool(
        name=described["name"],
        description=described.get("description", ""),
        params_json_schema=described["parameters"],
        on_invoke_tool=invoke,
        strict_json_schema=False,
    )


def session_options(scenario: dict[str, Any], cast: Cast) -> dict[str, Any]:
    """What `RealtimeSession` takes, from the scenario's `session`."""
    given = scenario["session"]
    # The reference does not connect again.
    options: dict[str, Any] = {
        "output_guardrails": cast.guardrails,
        "reconnect": None,
        "provider": ReferenceDefaults(),
    }
    for key in (
        "model",
        "context",
        "history_store_audio",
        "tracing_disabled",
        "group_id",
        "trace_metadata",
        "workflow_name",
        "automatically_trigger_response_for_mcp_tool_calls",
    ):
        if key in given:
            options[key] = given[key]
    if "config" in given:
        options["config"] = snake_keys(given["config"])
    if "debounce_text_length" in given:
        options["output_guardrail_settings"] = {
            "debounce_text_length": given["debounce_text_length"]
        }
    if "tool_execution" in given:
        options["tool_execution"] = ToolExecution(**snake_keys(given["tool_execution"]))
    return options
