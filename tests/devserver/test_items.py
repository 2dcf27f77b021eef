from __future__ import annotations

import base64

import pytest
from wire_client import silence, spoken

from stapes.devserver import Call, ScriptedMind, Turn

TALKER = ScriptedMind(
    [
        Turn(when="call", call=Call("weather", {"city": "Oslo"})),
        Turn(say="One two three four five six seven eight nine ten."),
    ]
)


async def test_an_item_is_added_and_done_after_the_one_before(call):
    client = await call()
    first = await client.write("one")
    assert client.types()[1:] == ["conversation.item.added", "conversation.item.done"]
    added, done = client.events[1:]
    assert added["previous_item_id"] is None
    assert added["item"] == done["item"] == first
    assert first["status"] == "completed"
    assert first["content"] == [{"type": "input_text", "text": "one"}]
    await client.write("two")
    assert client.events[-1]["previous_item_id"] == first["id"]


async def test_items_go_where_they_are_told(call):
    client = await call()
    for name, after in (("b", None), ("d", None), ("a", "root"), ("c", "b")):
        item = {"id": name}
        await client.write(name, item=item, previous_item_id=after)
    placed = {e["item"]["id"]: e["previous_item_id"] for e in client.of("conversation.item.added")}
    assert placed == {"b": None, "d": "b", "a": None, "c": "b"}
    await client.send("conversation.item.delete", item_id="c")
    await client.until("conversation.item.deleted")
    await client.write("c", item={"id": "c2"}, previous_item_id="a")
    assert client.events[-1]["previous_item_id"] == "a"


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"item": {"id": "taken"}}, "item_create_invalid_item_id", "item.id"),
        ({"item": {"id": "x" * 33}}, "string_above_max_length", "item.id"),
        (
            {"previous_item_id": "nobody"},
            "item_create_invalid_previous_item_id",
            "previous_item_id",
        ),
        ({"item": {"role": "narrator"}}, "invalid_value", "item.role"),
        (
            {"item": {"content": [{"type": "text", "text": "x"}]}},
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {"item": {"role": "assistant", "content": [{"type": "output_audio"}]}},
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {"item": {"content": [{"type": "input_audio", "audio": "%%%"}]}},
            "invalid_value",
            "item.content[0].audio",
        ),
        (
            {"item": {"content": [{"type": "input_audio", "audio": "AAAA"}]}},
            "invalid_value",
            "item.content[0].audio",
        ),
    ],
)
async def test_an_item_that_cannot_be_is_refused(call, fields, code, param):
    client = await call()
    await client.write("first", item={"id": "taken"})
    item = {"type": "message", "role": "user", "content": [], **fields.get("item", {})}
    error = await client.refused("conversation.item.create", **{**fields, "item": item})
    assert (error["code"], error["param"]) == (code, param)


async def test_all_kinds_of_items_are_taken_and_come_back(call):
    client = await call()
    sound = base64.b64encode(await spoken("hello")).decode()
    items = [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}
            ],
        },
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_audio", "audio": sound, "transcript": "hello"}],
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hi."}],
        },
        {
            "type": "message",
            "role": "system",
            "content": [{"type": "input_text", "text": "Be kind."}],
        },
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
    ]
    for item in items:
        await client.send("conversation.item.create", item=item)
        made = (await client.until("conversation.item.done"))["item"]
        retrieved = await client.ask("conversation.item.retrieve", item_id=made["id"])
        back = {
            name: value
            for name, value in retrieved["item"].items()
            if name not in ("id", "object", "status")
        }
        assert back == item


async def test_an_output_needs_its_call(call):
    client = await call(TALKER)
    output = {"type": "function_call_output", "call_id": "call_none", "output": "x"}
    error = await client.refused("conversation.item.create", item=output)
    assert error["code"] == "invalid_tool_call_id"
    await client.say("call")
    made = client.of("response.function_call_arguments.done")[0]
    await client.until("rate_limits.updated")
    output["call_id"] = made["call_id"]
    added = await client.ask("conversation.item.create", item=output)
    assert added["type"] == "conversation.item.added"


@pytest.mark.parametrize("verb", ["retrieve", "delete", "truncate"])
async def test_an_item_that_is_not_there_is_refused(call, verb):
    client = await call()
    place = {"content_index": 0, "audio_end_ms": 0} if verb == "truncate" else {}
    error = await client.refused(f"conversation.item.{verb}", item_id="ghost", **place)
    assert error["code"] == f"item_{verb}_invalid_item_id"
    assert "'ghost' does not exist" in error["message"]


async def test_what_is_deleted_is_gone(call):
    client = await call()
    item = await client.write("forget me")
    deleted = await client.ask("conversation.item.delete", item_id=item["id"])
    assert (deleted["type"], deleted["item_id"]) == ("conversation.item.deleted", item["id"])
    error = await client.refused("conversation.item.retrieve", item_id=item["id"])
    assert error["code"] == "item_retrieve_invalid_item_id"


async def test_truncation_cuts_the_sound_and_the_words_that_were_not_heard(call):
    client = await call(TALKER)
    item = (await client.say("talk"))["response"]["output"][0]
    await client.until("rate_limits.updated")
    whole = client.audio()
    truncated = await client.ask(
        "conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=1_000
    )
    assert truncated["type"] == "conversation.item.truncated"
    assert truncated["audio_end_ms"] == 1_000
    part = (await client.ask("conversation.item.retrieve", item_id=item["id"]))["item"]["content"][
        0
    ]
    assert base64.b64decode(part["audio"]) == whole[: 48 * 1_000]
    assert part["transcript"] == "One two three"
    assert len(whole) > 48 * 3_000


async def test_a_truncated_transcript_may_be_left_out_for_the_client_but_not_for_the_mind(call):
    shown = []
    turns = [
        Turn(when="talk", say="One two three four five six seven eight nine ten."),
        Turn(when=lambda view: bool(shown.append(view)) or True, say="Yes."),
    ]
    client = await call(ScriptedMind(turns), truncated_transcript="omit")
    item = (await client.say("talk"))["response"]["output"][0]
    place = {"item_id": item["id"], "content_index": 0}
    await client.send("conversation.item.truncate", **place, audio_end_ms=1_000)
    await client.until("conversation.item.truncated")
    part = (await client.ask("conversation.item.retrieve", item_id=item["id"]))["item"]["content"][
        0
    ]
    assert set(part) == {"type", "audio"}
    await client.say("and now")
    assert shown[0].items[1]["content"][0]["transcript"] == "One two three"


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"audio_end_ms": 60_000}, "invalid_value", "is already shorter than 60000ms"),
        ({"audio_end_ms": -1}, "integer_below_min_value", "audio_end_ms"),
        ({"audio_end_ms": 12.5}, "invalid_type", "expected an integer"),
        ({"content_index": 1}, "invalid_value", "no audio content at index 1"),
        ({"item_id": "said"}, "unsupported_content_type", "Only model output audio"),
    ],
)
async def test_a_truncation_that_cannot_be_is_refused_and_cuts_nothing(call, change, code, message):
    client = await call(TALKER)
    await client.write("talk", item={"id": "said"})
    await client.send("response.create")
    item = (await client.until("response.done"))["response"]["output"][0]
    await client.until("rate_limits.updated")
    place = {"item_id": item["id"], "content_index": 0, "audio_end_ms": 500, **change}
    error = await client.refused("conversation.item.truncate", **place)
    assert error["code"] == code
    assert message in error["message"]
    part = (await client.ask("conversation.item.retrieve", item_id=item["id"]))["item"]["content"][
        0
    ]
    assert base64.b64decode(part["audio"]) == client.audio()


async def test_a_full_conversation_takes_no_more(call):
    client = await call(max_items=2)
    await client.write("one")
    await client.write("two")
    item = {"type": "message", "role": "user", "content": []}
    error = await client.refused("conversation.item.create", item=item)
    assert error["code"] == "conversation_too_long"


async def test_committed_sound_comes_back_in_the_format_of_the_session(call):
    client = await call()
    phone = {"type": "audio/pcmu"}
    session = {
        "type": "realtime",
        "audio": {"input": {"format": phone, "turn_detection": None}},
    }
    await client.ask("session.update", session=session)
    await client.hear(bytes([0xFF]) * 8_000)
    await client.send("input_audio_buffer.commit")
    item_id = (await client.until("input_audio_buffer.committed"))["item_id"]
    await client.until("conversation.item.done")
    part = (await client.ask("conversation.item.retrieve", item_id=item_id))["item"]["content"][0]
    assert base64.b64decode(part["audio"]) == bytes([0xFF]) * 8_000
    assert len(silence(1)) == 48
