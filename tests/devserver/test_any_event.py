"""Whatever a client sends, it gets events that fit the protocol, and never a failure of ours."""

from __future__ import annotations

import asyncio
import base64
import json

from hypothesis import example, given, settings
from hypothesis import strategies as st
from wire_client import check

from stapes.devserver import Call, Options, ScriptedMind, ToneVoice, Turn
from stapes.devserver.session.call import RealtimeCall

MIND = ScriptedMind(
    [Turn(when="c", call=Call("f", {"x": 1})), Turn(after="*", say="Done."), Turn(say="One two.")],
    hears=["a", "b", "c"],
)
IDS = st.sampled_from(["item_a", "item_b", "call_a", "root", "", "x" * 40])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats(allow_nan=False) | st.text("ab"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab"), inner, max_size=2),
    max_leaves=4,
)
SOUND = st.sampled_from([b"", bytes(4_800), bytes(range(256)) * 40, bytes(7)]).map(
    lambda pcm: base64.b64encode(pcm).decode()
)
CONTENT = st.fixed_dictionaries(
    {"type": st.sampled_from(["input_text", "input_audio", "output_text", "input_image"])},
    optional={"text": st.text("abc", max_size=5), "audio": SOUND, "image_url": st.just("data:,")},
)
ITEM = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "function_call", "function_call_output"])},
    optional={
        "id": IDS,
        "role": st.sampled_from(["user", "assistant", "system"]),
        "content": st.lists(CONTENT, max_size=2),
        "call_id": IDS,
        "name": st.just("f"),
        "arguments": st.just("{}"),
        "output": st.text("ab"),
    },
)
FORMAT = st.sampled_from(["audio/pcm", "audio/pcmu", "audio/pcma"]).map(lambda t: {"type": t})
TURNS = st.sampled_from(["server_vad", "semantic_vad"]).map(lambda t: {"type": t}) | st.none()
SESSION = st.fixed_dictionaries(
    {"type": st.just("realtime")},
    optional={
        "instructions": st.text("ab"),
        "output_modalities": st.sampled_from([["text"], ["audio"], ["video"]]),
        "audio": st.fixed_dictionaries(
            {},
            optional={
                "input": st.fixed_dictionaries(
                    {}, optional={"format": FORMAT, "turn_detection": TURNS}
                ),
                "output": st.fixed_dictionaries({}, optional={"format": FORMAT, "speed": JUNK}),
            },
        ),
        "tool_choice": JUNK,
    },
)
RESPONSE = st.fixed_dictionaries(
    {},
    optional={
        "conversation": st.sampled_from(["auto", "none"]),
        "output_modalities": st.sampled_from([["text"], ["audio"]]),
        "input": st.lists(ITEM, max_size=2),
        "max_output_tokens": st.sampled_from([1, 4, "inf", 0]),
        "metadata": JUNK,
    },
)


def event(type_, **fields):
    return st.fixed_dictionaries(
        {"type": st.just(type_)},
        optional={"event_id": IDS, **{name: either | JUNK for name, either in fields.items()}},
    )


EVENT = st.one_of(
    event("session.update", session=SESSION),
    event("input_audio_buffer.append", audio=SOUND),
    event("input_audio_buffer.commit"),
    event("input_audio_buffer.clear"),
    event("conversation.item.create", item=ITEM, previous_item_id=IDS),
    event("conversation.item.retrieve", item_id=IDS),
    event("conversation.item.delete", item_id=IDS),
    event(
        "conversation.item.truncate",
        item_id=IDS,
        content_index=st.just(0),
        audio_end_ms=st.integers(0, 500),
    ),
    event("response.create", response=RESPONSE),
    event("response.cancel", response_id=IDS),
    st.dictionaries(st.sampled_from(["type", "session", "x"]), JUNK, max_size=2),
)


async def converse(events):
    """Send the events over a call and return what the server emitted."""
    emitted = []
    call = RealtimeCall(MIND, ToneVoice(), Options(pace=None), observe=emitted.append)

    async def frames():
        for sent in events:
            yield json.dumps(sent)
            for _ in range(3):
                await asyncio.sleep(0)

    async def send(frame):
        pass

    await call.run(frames(), send)
    return emitted


# One that is accepted as a whole: what chance makes may all be refused.
ACCEPTED = [
    {"type": "session.update", "session": {"type": "realtime", "instructions": "a"}},
    {"type": "input_audio_buffer.clear"},
    {
        "type": "conversation.item.create",
        "item": {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "a"}],
        },
    },
    {"type": "response.create"},
    {"type": "no such event"},
]


def test_any_events_in_any_order_are_answered_in_the_protocol():
    told_types = set()

    @settings(max_examples=150, deadline=None)
    @given(st.lists(EVENT, min_size=1, max_size=8))
    @example(ACCEPTED)
    def answers_fit(events):
        for told in asyncio.run(converse(events)):
            told_types.add(told["type"])
            check(json.dumps(told))
            assert told.get("error", {}).get("type") != "server_error"
            assert told.get("response", {}).get("status") != "failed"

    answers_fit()
    # Not all was refused.
    assert told_types >= {
        "session.updated",
        "input_audio_buffer.cleared",
        "conversation.item.done",
        "response.output_item.added",
        "error",
    }
