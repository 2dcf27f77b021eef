"""Histories that are stored, edited, and taken up again."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest
from agents import function_tool

import stapes
from stapes import (
    FunctionCallItem,
    InputAudio,
    InputImage,
    InputText,
    McpApprovalRequestItem,
    McpCallItem,
    MessageItem,
    OtherPart,
    OutputAudio,
    OutputText,
    RealtimeAgent,
)
from stapes.items import UNSET, Unset, items_from_dicts, items_to_dicts
from stapes.testing import ScriptedServer, VirtualClock, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from stapes import HistoryItem, RealtimeSession

ITEMS: list[HistoryItem] = [
    MessageItem("s", "system", (InputText("Be kind."),), None),
    MessageItem("u", "user", (InputAudio("Hello?"),), previous_item_id=None),
    MessageItem("p", "user", (InputImage("data:x"), InputImage("data:y", "low"))),
    MessageItem("a", "assistant", (OutputAudio("I am well, thank you.", None, 800, "I am well,"),)),
    MessageItem("b", "assistant", (OutputText("Quite."), OtherPart({"type": "new", "x": [1]}))),
    FunctionCallItem("f", "weather", '{"city": "Paris"}', "Sunny", "completed", "call_1"),
    McpCallItem("m", "search", "{}", None, "completed", "mcp_tool_call"),
    McpApprovalRequestItem("q", "docs", "search", {"for": "x"}, approved=True),
]


@pytest.mark.parametrize(
    "again",
    [
        lambda items: copy.deepcopy(items),
        lambda items: [copy.copy(item) for item in items],
        lambda items: pickle.loads(pickle.dumps(items)),
        lambda items: items_from_dicts(json.loads(json.dumps(items_to_dicts(items)))),
        lambda items: items_from_dicts(json.loads(json.dumps([asdict(item) for item in items]))),
        lambda items: [replace(item) for item in items],
    ],
    ids=["deepcopy", "copy", "pickle", "dicts", "asdict", "replace"],
)
def test_items_are_the_same_after(again: Callable[[Any], list[HistoryItem]]) -> None:
    assert again(ITEMS) == ITEMS
    message = again(ITEMS)[0]
    assert isinstance(message, MessageItem)
    assert message.previous_item_id is UNSET


def test_what_was_not_stated_is_one_object_and_no_id() -> None:
    assert Unset() is UNSET
    assert copy.deepcopy(UNSET) is pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert not UNSET
    assert repr(UNSET) == "UNSET"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"item_id": "i", "type": "poem"}, "item i is of the unknown type 'poem'"),
        ({"item_id": "i", "type": "message", "role": "user"}, "message i needs content"),
        ({"type": "function_call", "name": "x"}, "without an item_id is incomplete: .*item_id"),
        (
            {
                "item_id": "i",
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text"}],
            },
            "a part of type input_text is incomplete: .*text",
        ),
        ({"item_id": "i", "type": "message", "role": "user", "content": ["hi"]}, "not str"),
    ],
)
def test_what_is_no_item_is_refused_by_name(value: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        items_from_dicts([value])


class Talk:
    """A session with a scripted server that confirms what is created."""

    def __init__(self, server: ScriptedServer, **options: Any) -> None:
        self.server = server
        agent = RealtimeAgent(name="Desk", instructions="x")
        self.session: RealtimeSession[Any] = VirtualClock().session(agent, api_key="key", **options)
        self.events: list[Any] = []
        self.session.on("*", self.events.append)
        self._seen = 0

    async def connect(self) -> None:
        await self.session.connect(url=self.server.url)
        await self.settle()

    async def settle(self) -> None:
        await settle(self.session, self.server)

    def new(self) -> list[dict[str, Any]]:
        """What was sent since the last look, the configuration left out."""
        sent = self.server.received[self._seen :]
        self._seen = len(self.server.received)
        return [message for message in sent if message["type"] != "session.update"]

    async def confirm(self) -> list[dict[str, Any]]:
        """The server does what it was asked for; returns the items that were created."""
        created = []
        for message in self.new():
            if message["type"] == "conversation.item.create":
                item, after = message["item"], message.get("previous_item_id")
                created.append(item)
                for kind in ("added", "done"):
                    event = {"type": f"conversation.item.{kind}", "item": item}
                    if after is not None:
                        event["previous_item_id"] = None if after == "root" else after
                    await self.server.send(event)
            elif message["type"] == "conversation.item.delete":
                deleted = {"type": "conversation.item.deleted", "item_id": message["item_id"]}
                await self.server.send(deleted)
        await self.settle()
        return created

    def rewind(self) -> None:
        """Looks at all that was sent once more."""
        self._seen = 0

    def ids(self) -> list[str]:
        return [item.item_id for item in self.session.history]


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


def outline(messages: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    shown: list[tuple[str, ...]] = []
    for message in messages:
        if message["type"] == "conversation.item.delete":
            shown.append(("delete", message["item_id"]))
        else:
            item = message["item"]
            shown.append((item["type"], item["id"], message.get("previous_item_id", "end")))
    return shown


TALKED: list[HistoryItem] = [*ITEMS[:6]]
REPLAYED: list[dict[str, Any]] = [
    {
        "type": "message",
        "role": "system",
        "id": "s",
        "content": [{"type": "input_text", "text": "Be kind."}],
    },
    {
        "type": "message",
        "role": "user",
        "id": "u",
        "status": "completed",
        "content": [{"type": "input_text", "text": "Hello?"}],
    },
    {
        "type": "message",
        "role": "user",
        "id": "p",
        "status": "completed",
        "content": [
            {"type": "input_image", "image_url": "data:x"},
            {"type": "input_image", "image_url": "data:y", "detail": "low"},
        ],
    },
    {
        "type": "message",
        "role": "assistant",
        "id": "a",
        "status": "completed",
        "content": [{"type": "output_text", "text": "I am well,"}],
    },
    {
        "type": "message",
        "role": "assistant",
        "id": "b",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Quite."}, {"type": "new", "x": [1]}],
    },
    {
        "type": "function_call",
        "id": "f",
        "call_id": "call_1",
        "name": "weather",
        "arguments": '{"city": "Paris"}',
    },
    {"type": "function_call_output", "id": "out_f", "call_id": "call_1", "output": "Sunny"},
]

CREATED: list[str] = [item["id"] for item in REPLAYED]


@pytest.mark.parametrize("kind", ["items", "pickle", "json", "asdict"])
async def test_a_stored_history_is_told_to_a_new_conversation(
    server: ScriptedServer, kind: str
) -> None:
    stored: Any = {
        "items": TALKED,
        "pickle": pickle.loads(pickle.dumps(TALKED)),
        "json": json.loads(json.dumps(items_to_dicts(TALKED))),
        "asdict": json.loads(json.dumps([asdict(item) for item in TALKED])),
    }[kind]
    talk = Talk(server)
    await talk.connect()
    await talk.session.update_history(stored)
    await talk.settle()
    assert await talk.confirm() == REPLAYED
    assert talk.ids() == [item.item_id for item in TALKED]
    assert talk.session.history[5] == TALKED[5]
    assert not [event for event in talk.events if isinstance(event, stapes.Error)]


async def test_a_session_begins_with_its_history_after_its_configuration(
    server: ScriptedServer,
) -> None:
    talk = Talk(server, history=json.loads(json.dumps(items_to_dicts(TALKED))))
    await talk.connect()
    assert [message["type"] for message in server.received] == [
        "session.update",
        *["conversation.item.create"] * len(REPLAYED),
    ]
    # It is known before the server has said anything of it, and that the server does is no news.
    assert list(talk.session.history) == TALKED
    assert [shown[2] for shown in outline(talk.new())] == ["root", *CREATED[:-1]]
    talk.rewind()
    updates = len([event for event in talk.events if isinstance(event, stapes.HistoryUpdated)])
    assert updates == 1
    assert await talk.confirm() == REPLAYED
    assert list(talk.session.history) == TALKED
    news = [e for e in talk.events if isinstance(e, stapes.HistoryAdded | stapes.HistoryUpdated)]
    assert len(news) == updates


async def test_what_a_hosted_tool_gave_is_said_to_a_conversation_that_begins_with_it(
    server: ScriptedServer,
) -> None:
    gave = McpCallItem("h", "search", "{}", "3 hits", "completed", "mcp_tool_call")
    talk = Talk(server, history=[ITEMS[1], gave])
    await talk.connect()
    created = await talk.confirm()
    assert [item["type"] for item in created] == ["message", "message"]
    assert created[1]["role"] == "system"
    assert "search" in created[1]["content"][0]["text"]
    assert "3 hits" in created[1]["content"][0]["text"]
    assert list(talk.session.history) == [ITEMS[1], gave]


async def test_it_is_told_again_where_the_connection_is_lost_before_it_was_confirmed(
    server: ScriptedServer,
) -> None:
    talk = Talk(server, history=TALKED)
    await talk.connect()
    talk.new()
    server.terminate()
    await talk.settle()
    told = {shown[1] for shown in outline(talk.new())}
    assert told >= set(CREATED)
    assert list(talk.session.history) == TALKED


async def test_what_is_added_next_follows_the_output_of_the_call_before_it(
    server: ScriptedServer,
) -> None:
    talk = Talk(server, history=[ITEMS[5], ITEMS[0]])
    await talk.connect()
    talk.new()
    await talk.session.update_history(lambda old: [*old[1:]])
    await talk.settle()
    assert outline(talk.new()) == [("delete", "f"), ("delete", "out_f")]


async def test_a_call_of_an_earlier_conversation_is_not_run_again(server: ScriptedServer) -> None:
    ran: list[str] = []

    @function_tool
    async def weather(city: str) -> str:
        ran.append(city)
        return "Rain"

    talk = Talk(server, history=TALKED)
    talk.session.current_agent.tools.append(weather)
    await talk.connect()
    await talk.confirm()
    assert ran == []
    assert not [event for event in talk.events if isinstance(event, stapes.AgentToolStart)]
    assert "response.create" not in [message["type"] for message in server.received]


async def test_the_stored_items_are_those_of_the_new_conversation(server: ScriptedServer) -> None:
    # What stood before it, the output of a call, had another id in the conversation of old.
    after = MessageItem("n", "user", (InputText("And now?"),), previous_item_id="item_output")
    stored = [*TALKED, after]
    talk = Talk(server, history=stored)
    await talk.connect()
    await talk.confirm()
    more = MessageItem("m", "user", (InputText("More."),))
    await talk.session.update_history([*stored[:4], stored[4], stored[5], after, more])
    await talk.settle()
    # Speech went as text, and is another item now.
    assert ("message", "m", "end") in outline(messages := talk.new())
    assert not [shown for shown in outline(messages) if shown[1] in ("n", "f", "out_f", "s", "p")]


async def test_half_a_surrogate_pair_costs_its_character_alone(server: ScriptedServer) -> None:
    stored = [MessageItem("u", "user", (InputText("hi \ud83d"),))]
    talk = Talk(server, history=stored)
    await talk.connect()
    await talk.session.send_message("ho \ud83d")
    await talk.settle()
    texts = [m["item"]["content"][0]["text"] for m in talk.new() if "item" in m]
    assert texts == ["hi \ufffd", "ho \ufffd"]


async def test_each_connection_begins_with_it(server: ScriptedServer) -> None:
    talk = Talk(server, history=TALKED, reconnect=None)
    await talk.connect()
    await talk.confirm()
    await server.close(1001, "going away")
    await talk.settle()
    await talk.connect()
    assert await talk.confirm() == REPLAYED


async def test_what_no_client_can_create_is_left_out_with_a_warning(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    unspoken = MessageItem("w", "assistant", (OutputAudio(None), OutputAudio("Lost", None, 0, "")))
    unanswered = FunctionCallItem("g", "x", "{}", None, "in_progress", "call_2")
    unheard = MessageItem("v", "user", (InputAudio(None),))
    with caplog.at_level(logging.WARNING, "stapes"):
        talk = Talk(server, history=[*ITEMS, unspoken, unanswered, unheard])
    named = [record.getMessage().split(":")[0] for record in caplog.records]
    assert named == [
        "MCP item m is left out",
        "MCP item q is left out",
        "history item w is left out",
        "history item g is left out",
        "history item v is left out",
    ]
    await talk.connect()
    assert await talk.confirm() == REPLAYED


@pytest.mark.parametrize(
    ("history", "kind", "message"),
    [
        ([ITEMS[0], ITEMS[0]], ValueError, "history: .*s stands in the new history twice"),
        ([{"type": "message"}], ValueError, "history: a history item needs an item_id"),
        (["hi"], TypeError, "history: a history item must be .*, not str"),
        ([MessageItem("x", "user", (OtherPart({"a": {1}}),))], TypeError, "history: .*set"),
        (
            [MessageItem("x", "user", (InputImage("x" * 5_000_000),))],
            ValueError,
            "history: it has 50.* bytes as JSON.* max_outgoing_bytes, which is 4194304",
        ),
    ],
)
async def test_a_history_that_cannot_be_read_is_refused_when_the_session_is_made(
    history: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        stapes.RealtimeSession(RealtimeAgent(name="a"), api_key="key", history=history)


async def test_a_pickled_copy_of_the_history_changes_nothing(server: ScriptedServer) -> None:
    talk = Talk(server, history=TALKED)
    await talk.connect()
    await talk.confirm()
    history = talk.session.history
    assert copy.copy(history) == copy.deepcopy(history) == history
    assert pickle.loads(pickle.dumps(history)) == list(history)
    for same in (
        pickle.loads(pickle.dumps(list(history))),
        copy.deepcopy(list(history)),
        json.loads(json.dumps([asdict(item) for item in history])),
    ):
        await talk.session.update_history(same)
        await talk.settle()
        assert talk.new() == []


async def test_an_output_goes_with_its_call(server: ScriptedServer) -> None:
    talk = Talk(server, history=[ITEMS[1], ITEMS[5], ITEMS[0]])
    await talk.connect()
    await talk.confirm()
    await talk.session.update_history(lambda old: [item for item in old if item.item_id != "f"])
    await talk.settle()
    assert outline(talk.new()) == [("delete", "f"), ("delete", "out_f")]


async def test_what_follows_a_call_follows_its_output(server: ScriptedServer) -> None:
    talk = Talk(server, history=[ITEMS[5], ITEMS[0]])
    await talk.connect()
    await talk.confirm()
    word = MessageItem("n", "user", (InputText("New"),))
    await talk.session.update_history(lambda old: [old[0], word, *old[1:]])
    await talk.settle()
    assert outline(talk.new()) == [("message", "n", "out_f")]


async def test_a_call_and_its_output_are_put_where_the_call_stands(server: ScriptedServer) -> None:
    talk = Talk(server, history=[ITEMS[0], ITEMS[1]])
    await talk.connect()
    await talk.confirm()
    edited = replace(ITEMS[5], output="Rain")
    word = MessageItem("n", "user", (InputText("New"),))
    await talk.session.update_history(lambda old: [old[0], edited, word, old[1]])
    await talk.settle()
    assert outline(talk.new()) == [
        ("function_call", "f", "s"),
        ("function_call_output", "out_f", "f"),
        ("message", "n", "out_f"),
    ]


async def test_the_output_of_a_tool_that_ran_here_is_deleted_with_its_call(
    server: ScriptedServer,
) -> None:
    talk = Talk(server, history=[ITEMS[0]])
    await talk.connect()
    await talk.confirm()
    call = {
        "id": "c",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_9",
        "name": "nobody",
        "arguments": "{}",
    }
    output = {"id": "o", "type": "function_call_output", "call_id": "call_9", "output": "x"}
    await server.send({"type": "response.created", "response": {"id": "r"}})
    await server.send({"type": "response.output_item.done", "response_id": "r", "item": call})
    await server.send({"type": "conversation.item.added", "item": output})
    await talk.settle()
    talk.new()
    await talk.session.update_history([])
    await talk.settle()
    assert ("delete", "o") in outline(talk.new())


async def test_a_changed_item_that_cannot_be_sent_stays_as_it_was(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    talk = Talk(server, history=[ITEMS[5]])
    await talk.connect()
    await talk.confirm()
    with caplog.at_level(logging.WARNING, "stapes"):
        await talk.session.update_history([replace(ITEMS[5], output=None)])
    await talk.settle()
    assert talk.new() == []
    assert "history item f is left as it was" in caplog.text


async def test_edited_words_of_a_spoken_answer_are_told_as_text(server: ScriptedServer) -> None:
    talk = Talk(server)
    await talk.connect()
    talk.new()
    item = {
        "id": "a",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_audio", "transcript": "The code is 1234."}],
    }
    await server.send({"type": "conversation.item.added", "item": item})
    await talk.settle()
    await talk.session.update_history(
        lambda old: [replace(old[0], content=(OutputAudio("The code is secret."),))]
    )
    await talk.settle()
    deletion, creation = talk.new()
    assert outline([deletion]) == [("delete", "a")]
    assert creation["item"]["content"] == [{"type": "output_text", "text": "The code is secret."}]


async def test_a_message_may_ask_for_no_response(server: ScriptedServer) -> None:
    talk = Talk(server)
    await talk.connect()
    talk.new()
    await talk.session.send_message("The caller is called Ann.", trigger_response=False)
    await talk.settle()
    assert [message["type"] for message in talk.new()] == ["conversation.item.create"]
