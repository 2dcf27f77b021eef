"""The shapes of what a client may send: sessions, items, responses, events (GA realtime API)."""

from __future__ import annotations

from stapes.devserver.session.schema import (
    Check,
    anything,
    boolean,
    by_type,
    fields,
    listing,
    mapping,
    nullable,
    number,
    one_of,
    pairs,
    tagged,
    text,
)

_NAME = r"^[a-zA-Z0-9_-]+$"
_whole = number(whole=True)
_string = text()
TOKENS = by_type(string=one_of("inf"), number=number(lowest=1, highest=4096, whole=True))
_modalities = listing(one_of("text", "audio"), longest=1)
_effort = one_of("minimal", "low", "medium", "high", "xhigh")

# --- session -------------------------------------------------------------------------------------

_is = {"type": anything}
_format = tagged(
    "type",
    {
        "audio/pcm": fields(_is, {"rate": number(lowest=24_000, highest=24_000, whole=True)}),
        "audio/pcmu": fields(_is, {}),
        "audio/pcma": fields(_is, {}),
    },
)
_turn_detection = tagged(
    "type",
    {
        "server_vad": fields(
            _is,
            {
                "threshold": nullable(number(lowest=0, highest=1)),
                "prefix_padding_ms": nullable(number(lowest=0, highest=5_000, whole=True)),
                "silence_duration_ms": nullable(number(lowest=0, highest=10_000, whole=True)),
                "idle_timeout_ms": nullable(number(lowest=5_000, highest=30_000, whole=True)),
                "create_response": nullable(boolean),
                "interrupt_response": nullable(boolean),
            },
        ),
        "semantic_vad": fields(
            _is,
            {
                "eagerness": nullable(one_of("low", "medium", "high", "auto")),
                "create_response": nullable(boolean),
                "interrupt_response": nullable(boolean),
            },
        ),
    },
)
_transcription = fields(
    {},
    {
        "model": nullable(_string),
        "language": nullable(_string),
        "languages": nullable(listing(_string)),
        "prompt": nullable(_string),
        "keywords": nullable(listing(_string)),
        "delay": nullable(one_of("minimal", "low", "medium", "high", "xhigh")),
    },
)
NOISE_REDUCTION = fields(
    {},
    {"type": one_of("near_field", "far_field"), "strength": number(lowest=0, highest=1)},
)
_voice = by_type(string=_string, object=fields({"id": _string}, {}))
_speed = number(lowest=0.25, highest=1.5)
INPUT_AUDIO: dict[str, Check] = {
    "format": _format,
    "noise_reduction": nullable(NOISE_REDUCTION),
    "transcription": nullable(_transcription),
    "turn_detection": nullable(_turn_detection),
}
_audio = fields(
    {},
    {
        "input": fields({}, INPUT_AUDIO),
        "output": fields({}, {"format": _format, "voice": _voice, "speed": _speed}),
    },
)
FUNCTION_TOOL = fields(
    {"type": anything, "name": text(longest=64, pattern=_NAME)},
    {"description": nullable(_string), "parameters": nullable(mapping)},
)
_mcp_tool = fields(
    {"type": anything, "server_label": _string},
    dict.fromkeys(
        (
            "server_url",
            "server_description",
            "connector_id",
            "authorization",
            "headers",
            "allowed_tools",
            "require_approval",
            "allowed_callers",
            "defer_loading",
            "tunnel_id",
        ),
        anything,
    ),
)
TOOLS = listing(tagged("type", {"function": FUNCTION_TOOL, "mcp": _mcp_tool}), longest=128)
TOOL_CHOICE = by_type(
    string=one_of("none", "auto", "required"),
    object=tagged(
        "type",
        {
            "function": fields({"type": anything, "name": _string}, {}),
            "mcp": fields({"type": anything, "server_label": _string}, {"name": nullable(_string)}),
        },
    ),
)
TRACING = by_type(
    string=one_of("auto"),
    object=fields({}, {"workflow_name": _string, "group_id": _string, "metadata": mapping}),
)
_truncation = by_type(
    string=one_of("auto", "disabled"),
    object=tagged(
        "type",
        {
            "retention_ratio": fields(
                {"type": anything, "retention_ratio": number(lowest=0, highest=1)},
                {"token_limits": nullable(fields({}, {"post_instructions": _whole}))},
            )
        },
    ),
)
_prompt = fields({"id": _string}, {"version": nullable(_string), "variables": nullable(mapping)})
METADATA = pairs(text(longest=512), most=16, longest_key=64)

SESSION: Check = tagged(
    "type",
    {
        "realtime": fields(
            {"type": anything},
            {
                "model": _string,
                "instructions": _string,
                "output_modalities": _modalities,
                "audio": _audio,
                "tools": TOOLS,
                "tool_choice": TOOL_CHOICE,
                "parallel_tool_calls": nullable(boolean),
                "reasoning": nullable(fields({}, {"effort": nullable(_effort)})),
                "max_output_tokens": TOKENS,
                "tracing": nullable(TRACING),
                "truncation": _truncation,
                "prompt": nullable(_prompt),
                "include": nullable(listing(one_of("item.input_audio_transcription.logprobs"))),
            },
        )
    },
)

# --- items ---------------------------------------------------------------------------------------

_item_id = text(longest=32)
_status = one_of("completed", "incomplete", "in_progress")
_common = {
    "id": nullable(_item_id),
    "object": one_of("realtime.item"),
    "status": nullable(_status),
}
USER_CONTENT = tagged(
    "type",
    {
        "input_text": fields({"type": anything, "text": _string}, {}),
        "input_audio": fields(
            {"type": anything, "audio": _string}, {"transcript": nullable(_string)}
        ),
        "input_image": fields(
            {"type": anything, "image_url": _string}, {"detail": one_of("auto", "low", "high")}
        ),
    },
)
_assistant_content = tagged(
    "type", {"output_text": fields({"type": anything, "text": _string}, {})}
)
SYSTEM_CONTENT = tagged("type", {"input_text": fields({"type": anything, "text": _string}, {})})


def message(content: Check) -> Check:
    """Accept a message with parts of that content."""
    return fields({"type": anything, "role": anything, "content": listing(content)}, _common)


_call_id = text(longest=32, pattern=_NAME)
_approval_response = fields(
    {"type": anything, "approval_request_id": _string, "approve": boolean},
    {**_common, "reason": nullable(_string)},
)
ITEMS: dict[str, Check] = {
    "message": tagged(
        "role",
        {
            "user": message(USER_CONTENT),
            "assistant": message(_assistant_content),
            "system": message(SYSTEM_CONTENT),
        },
    ),
    "function_call": fields(
        {"type": anything, "name": _string, "arguments": _string},
        {**_common, "call_id": nullable(_call_id)},
    ),
    "function_call_output": fields(
        {"type": anything, "call_id": _call_id, "output": _string}, _common
    ),
    "mcp_approval_response": _approval_response,
}
ITEM: Check = tagged("type", ITEMS)
INPUT_ITEM: Check = tagged(
    "type", {**ITEMS, "item_reference": fields({"type": anything, "id": _string}, {})}
)

# --- responses -----------------------------------------------------------------------------------

RESPONSE: Check = fields(
    {},
    {
        "instructions": nullable(_string),
        "output_modalities": nullable(_modalities),
        "audio": nullable(
            fields({}, {"output": nullable(fields({}, {"format": _format, "voice": _voice}))})
        ),
        "tools": nullable(TOOLS),
        "tool_choice": nullable(TOOL_CHOICE),
        "parallel_tool_calls": nullable(boolean),
        "reasoning": nullable(fields({}, {"effort": nullable(_effort)})),
        "max_output_tokens": nullable(TOKENS),
        "conversation": nullable(one_of("auto", "none")),
        "input": nullable(listing(INPUT_ITEM)),
        "metadata": nullable(METADATA),
        "prompt": nullable(_prompt),
    },
)

# --- client events -------------------------------------------------------------------------------


def client_event(required: dict[str, Check], optional: dict[str, Check] | None = None) -> Check:
    """Accept an event with these fields beside its type and id."""
    return fields(
        {"type": anything, **required},
        {"event_id": nullable(text(longest=512)), **(optional or {})},
    )


CLIENT_EVENTS: dict[str, Check] = {
    "session.update": client_event({"session": SESSION}),
    "input_audio_buffer.append": client_event({"audio": _string}),
    "input_audio_buffer.commit": client_event({}),
    "input_audio_buffer.clear": client_event({}),
    "conversation.item.create": client_event(
        {"item": ITEM}, {"previous_item_id": nullable(_string)}
    ),
    "conversation.item.truncate": client_event(
        {
            "item_id": _string,
            "content_index": number(lowest=0, whole=True),
            "audio_end_ms": number(lowest=0, whole=True),
        }
    ),
    "conversation.item.delete": client_event({"item_id": _string}),
    "conversation.item.retrieve": client_event({"item_id": _string}),
    "response.create": client_event({}, {"response": nullable(RESPONSE)}),
    "response.cancel": client_event({}, {"response_id": nullable(_string)}),
}
CLIENT_EVENT: Check = tagged("type", CLIENT_EVENTS)
PEER_CLIENT_EVENT: Check = tagged(
    "type", {**CLIENT_EVENTS, "output_audio_buffer.clear": client_event({})}
)
"""What a client may send where sound travels apart from the events."""
