"""Whatever a client of a dialect sends: it is answered in that dialect, and nothing fails."""

from __future__ import annotations

import asyncio
import json

import pytest
from accents import ACCENTS
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_any_event import IDS, ITEM, JUNK, MIND, SOUND, event

from stapes.devserver import Options, ToneVoice
from stapes.devserver.dialects.choice import Dialects
from stapes.devserver.session.call import RealtimeCall

KEYS = {
    "instructions": st.text("ab"),
    "modalities": st.sampled_from([["text"], ["text", "audio"], ["audio"]]),
    "voice": st.sampled_from(["sage", {"type": "openai", "name": "ash"}]),
    "input_audio_format": st.sampled_from(["pcm16", "pcm", "g711_ulaw"]),
    "input_audio_sampling_rate": st.sampled_from([8_000, 16_000, 24_000]),
    "output_audio_format": st.sampled_from(["pcm16", "pcm", "pcm24", "pcm16_16000hz"]),
    "input_audio_transcription": st.sampled_from([None, {"model": "x"}, {"language": "en"}]),
    "turn_detection": st.sampled_from(
        [None, {"type": "server_vad"}, {"type": "semantic_vad"}, {"type": "azure_semantic_vad"}]
    ),
    "temperature": st.sampled_from([0.7, 5]),
    "tools": st.sampled_from([[{"type": "function", "function": {"name": "f"}}], []]),
    "tool_choice": st.just("auto"),
    "max_tokens": st.sampled_from([0, 9]),
    "resumption": st.just({"enabled": True}),
    "audio": st.fixed_dictionaries(
        {},
        optional={
            direction: st.fixed_dictionaries(
                {},
                optional={
                    "format": st.sampled_from(
                        [{"type": "audio/pcm", "rate": 8_000}, {"type": "audio/pcmu"}, {"type": 1}]
                    ),
                    "transport": st.sampled_from(["json", "binary", "tape"]),
                    "transcription": st.sampled_from([None, {"model": "grok-transcribe"}]),
                },
            )
            for direction in ("input", "output")
        },
    ),
}
SESSION = st.dictionaries(st.sampled_from(sorted(KEYS)), st.none(), max_size=4).flatmap(
    lambda keys: st.fixed_dictionaries({name: KEYS[name] | JUNK for name in keys})
)
EVENT = st.one_of(
    event("session.update", session=SESSION),
    event("input_audio_buffer.append", audio=SOUND),
    event("input_audio_buffer.commit"),
    event("input_audio_buffer.clear"),
    event("conversation.item.create", item=ITEM, previous_item_id=IDS),
    event("conversation.item.retrieve", item_id=IDS),
    event("conversation.item.truncate", item_id=IDS, content_index=st.just(0)),
    event("response.create", response=SESSION),
    event("response.create"),
    event("response.cancel"),
    st.binary(max_size=9),
)
ACCEPTED = [
    {"type": "input_audio_buffer.clear"},
    {"type": "response.create"},
    {"type": "no such event"},
]


async def converse(name, events):
    """Send the events over a call of the dialect; return what was written."""
    written = []
    dialect = Dialects(name).begin({})
    call = RealtimeCall(
        MIND, ToneVoice(), Options(pace=None), model="gpt-realtime", dialect=dialect
    )
    dialect.serves(lambda: call.items)

    async def frames():
        for sent in events:
            yield sent if isinstance(sent, bytes) else json.dumps(sent)
            for _ in range(3):
                await asyncio.sleep(0)

    async def send(frame):
        written.append(frame)

    await call.run(frames(), send)
    return [json.loads(frame) for frame in written if isinstance(frame, str)]


@pytest.mark.parametrize("name", ACCENTS)
def test_any_events_in_any_order_are_answered_in_the_dialect(name):
    told_types = set()

    @settings(max_examples=100, deadline=None)
    @given(st.lists(EVENT, min_size=1, max_size=8))
    @example([{"type": "session.update", "session": ACCENTS[name].session}, *ACCEPTED])
    def answers_fit(events):
        for told in asyncio.run(converse(name, events)):
            told_types.add(told["type"])
            ACCENTS[name].check(told)
            assert told.get("error", {}).get("type") != "server_error"
            assert told.get("response", {}).get("status") != "failed"

    answers_fit()
    # Not all was refused.
    assert told_types >= {
        "session.updated",
        "input_audio_buffer.cleared",
        "response.output_item.added",
        "error",
    }
