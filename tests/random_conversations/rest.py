"""What must hold when nothing is under way any more.

What the user's `close()` leaves is told no end, as in the reference: no `AgentEnd`, no end of
sound, and the history stays as it was told, until the next connection begins another one.
A connection that is lost ends all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes import FunctionCallItem, MessageItem

if TYPE_CHECKING:
    from tests.random_conversations.model_server import ModelServer
    from tests.random_conversations.record import Record


def check_rest(record: Record, server: ModelServer, *, is_connected: bool) -> None:
    """Checks a conversation of which nothing is under way."""
    require = record.require
    # Sound stops where the server says that it is complete. That of a server which does not say so
    # stops when the next response begins or the connection is lost: the reference tells nothing of
    # sound when its response ends.
    over = record.sound_is_over or record.is_closed or not server.persona.says_audio_done
    require(over, "sound_paired", "AudioStart is not followed by an end")
    open_responses = [response for response, count in record.responses.items() if count]
    ended = record.is_closed or not open_responses
    require(ended, "responses_paired", f"{open_responses} do not end")
    _check_tools(record)
    waiting = {approval.call_id for approval in record.approvals}
    for item in record.session.history:
        if isinstance(item, MessageItem):
            done = item.status != "in_progress" or record.is_closed
            require(done, "half_done", f"{item.item_id} is in progress")
        if isinstance(item, FunctionCallItem) and item.call_id not in waiting:
            is_done = item.output is not None and item.status == "completed"
            require(is_done or not is_connected, "half_done", f"{item.item_id} has no output")
    ids = [item.item_id for item in record.session.history]
    require(len(ids) == len(set(ids)), "duplicates", f"{ids}")
    if not is_connected:
        return
    _check_history(record, server)
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
            # A request that is withdrawn and refused, or lost, is not made again.
            is_withdrawn = (server.refused or record.restorations) and record.withdrawals
            asked = is_background or is_withdrawn or server.last_answer > tick
            asked = asked or _was_answered(server, call_id)
            require(asked, "model_asked", f"no response follows the output of {name} {call_id}")
    said = [item.added for item in server.items.values() if item.kind == "user"]
    require(not said or not server.refused or server.last_answer > 0, "model_asked", "no response")
    for update in record.updates[-1:]:
        record.check_update(update)


def _was_answered(server: ModelServer, call_id: str) -> bool:
    """Whether an answer of an earlier connection stands behind that call."""
    call = next(at for at in server.order if server.items[at].call_id == call_id)
    after = server.order[server.order.index(call) + 1 :]
    return any(server.items[it].told and server.items[it].kind == "answer" for it in after)


def _check_history(record: Record, server: ModelServer) -> None:
    """The server's conversation is the history: items, their order, what was heard of answers."""
    hidden = {"output", "system"}
    theirs = [item for item in server.order if server.items[item].kind not in hidden]
    ours = {
        item.item_id: item
        for item in record.session.history
        if not (isinstance(item, MessageItem) and item.role == "system")
    }
    # A new connection is not told an answer of which nothing was heard.
    silent = {item_id for item_id, item in ours.items() if record.restorations and _is_silent(item)}
    missing = set(theirs) - set(ours)
    more = set(ours) - set(theirs) - silent
    record.require(not missing and not more, "history", f"missing {missing}, too many {more}")
    shared = [item_id for item_id in ours if item_id in server.items and item_id in theirs]
    if record.restorations:
        record.require(
            shared == [it for it in theirs if it in ours], "order", f"{shared}, not {theirs}"
        )
    for item_id in shared:
        known, item = server.items[item_id], ours[item_id]
        if known.told and known.kind == "answer" and isinstance(item, MessageItem):
            said = _heard(item)
            record.require(
                known.parts[0].split() == said.split(),
                "heard",
                f"{item_id}: the server has {known.parts[0]!r}, the history {said!r}",
            )


def _heard(item: MessageItem) -> str:
    words = []
    for part in item.content:
        whole = getattr(part, "transcript", None) or getattr(part, "text", None) or ""
        heard = getattr(part, "heard", None)
        words.append(whole if heard is None else heard)
    return " ".join(words)


def _is_silent(item: object) -> bool:
    return isinstance(item, MessageItem) and item.role == "assistant" and not _heard(item).strip()


def _check_tools(record: Record) -> None:
    errors = [*record.raised, *(f"{error.context} {error.error}" for error in record.errors)]
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
