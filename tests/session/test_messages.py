"""Python's classes have the fields that the core fills, with the types that it fills them with."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from agents import FunctionTool, OutputGuardrailTripwireTriggered, RunContextWrapper
from agents.realtime import RealtimeAgent

from stapes import HistoryItem, ToolApproval, _core, events, items, speech_events
from stapes.items import McpApprovalRequestItem, McpCallItem
from stapes.session.dispatch import messages

# What the modules import for type checkers only.
NAMES = {
    "FunctionTool": FunctionTool,
    "HistoryItem": HistoryItem,
    "McpApprovalRequestItem": McpApprovalRequestItem,
    "McpCallItem": McpCallItem,
    "OutputGuardrailTripwireTriggered": OutputGuardrailTripwireTriggered,
    "RealtimeAgent": RealtimeAgent,
    "RunContextWrapper": RunContextWrapper,
    "Sequence": Sequence,
    "ToolApproval": ToolApproval,
    "items": items,
}


def class_of(name: str) -> Any:
    """Give the class that the core fills for that kind: an internal class goes first."""
    places = (messages, events, speech_events, items)
    return next((getattr(place, name) for place in places if hasattr(place, name)), None)


def kind_of(hint: Any) -> str:
    """Give a field's type in the words of the core's table."""
    if get_origin(hint) in {Union, types.UnionType}:
        kinds = {kind_of(part) for part in get_args(hint) if part is not type(None)}
        optional = " | None" if type(None) in get_args(hint) else ""
        if "unset" in kinds:
            kinds.remove("unset")
            optional = f" | unset{optional}"
        assert len(kinds) == 1, hint
        return kinds.pop() + optional
    if get_origin(hint) is tuple:
        return "parts"
    if get_origin(hint) is dict:
        return "data"
    if get_origin(hint) is Literal:
        return kind_of(type(get_args(hint)[0]))
    if get_origin(hint) is Sequence:
        return "history"
    if dataclasses.is_dataclass(hint):
        return "item"
    return {
        items.Unset: "unset",
        str: "str",
        int: "int",
        bool: "bool",
        float: "float",
        bytes: "bytes",
    }.get(hint) or ("exception" if issubclass(hint, BaseException) else repr(hint))


@pytest.mark.parametrize("name", sorted(_core.MESSAGES | _core.ITEMS))
def test_a_message_has_the_fields_that_the_core_fills(name: str):
    cls = class_of(name)
    assert cls is not None, f"neither stapes.session.dispatch.messages nor stapes.events has {name}"
    hints = get_type_hints(cls, localns=NAMES)
    declared = {field.name: kind_of(hints[field.name]) for field in dataclasses.fields(cls)}
    # JSON is handed out as text.
    table = _core.MESSAGES | _core.ITEMS
    filled = {field: kind.replace("json", "str") for field, kind in table[name].items()}
    assert declared == filled
    assert cls.__dataclass_params__.frozen
    assert not hasattr(cls, "__dict__") or "__slots__" in vars(cls)


def test_every_internal_message_is_filled_by_the_core():
    assert set(messages.__all__) - {"Message"} <= set(_core.MESSAGES)
