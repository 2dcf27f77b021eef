"""Every WAV file of the demo, through the real recogniser and the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stapes.devserver.listening import decide
from stapes.devserver.mind import Call, Say, View

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stapes.devserver.listening import ListeningMind

CALLS = [
    ("1-weather.wav", "agent", "weather paris", "weather", {"city": "Paris"}),
    ("3-interrupt.wav", "agent", "wait weather lisbon", "weather", {"city": "Lisbon"}),
    ("4-pool.wav", "agent", "when pool open", "opening_hours", {"place": "pool"}),
    ("6-billing.wav", "agent", "question bill", "transfer_to_billing", {}),
    ("7-refund.wav", "billing", "refund forty", "refund", {"booking_id": "471", "amount": 40.0}),
    ("other-city.wav", "agent", "weather tokyo", "weather", {"city": "Tokyo"}),
]
ANSWERS = [
    ("2-history.wav", "agent", "tell history hotel", "merchant"),
    ("5-door-code.wav", "agent", "code staff door", "4711"),
    ("8-goodbye.wav", "billing", "thank goodbye", "Goodbye"),
]


@pytest.fixture
def listen(
    mind: ListeningMind, front_desk: Any, definitions: Any, question: Any
) -> Callable[..., Any]:
    async def hear(file: str, name: str) -> tuple[str, Sequence[Say | Call]]:
        agent = getattr(front_desk, name)
        tools = definitions(agent)
        said = await mind.hear(question(file), instructions=agent.instructions, tools=tools)
        part = {"type": "input_audio", "transcript": said}
        item = {"type": "message", "role": "user", "content": [part]}
        return said, list(decide(View(agent.instructions, tools, [item], None)))

    return hear


@pytest.mark.parametrize(("file", "agent", "words", "tool", "arguments"), CALLS)
async def test_question_leads_to_the_call(
    listen: Any, file: str, agent: str, words: str, tool: str, arguments: dict[str, Any]
) -> None:
    said, acts = await listen(file, agent)
    assert set(words.split()) <= set(said.split())
    assert acts == [Call(tool, arguments)]


@pytest.mark.parametrize(("file", "agent", "words", "answer"), ANSWERS)
async def test_question_is_answered_in_words(
    listen: Any, file: str, agent: str, words: str, answer: str
) -> None:
    said, acts = await listen(file, agent)
    assert set(words.split()) <= set(said.split())
    assert [type(act) for act in acts] == [Say]
    assert answer in acts[0].text


async def test_the_answer_to_talk_over_is_long(listen: Any) -> None:
    _, acts = await listen("2-history.wav", "agent")
    assert len(acts[0].text.split()) > 50


async def test_what_was_heard_before_changes_nothing(listen: Any) -> None:
    first, _ = await listen("1-weather.wav", "agent")
    await listen("5-door-code.wav", "agent")
    await listen("7-refund.wav", "billing")
    again, _ = await listen("1-weather.wav", "agent")
    assert first == again
