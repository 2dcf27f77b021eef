"""What must hold when nothing is under way any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes import FunctionCallItem, MessageItem

if TYPE_CHECKING:
    from tests.random_conversations.model_server import ModelServer
    from tests.random_conversations.record import Record


def check_rest(record: Record, server: ModelServer, *, is_connected: bool) -> None:
    """Checks a conversation of which nothing is under way."""
    require = record.require
    require(record.sound_is_over, "sound_paired", "AudioStart is not followed by an end")
    open_responses = [response for response, count in record.responses.items() if count]
    require(not open_responses, "responses_paired", f"{open_responses} do not end")
    _check_tools(record)
    waiting = {approval.call_id for approval in record.approvals}
    for item in record.session.history:
        if isinstance(item, MessageItem):
            require(item.status != "in_progress", "half_done", f"{item.item_id} is in progress")
        if isinstance(item, FunctionCallItem) and item.call_id not in waiting:
            is_done = item.output is not None and item.status == "completed"
            require(is_done or not is_connected, "half_done", f"{item.item_id} has no output")
    ids = [item.item_id for item in record.session.history]
    require(len(ids) == len(set(ids)), "duplicates", f"{ids}")
    if not is_connected:
        return
    theirs = [item for item in server.order if server.items[item].kind != "output"]
    require(set(ids) == set(theirs), "history", f"{set(ids) ^ set(theirs)}")
    for call_id, answers in server.calls.items():
        expected = 0 if call_id in waiting else 1
        name = server.items[call_id].name
        require(
            len(answers) == expected,
            "call_answered",
            f"{name} {call_id} is answered {len(answers)} times",
        )
        run = record.stage.runs.get(call_id)
        is_background = run is not None and run.outcome == "background"
        for tick in answers:
            # A request that is withdrawn and refused is not made again.
            is_withdrawn = server.refused and record.withdrawals
            asked = is_background or is_withdrawn or server.last_answer > tick
            require(asked, "model_asked", f"no response follows the output of {name} {call_id}")
    said = [item.added for item in server.items.values() if item.kind == "user"]
    require(not said or not server.refused or server.last_answer > 0, "model_asked", "no response")
    for update in record.updates[-1:]:
        record.check_update(update)


def _check_tools(record: Record) -> None:
    errors = [f"{error.context} {error.error}" for error in record.errors]
    for call_id, tool in record.tools.items():
        if tool.closed:
            continue
        about = [text for text in errors if call_id in text]
        if tool.lost:
            record.require(about, "lost_result", f"nothing is said of {tool.name} {call_id}")
        told = tool.ended or any(tool.name in text for text in errors)
        record.require(told, "tools_paired", f"nothing is said of the end of {tool.name} {call_id}")
    for call_id, run in record.stage.runs.items():
        told = record.tools.get(call_id)
        if run.outcome not in ("raise", "cancelled") or (told and (told.lost or told.closed)):
            continue
        about = [text for text in errors if run.name in text]
        record.require(about, "failure_told", f"nothing is said of the failure of {run.name}")
