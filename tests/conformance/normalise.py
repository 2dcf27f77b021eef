"""stapes' events, items and errors in the shapes of the recorded traces."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Any

import stapes
from stapes import items
from stapes.items import UNSET
from tests.conformance.names import snake_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

_ITEM_KEYS = {
    "item_id": "itemId",
    "previous_item_id": "previousItemId",
    "server_label": "serverLabel",
}


def sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def audio(text: str | None) -> Any:
    if text is None:
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        return text
    return {"$audio": {"bytes": len(data), "sha1": sha1(data)}}


def part(value: items.MessagePart) -> dict[str, Any]:
    match value:
        case items.InputText(text=text) | items.OutputText(text=text):
            return {"type": value.type, "text": text}
        case items.InputAudio(transcript=transcript, audio=sound):
            return {"type": value.type, "audio": audio(sound), "transcript": transcript}
        case items.OutputAudio(transcript=transcript, audio=sound):
            return {"type": value.type, "transcript": transcript, "audio": audio(sound)}
        case items.InputImage(image_url=url, detail=detail):
            return {"type": value.type, "image": url} | ({"detail": detail} if detail else {})
        case items.OtherPart(raw=raw):
            return raw


def item(value: items.HistoryItem) -> dict[str, Any]:
    match value:
        case items.MessageItem():
            shown: dict[str, Any] = {"itemId": value.item_id, "type": "message", "role": value.role}
            if value.previous_item_id is not UNSET:
                shown["previousItemId"] = value.previous_item_id
            if value.status is not None:
                shown["status"] = value.status
            shown["content"] = [part(inner) for inner in value.content]
            return shown
        case items.FunctionCallItem() | items.McpCallItem():
            return {
                "itemId": value.item_id,
                "type": value.type,
                "status": value.status,
                "arguments": value.arguments,
                "name": value.name,
                "output": value.output,
            }
        case items.McpApprovalRequestItem():
            shown = {
                "itemId": value.item_id,
                "type": value.type,
                "serverLabel": value.server_label,
                "name": value.name,
                "arguments": value.arguments,
            }
            return shown if value.approved is None else shown | {"approved": value.approved}


def without_unstated_audio(shown: Any) -> Any:
    """For a session that keeps audio: a part that came without has no such key in the traces."""
    match shown:
        case {"type": "input_audio" | "output_audio", "audio": None}:
            return {key: value for key, value in shown.items() if key != "audio"}
        case dict():
            return {key: without_unstated_audio(value) for key, value in shown.items()}
        case list():
            return [without_unstated_audio(value) for value in shown]
        case _:
            return shown


def history(values: Sequence[items.HistoryItem]) -> list[dict[str, Any]]:
    return [item(value) for value in values]


def editable(value: items.HistoryItem) -> dict[str, Any]:
    """A history item as a mapping that `update_history` takes."""
    from stapes.session.history import items_as_json

    return dict(json.loads(items_as_json([value]))[0])


def error(raised: BaseException) -> dict[str, Any]:
    if isinstance(raised, stapes.ServerError):
        return {"kind": "server_error_event", "event": raised.event}
    return {"kind": "exception", "class": type(raised).__name__, "message": str(raised)}


def usage(value: Any) -> dict[str, Any]:
    return {
        "requests": value.requests,
        "input_tokens": value.input_tokens,
        "output_tokens": value.output_tokens,
        "total_tokens": value.total_tokens,
    }


def snapshot(session: stapes.RealtimeSession[Any]) -> dict[str, Any]:
    return {
        "history": history(session.history),
        "current_agent": session.current_agent.name,
        "muted": session.muted,
        "usage": usage(session.usage),
        "available_mcp_tools": [tool.name for tool in session.available_mcp_tools],
        "transport_status": session.status,
    }


def call(value: stapes.ToolCall) -> dict[str, Any]:
    return {
        "id": value.item_id,
        "call_id": value.call_id,
        "name": value.name,
        "arguments": value.arguments,
        "response_id": value.response_id,
    }


def approval(value: stapes.ToolApproval, index: int) -> dict[str, Any]:
    shown: dict[str, Any] = {"agent": value.agent.name, "type": value.kind}
    if value.kind == "function_approval":
        shown |= {
            "tool": value.tool_name,
            "approval_index": index,
            "approval": {
                "raw_type": "function_call",
                "name": value.tool_name,
                "arguments": value.arguments,
                "call_id": value.call_id,
                "id": value.item_id,
                "response_id": value.response_id,
            },
        }
    else:
        shown |= {
            "approval_index": index,
            "approval": {
                "raw_type": "hosted_tool_call",
                "name": value.tool_name,
                "arguments": value.arguments,
                "provider_data": {
                    "itemId": value.item_id,
                    "type": value.kind,
                    "serverLabel": value.server_label,
                },
            },
        }
    return shown


def event(value: stapes.SessionEvent, approvals: list[stapes.ToolApproval]) -> dict[str, Any]:
    """All but `transport_event`. Takes note of approvals that are asked for."""
    shown: dict[str, Any] = {"event": value.type}
    match value:
        case stapes.AgentEnd(agent=agent, output=output):
            return shown | {"agent": agent.name, "output": output}
        case stapes.AgentHandoff(from_agent=source, to_agent=target):
            return shown | {"from": source.name, "to": target.name}
        case stapes.AgentToolStart(agent=agent, tool=tool, tool_call=made):
            return shown | {"agent": agent.name, "tool": tool.name, "tool_call": call(made)}
        case stapes.AgentToolEnd(agent=agent, tool=tool, result=result, tool_call=made):
            return shown | {
                "agent": agent.name,
                "tool": tool.name,
                "result": result,
                "tool_call": call(made),
            }
        case stapes.Audio(data=data, response_id=response_id):
            return shown | {
                "response_id": response_id,
                "byte_length": len(data),
                "sha1": sha1(data),
            }
        case stapes.HistoryAdded(item=added):
            return shown | {"item": item(added)}
        case stapes.HistoryUpdated(history=version):
            return shown | {"history": history(version)}
        case stapes.ToolApprovalRequested(approval=asked):
            approvals.append(asked)
            return shown | approval(asked, len(approvals) - 1)
        case stapes.GuardrailTripped(agent=agent, error=raised, item_id=item_id):
            result = raised.guardrail_result
            name = result.guardrail.get_name()
            return shown | {
                "agent": agent.name,
                "item_id": item_id,
                "error": error(raised),
                "guardrail": name,
                "policy_hint": getattr(result.guardrail, "policy_hint", None) or name,
                "output_info": result.output.output_info,
            }
        case stapes.Error(error=raised):
            return shown | {"error": error(raised)}
        case stapes.McpToolsChanged(tools=tools):
            return shown | {"tools": [tool.name for tool in tools]}
        case stapes.McpToolCallCompleted(agent=agent, tool_call=made):
            return shown | {"agent": agent.name, "tool_call": item(made)}
        case stapes.ConnectionChanged(status=status, reason=reason):
            return shown | {"status": status, "reason": reason}
        case (
            stapes.TranscriptDelta()
            | stapes.TranscriptionFailed()
            | stapes.ResponseDone()
            | stapes.PlaybackEnded()
            | stapes.Lagging()
            | stapes.IdleTimeoutTriggered()
            | stapes.DtmfReceived()
            | stapes.CallPlaybackChanged()
        ):
            return shown
        case (
            stapes.AgentStart()
            | stapes.AudioStart()
            | stapes.AudioStopped()
            | stapes.AudioInterrupted()
        ):
            return shown | {"agent": value.agent.name}
        case _:
            raise AssertionError(f"no shape for {value!r}")


__all__ = ["editable", "error", "event", "history", "item", "snake_keys", "snapshot", "usage"]
