"""Conversations that the provider holds itself, and goes on with over another connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from stapes import Error, HistoryAdded, ReconnectPolicy, SessionRestored
from stapes.providers import XAI
from tests.providers import accents
from tests.providers.dialling import dials

if TYPE_CHECKING:
    from tests.talk import Talk, Talks

ASKED = "When is it open?"
ANSWERED = "We open at nine in the morning and close at five."


def message(item_id: str, role: str, text: str) -> dict[str, Any]:
    """An item as the server states it anew: as text."""
    part = {"type": "input_text" if role == "user" else "text", "text": text}
    item = {"id": item_id, "type": "message", "role": role, "status": "completed"}
    return {"type": "conversation.item.added", "item": {**item, "content": [part]}}


UPDATED = {"type": "session.updated", "session": {"voice": "ara"}}


async def a_talk(talks: Talks, **options: Any) -> Talk:
    """A conversation with a question and an answer, after which the connection was lost."""
    talks.server.begin_with(accents.XAI.begins())
    policy = ReconnectPolicy(first_delay=5)
    talk = await talks.begin(provider=XAI(), reconnect=policy, **options)
    await talk.says(*accents.XAI.follows())
    await talk.says(*accents.XAI.user("item_u", ASKED, None))
    await talk.says(accents.XAI.starts("resp_1"))
    await talk.says(*accents.XAI.speaks("resp_1", "item_a", ANSWERED, bytes(4800)))
    await talk.says(*accents.XAI.has_spoken("resp_1", "item_a", ANSWERED))
    await talk.after(1)
    return talk


async def lose(talk: Talk, seconds: float = 5) -> None:
    """The connection is lost, and another one is made, on which the server has not begun."""
    talk.server.terminate()
    await talk.settle()
    await dials(talk, seconds)


def asked_for(talk: Talk) -> list[str | None]:
    """The conversation that each connection asked for."""
    queries = [parse_qs(urlsplit(handshake.path).query) for handshake in talk.server.handshakes]
    return [query.get("conversation_id", [None])[0] for query in queries]


def created(talk: Talk) -> list[str]:
    return [m["item"]["type"] for m in talk.sent("conversation.item.create")]


async def test_the_server_is_asked_to_keep_the_conversation(talks: Talks):
    talk = await a_talk(talks)
    assert talk.sent("session.update")[0]["session"]["resumption"] == {"enabled": True}
    assert asked_for(talk) == [None]


async def test_a_conversation_that_the_server_holds_is_not_told_to_it(talks: Talks):
    talk = await a_talk(talks)
    before = list(talk.session.history)
    await lose(talk)
    assert talk.session.status == "reconnecting", "until the server has named its conversation"
    await talk.says(*accents.XAI.follows())
    # Items have other ids now, and not all of them come back.
    await talk.says(message("new_a", "assistant", ANSWERED), UPDATED)
    assert asked_for(talk) == [None, "conv_1"]
    assert created(talk) == []
    [restored] = talk.seen(SessionRestored)
    assert (restored.resumed, restored.items, restored.left_out) == (True, 0, 0)
    assert list(talk.session.history) == before
    assert talk.seen(Error) == []


async def test_items_keep_their_ids_for_the_user_and_have_the_servers_on_the_wire(talks: Talks):
    talk = await a_talk(talks)
    await lose(talk)
    await talk.says(*accents.XAI.follows())
    await talk.says(
        message("new_u", "user", ASKED), message("new_a", "assistant", ANSWERED), UPDATED
    )
    added = len(talk.seen(HistoryAdded))
    new = message("item_v", "user", "And on Sunday?")
    await talk.says({**new, "previous_item_id": "new_u"})
    assert [item.item_id for item in talk.session.history] == ["item_u", "item_v", "item_a"]
    assert len(talk.seen(HistoryAdded)) == added + 1
    talk.session.update_history([it for it in talk.session.history if it.item_id != "item_a"])
    await talk.settle()
    assert [m["item_id"] for m in talk.sent("conversation.item.delete")] == ["new_a"]
    await talk.says({"type": "conversation.item.deleted", "item_id": "new_a"})
    assert [item.item_id for item in talk.session.history] == ["item_u", "item_v"]
    assert talk.seen(Error) == []


async def test_an_item_that_came_while_nobody_was_connected_is_news(talks: Talks):
    talk = await a_talk(talks)
    await lose(talk)
    await talk.says(*accents.XAI.follows())
    later = "Shall I book a table?"
    await talk.says(
        message("new_a", "assistant", ANSWERED), message("new_b", "assistant", later), UPDATED
    )
    assert list(talk.heard().values()) == [ASKED, ANSWERED, later]


async def test_an_answer_that_was_cut_is_known_again_by_its_beginning(talks: Talks):
    talk = await a_talk(talks)
    await talk.says(accents.XAI.starts("resp_2"))
    half = "We are closed on"
    await talk.says(*accents.XAI.speaks("resp_2", "item_b", half, bytes(48_000)))
    await lose(talk)
    heard = talk.heard()
    await talk.says(*accents.XAI.follows())
    await talk.says(
        message("new_a", "assistant", ANSWERED),
        message("new_b", "assistant", f"{half} Sundays, and open on all other days."),
        UPDATED,
    )
    assert talk.heard() == heard
    assert talk.session.status == "connected"


async def test_each_loss_asks_for_the_conversation_anew(talks: Talks):
    talk = await a_talk(talks)
    for _ in range(2):
        await lose(talk)
        await talk.says(*accents.XAI.follows())
        await talk.says(message("new_a", "assistant", ANSWERED), UPDATED)
    assert asked_for(talk) == [None, "conv_1", "conv_1"]
    assert [event.resumed for event in talk.seen(SessionRestored)] == [True, True]
    assert list(talk.heard()) == ["item_u", "item_a"]


async def test_a_server_with_another_conversation_is_told_the_history(talks: Talks):
    talk = await a_talk(talks)
    await lose(talk)
    await talk.says(*accents.XAI.follows("conv_2"))
    assert [event.resumed for event in talk.seen(SessionRestored)] == [False]
    assert created(talk) == ["message"] * 3, "the question, the answer, and how to go on"
    await lose(talk)
    assert asked_for(talk) == [None, "conv_1", "conv_2"]


@pytest.mark.parametrize("how", ["status", "error", "close"])
async def test_a_conversation_that_the_server_has_no_more_is_told_to_another(
    talks: Talks, how: str
):
    talk = await a_talk(talks)
    if how == "status":
        talk.server.terminate()
        talk.server.refuse(404)
        await talk.settle()
        await talk.after(5)
    else:
        await lose(talk)
    if how == "error":
        gone = {"type": "invalid_request_error", "code": "not_found", "message": "No such one."}
        await talk.says({"type": "error", "error": gone})
    elif how == "close":
        await talk.server.close(1008, "conversation not found")
        await talk.settle()
    talk.server.refuse(None)
    await dials(talk, 60)
    assert asked_for(talk) == [None, "conv_1", None]
    await talk.says(*accents.XAI.follows("conv_3"))
    assert talk.session.status == "connected"
    assert [event.resumed for event in talk.seen(SessionRestored)] == [False]
    assert list(talk.heard().values()) == [ASKED, ANSWERED]


async def test_an_attempt_that_never_arrives_leaves_the_conversation_to_the_next(talks: Talks):
    talk = await a_talk(talks)
    talk.server.terminate()
    talk.server.refuse(503)
    await talk.settle()
    await talk.after(5)
    talk.server.refuse(None)
    await dials(talk, 60)
    assert asked_for(talk) == [None, "conv_1", "conv_1"]


async def test_a_key_that_is_asked_for_each_time_changes_nothing(talks: Talks):
    talk = await a_talk(talks, api_key=lambda: "key")
    await lose(talk)
    assert asked_for(talk) == [None, "conv_1"]
