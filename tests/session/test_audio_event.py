"""`Audio` events are made in Rust, slot by slot."""

from __future__ import annotations

from dataclasses import fields

from stapes import Audio


def test_audio_events_have_the_fields_that_the_bindings_fill() -> None:
    # Another field needs a line in rust/py/src/audio_event.rs as well.
    assert [field.name for field in fields(Audio)] == [
        "data",
        "response_id",
        "item_id",
        "content_index",
    ]
