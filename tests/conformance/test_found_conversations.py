"""Conversations in which earlier versions, or the JS SDK, did the wrong thing: what is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.replay import replay

FOUND = Path(__file__).parent / "data" / "found"
LEFT_OUT = {
    "connection_changed",
    "playback_ended",
    "response_done",
    "transcript_delta",
    "transport_event",
}
"""Events that say nothing about these conversations."""

EXPECTED: dict[str, dict[int, list[str]]] = {
    "guardrail_leak_after_previous_played": {
        9: ["guardrail_tripped", ">response.cancel r2", ">conversation.item.create"],
        10: [],
        11: ["agent_end", ">response.create"],
    },
    "interrupt_without_sound_after_an_earlier_answer": {
        9: [">response.cancel r2"],
        10: [],
        11: ["agent_end"],
    },
    "speech_without_sound_after_an_earlier_answer": {
        9: [">response.cancel r2"],
        10: [],
        11: ["agent_end"],
    },
    "late_audio_of_second_response": {
        9: [">conversation.item.truncate a1 20", "audio_interrupted"],
        10: [],
        11: ["agent_end"],
    },
    "refused_coalesced_create_asks_twice": {
        6: ["agent_end", ">response.create"],
        8: ["error", ">response.create"],
        9: ["agent_start"],
        10: ["agent_end"],
        12: ["agent_end"],
    },
    "stale_cancel_error_hits_next_response": {
        8: ["error"],
        10: [">response.cancel r2", ">conversation.item.truncate a2 0", "audio_interrupted"],
        11: ["agent_end"],
    },
    "stale_cancel_error_then_message": {
        6: [">conversation.item.create"],
        9: [">response.cancel r1", ">conversation.item.truncate a1 20", "audio_interrupted"],
        10: ["agent_end", ">response.create"],
    },
    "vad_response_wins_over_create_in_flight": {
        3: [">conversation.item.create", ">response.create"],
        5: ["error"],
        6: ["agent_end", ">response.create"],
    },
    "vad_response_wins_over_queued_create": {
        5: ["agent_end", ">response.create"],
        7: ["error"],
        8: ["agent_end", ">response.create"],
    },
    "vad_response_wins_over_queued_create_burst": {
        5: ["agent_end", ">response.create", "agent_start"],
        6: ["error"],
        7: ["agent_end", ">response.create"],
    },
    "handoff_to_agent_without_instructions": {
        4: [
            "history_added",
            "history_updated",
            ">session.update ''",
            "agent_handoff",
            ">conversation.item.create",
            "history_updated",
        ],
    },
    "switch_to_agent_without_instructions": {3: ["agent_handoff", ">session.update ''"]},
    "provider_data_audio_without_output": {0: [">session.update 'A.'", "history_updated"]},
    "tool_after_lost_connection_and_close": {6: [], 7: []},
    "update_agent_before_connect_then_connect": {
        0: ["agent_handoff"],
        2: [">session.update 'B.'", "history_updated"],
    },
    "update_agent_between_connections": {
        5: ["agent_handoff"],
        7: [">session.update 'B.'", "history_updated"],
    },
    "voice_after_lost_connection": {8: [">session.update 'A.' ash", "history_updated"]},
}


def words(message: dict[str, Any]) -> str:
    """A message for the server in a few words."""
    session = message.get("session", {})
    found: list[object] = [message["type"]]
    if message["type"] == "session.update" and "instructions" in session:
        found.append(repr(session["instructions"]))
        found += [v for v in [session.get("audio", {}).get("output", {}).get("voice")] if v]
    keys = ("response_id", "item_id", "audio_end_ms")
    found += [message[key] for key in keys if key in message]
    return ">" + " ".join(map(str, found))


def happened(trace: dict[str, Any]) -> dict[int, list[str]]:
    """What happened in each step: events by their types, and messages for the server."""
    steps = {}
    for step in trace["steps"]:
        row = steps.setdefault(step["i"], [])
        for entry in step["timeline"]:
            if entry["k"] == "event":
                kind = trace["events"][entry["i"]]["event"]
                row += [kind] if kind not in LEFT_OUT else []
            elif entry["k"] == "client":
                row.append(words(trace["client_messages"][entry["i"]]))
    return steps


def test_every_conversation_is_expected_to_do_something() -> None:
    assert sorted(EXPECTED) == sorted(path.stem for path in FOUND.glob("*.json"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
async def test_does_what_is_right(name: str) -> None:
    scenario = json.loads((FOUND / f"{name}.json").read_text(encoding="utf-8"))
    steps = happened(await replay(scenario))
    assert {step: steps[step] for step in EXPECTED[name]} == EXPECTED[name]
