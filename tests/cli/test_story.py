from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from simulated import LOUDSPEAKER_RATE, MICROPHONE_RATE, SimulatedCall, voice

from stapes.cli.show.keepsakes import KEEPSAKES, keep
from stapes.cli.show.story import RATE, Story, envelope
from stapes.cli.show.timeline.rows import split_rows

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def call() -> SimulatedCall:
    """Three turns: a tool, an interruption and an approval."""
    call = SimulatedCall()
    call.ask(voice(1.0, MICROPHONE_RATE), "the weather please")
    call.tool("weather", "It rains.", city="Paris")
    call.answer(voice(2.0, LOUDSPEAKER_RATE), "It rains in Paris")
    call.hear_out()
    call.ask(voice(1.0, MICROPHONE_RATE), "tell me a story")
    call.answer(voice(8.0, LOUDSPEAKER_RATE), "once upon a time there was a king")
    call.wait(3.0)
    call.ask(voice(1.0, MICROPHONE_RATE), "wait a refund")
    call.tool("refund", "done", approval=1.0, amount=40)
    call.handoff("Front desk", "Billing")
    call.answer(voice(1.0, LOUDSPEAKER_RATE), "it is done", agent="Billing")
    call.hear_out()
    return call


def story_of(call: SimulatedCall) -> Story:
    journal = call.journal
    return Story("A call", journal.entries, call.recording.stereo(), journal.cuts)


def test_a_call_leaves_recording_picture_and_transcript(
    call: SimulatedCall, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    keep(story_of(call), call.recording, tmp_path, {})

    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() == KEEPSAKES.keys()
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")
    assert sizes["timeline.png"] > 20_000


def test_the_transcript_says_what_was_heard_and_what_was_not(
    call: SimulatedCall, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    keep(story_of(call), call.recording, tmp_path, {})
    text = (tmp_path / "conversation.md").read_text("utf-8")

    assert "**Caller:** tell me a story" in text
    assert "**Front desk:** once upon a time" in text
    assert "not heard: ~~there was a king~~" in text
    assert "approval asked for `refund(amount=40)`: approved by the demo" in text


def test_the_json_holds_every_entry_with_its_times(call: SimulatedCall, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    keep(story_of(call), call.recording, tmp_path, {"more": 1})
    document = json.loads((tmp_path / "conversation.json").read_text("utf-8"))

    kinds = [entry["kind"] for entry in document["entries"]]
    assert kinds == [entry.kind for entry in call.journal.entries]
    cut = next(e for e in document["entries"] if e["kind"] == "agent" and e["cut"])
    assert cut["heard"] == "once upon a time"
    assert cut["generated"] == "once upon a time there was a king"
    assert document["more"] == 1


def test_rows_end_where_the_caller_begins_and_nobody_else_speaks(call: SimulatedCall) -> None:
    story = story_of(call)

    rows = split_rows(story, longest_s=10.0)

    assert [row.start for row in rows[1:]] == [row.end for row in rows[:-1]]
    assert (rows[0].start, rows[-1].end) == (0.0, story.seconds)
    begins = [entry.at for entry in story.entries if entry.kind == "caller"]
    # The third time the caller talks over an answer: no row may begin there.
    assert [row.start for row in rows[1:]] == pytest.approx([begins[1] - 0.35])


def test_a_call_in_which_nobody_pauses_is_cut_all_the_same() -> None:
    story = Story("Silence", [], np.zeros((65 * RATE, 2), np.int16))

    rows = split_rows(story, longest_s=20.0)

    assert len(rows) == 4
    assert max(row.end - row.start for row in rows) <= 20.0


def test_the_envelope_is_the_shape_of_the_sound() -> None:
    silence, loud = np.zeros(RATE, np.int16), np.full(RATE, 10_000, np.int16)

    shape = envelope(np.concatenate([silence, loud, loud // 4]), 0.5)

    assert shape == pytest.approx([0, 0, 1, 1, 0.25**0.7, 0.25**0.7], abs=0.01)
    assert not envelope(silence, 0.5).any()
