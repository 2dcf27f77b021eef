from __future__ import annotations

import asyncio
import base64
import json
from itertools import groupby

import pytest
from wire_client import spoken

from stapes.devserver import Call, Say, ScriptedMind, Turn, View

TALKER = ScriptedMind(
    [
        Turn(when="twice", say=["First.", "Second."], call=Call("note", '{"a":1}')),
        Turn(when="call", call=Call("weather", {"city": "Oslo", "units": "degrees"})),
        Turn(when="long", say="word " * 200),
        Turn(say="It is sunny in Oslo today."),
    ]
)


class Watcher:
    """A mind that keeps what it is shown."""

    def __init__(self):
        self.views: list[View] = []

    async def hear(self, pcm, *, instructions, tools):
        return "heard"

    async def answer(self, view):
        self.views.append(view)
        yield Say("Yes.")


class Broken(Watcher):
    async def answer(self, view):
        yield Say("Well.")
        raise RuntimeError("no idea")


class Endless(Watcher):
    async def answer(self, view):
        while True:
            yield Say("More.")


async def test_a_spoken_answer_is_told_in_the_order_of_the_provider(call):
    client = await call(TALKER)
    await client.say("how is it")
    await client.until("rate_limits.updated")
    order = [name for name, _ in groupby(client.types()[3:])]
    told = [name for name in order if not name.endswith("delta")]
    assert told == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    begun = order.index("response.content_part.added")
    assert order[begun + 1] == "response.output_audio_transcript.delta"
    assert order[begun + 2] == "response.output_audio.delta"


async def test_a_written_answer_is_text_only(call):
    client = await call(TALKER)
    done = await client.say("how is it", output_modalities=["text"])
    assert client.types("response.") == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 6,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    said = "".join(event["delta"] for event in client.of("response.output_text.delta"))
    assert said == "It is sunny in Oslo today."
    assert client.of("response.output_text.done")[0]["text"] == said
    assert done["response"]["output"][0]["content"] == [{"type": "output_text", "text": said}]
    assert done["response"]["output_modalities"] == ["text"]


async def test_words_and_sound_of_an_answer_are_whole(call):
    client = await call(TALKER)
    done = await client.say("how is it")
    words = [event["delta"] for event in client.of("response.output_audio_transcript.delta")]
    assert "".join(words) == "It is sunny in Oslo today."
    assert client.audio() == await _voice("It is sunny in Oslo today.")
    part = done["response"]["output"][0]["content"][0]
    assert part == {"type": "output_audio", "transcript": "It is sunny in Oslo today."}


async def _voice(text: str) -> bytes:
    from stapes.devserver import ToneVoice

    return (await ToneVoice().speak(text, voice="marin", speed=1.0)).pcm


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
async def test_a_phone_gets_its_own_format_of_the_same_length(call, name):
    client = await call(TALKER)
    session = {"type": "realtime", "audio": {"output": {"format": {"type": name}}}}
    await client.ask("session.update", session=session)
    done = await client.say("how is it")
    whole = await _voice("It is sunny in Oslo today.")
    assert len(client.audio()) == -(-len(whole) // 6)
    assert done["response"]["audio"]["output"]["format"] == {"type": name}


async def test_a_function_call_is_told_and_becomes_an_item(call):
    client = await call(TALKER)
    done = await client.say("call")
    deltas = "".join(
        event["delta"] for event in client.of("response.function_call_arguments.delta")
    )
    whole = client.of("response.function_call_arguments.done")[0]
    assert json.loads(whole["arguments"]) == {"city": "Oslo", "units": "degrees"}
    assert deltas == whole["arguments"]
    assert whole["name"] == "weather"
    added, finished = (
        client.of("response.output_item.added"),
        client.of("response.output_item.done"),
    )
    assert (added[0]["item"]["status"], added[0]["item"]["arguments"]) == ("in_progress", "")
    item = finished[0]["item"]
    assert item["status"] == "completed"
    assert item["call_id"] == whole["call_id"]
    assert done["response"]["output"] == [item]
    await client.until("rate_limits.updated")
    retrieved = await client.ask("conversation.item.retrieve", item_id=item["id"])
    assert retrieved["item"] == item


async def test_several_things_in_one_answer_are_items_in_order(call):
    client = await call(TALKER)
    done = await client.say("twice")
    output = done["response"]["output"]
    assert [item["type"] for item in output] == ["message", "message", "function_call"]
    places = [event["output_index"] for event in client.of("response.output_item.added")]
    assert places == [0, 1, 2]
    before = [event["previous_item_id"] for event in client.of("conversation.item.added")]
    assert before[2:] == [output[0]["id"], output[1]["id"]]


async def test_a_response_reads_its_own_settings_and_metadata(call):
    mind = Watcher()
    client = await call(mind)
    tool = {"type": "function", "name": "a", "description": None, "parameters": None}
    done = await client.say(
        "hello",
        instructions="Only this once.",
        tools=[tool],
        metadata={"topic": "test"},
        audio={"output": {"voice": "cedar", "format": {"type": "audio/pcmu"}}},
        max_output_tokens=4_000,
    )
    view = mind.views[0]
    assert (view.instructions, view.tools, view.metadata) == (
        "Only this once.",
        [tool],
        {"topic": "test"},
    )
    response = done["response"]
    assert response["metadata"] == {"topic": "test"}
    assert response["max_output_tokens"] == 4_000
    assert response["audio"]["output"]["voice"] == "cedar"
    again = await client.say("again")
    assert mind.views[1].instructions != "Only this once."
    assert again["response"]["metadata"] is None


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"a": 1}, "invalid_type"),
        ({"a": "x" * 513}, "string_above_max_length"),
        ({"k" * 65: "x"}, "string_above_max_length"),
        ({f"k{n}": "x" for n in range(17)}, "object_above_max_properties"),
    ],
)
async def test_metadata_beyond_the_limits_is_refused(call, metadata, code):
    client = await call()
    assert (await client.refused("response.create", response={"metadata": metadata}))[
        "code"
    ] == code


@pytest.mark.parametrize(
    ("choice", "shown"),
    [("none", []), ("auto", ["a", "b"]), ({"type": "function", "name": "b"}, ["b"])],
)
async def test_the_tool_choice_limits_what_the_mind_sees(call, choice, shown):
    mind = Watcher()
    client = await call(mind)
    tools = [{"type": "function", "name": name} for name in "ab"]
    await client.say("hello", tools=tools, tool_choice=choice)
    assert [tool["name"] for tool in mind.views[0].tools] == shown


async def test_a_response_outside_the_conversation_leaves_it_alone(call):
    mind = Watcher()
    client = await call(mind)
    kept = await client.write("keep this")
    await client.send(
        "response.create",
        response={
            "conversation": "none",
            "input": [
                {"type": "item_reference", "id": kept["id"]},
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "and this"}],
                },
            ],
        },
    )
    done = await client.until("response.done")
    assert done["response"]["conversation_id"] is None
    assert client.types("conversation.item") == [
        "conversation.item.added",
        "conversation.item.done",
    ]
    texts = [item["content"][0]["text"] for item in mind.views[0].items]
    assert texts == ["keep this", "and this"]
    await client.until("rate_limits.updated")
    item_id = done["response"]["output"][0]["id"]
    error = await client.refused("conversation.item.retrieve", item_id=item_id)
    assert error["code"] == "item_retrieve_invalid_item_id"


async def test_an_input_that_is_not_there_is_refused(call):
    client = await call()
    reference = {"type": "item_reference", "id": "ghost"}
    error = await client.refused("response.create", response={"input": [reference]})
    assert (error["code"], error["param"]) == ("invalid_value", "response.input[0].id")


async def test_only_one_response_of_the_conversation_at_a_time(call):
    client = await call(TALKER, pace=20.0)
    await client.write("long")
    await client.send("response.create")
    first = await client.until("response.created")
    await client.send("response.create", event_id="second")
    error = (await client.until("error"))["error"]
    assert error["code"] == "conversation_already_has_active_response"
    assert first["response"]["id"] in error["message"]
    assert error["event_id"] == "second"
    await client.send("response.create", response={"conversation": "none", "input": []})
    beside = await client.until("response.created")
    assert beside["response"]["conversation_id"] is None


async def test_a_cancelled_response_ends_with_what_was_said(call):
    client = await call(TALKER, pace=20.0)
    await client.write("long")
    await client.send("response.create")
    await client.until("response.output_audio.delta")
    await client.send("response.cancel")
    done = await client.until("response.done")
    response = done["response"]
    assert response["status"] == "cancelled"
    assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    item = response["output"][0]
    assert item["status"] == "incomplete"
    said = "".join(e["delta"] for e in client.of("response.output_audio_transcript.delta"))
    assert item["content"][0]["transcript"] == said
    assert client.types()[-6:] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    await client.until("rate_limits.updated")
    error = await client.refused("response.cancel")
    assert error["code"] == "response_cancel_not_active"
    assert (await client.say("how is it"))["response"]["status"] == "completed"


async def test_a_response_is_cancelled_by_its_id(call):
    client = await call(TALKER, pace=20.0)
    await client.write("long")
    await client.send("response.create")
    response_id = (await client.until("response.created"))["response"]["id"]
    await client.send("response.cancel", response_id="resp_other", event_id="wrong")
    refused = (await client.until("error"))["error"]
    assert (refused["code"], refused["event_id"]) == ("response_cancel_not_active", "wrong")
    await client.send("response.cancel", response_id=response_id)
    assert (await client.until("response.done"))["response"]["id"] == response_id


async def test_a_response_stops_at_its_last_token(call):
    client = await call(TALKER)
    done = await client.say("long", max_output_tokens=20)
    response = done["response"]
    assert response["status"] == "incomplete"
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert 20 <= response["usage"]["output_tokens"] <= 24
    assert response["output"][0]["status"] == "incomplete"


async def test_usage_counts_words_and_sound_and_what_was_read_before(call):
    client = await call(TALKER)
    first = (await client.say("how is it"))["response"]["usage"]
    assert first["input_tokens"] == first["input_token_details"]["text_tokens"] > 0
    assert first["input_token_details"]["cached_tokens"] == 0
    audio_ms = len(client.audio()) // 48
    assert first["output_token_details"]["audio_tokens"] == audio_ms // 50
    assert first["total_tokens"] == first["input_tokens"] + first["output_tokens"]
    long = " ".join(["word"] * 200)
    await client.say(long)
    third = (await client.say("and now"))["response"]["usage"]
    assert third["input_token_details"]["audio_tokens"] > 0
    assert third["input_token_details"]["cached_tokens"] % 64 == 0
    assert third["input_token_details"]["cached_tokens"] > 0


async def test_a_mind_that_breaks_fails_its_response_and_not_the_call(call):
    client = await call(Broken())
    done = await client.say("hello")
    response = done["response"]
    assert response["status"] == "failed"
    assert response["status_details"]["error"]["type"] == "server_error"
    assert "no idea" in response["status_details"]["error"]["message"]
    assert response["output"][0]["status"] == "completed"
    assert (await client.say("again"))["response"]["status"] == "failed"


async def test_a_mind_that_never_ends_is_stopped(call):
    client = await call(Endless(), max_outputs=3)
    response = (await client.say("hello"))["response"]
    assert response["status"] == "failed"
    assert len(response["output"]) == 3


class Closing(Watcher):
    """A mind that says when its answer is over, and how many moves it makes."""

    def __init__(self, moves):
        super().__init__()
        self.moves, self.over = moves, asyncio.Event()

    async def answer(self, view):
        try:
            for _ in range(self.moves):
                yield Say("More.")
        finally:
            self.over.set()


async def test_a_mind_may_make_just_as_many_moves_as_are_allowed(call):
    client = await call(Closing(3), max_outputs=3)
    assert (await client.say("hello"))["response"]["status"] == "completed"


async def test_a_cancelled_mind_is_closed(call):
    mind = Closing(3)
    client = await call(mind, pace=0.01)
    await client.send("response.create")
    await client.until("response.output_audio.delta")
    await client.send("response.cancel")
    await client.until("response.done")
    async with asyncio.timeout(5):
        await mind.over.wait()


async def test_a_mind_that_takes_too_long_fails_its_response(call):
    class Thinker(Watcher):
        async def answer(self, view):
            await asyncio.Event().wait()
            yield Say("Never.")

    client = await call(Thinker(), mind_seconds=0.02)
    response = (await client.say("hello"))["response"]
    assert response["status"] == "failed"
    assert "longer than 0.02 seconds" in response["status_details"]["error"]["message"]


async def test_responses_under_way_are_bounded(call):
    client = await call(TALKER, pace=20.0, max_parallel_responses=2)
    beside = {"conversation": "none", "metadata": {"n": "1"}}
    for _ in range(2):
        await client.send("response.create", response=beside)
    await client.send("response.create", response=beside, event_id="third")
    error = (await client.until("error"))["error"]
    assert (error["code"], error["event_id"]) == ("rate_limit_exceeded", "third")


async def test_an_image_and_written_sound_reach_the_mind(call):
    mind = Watcher()
    client = await call(mind)
    sound = base64.b64encode(await spoken("hello there")).decode()
    content = [
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
        {"type": "input_audio", "audio": sound},
    ]
    await client.write("", item={"content": content})
    await client.send("response.create")
    await client.until("response.done")
    image, audio = mind.views[0].items[0]["content"]
    assert image["image_url"].startswith("data:image/png")
    assert audio == {"type": "input_audio", "transcript": "heard"}
