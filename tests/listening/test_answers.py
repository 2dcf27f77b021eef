"""What the mind says and calls, given a conversation as the wire shapes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stapes.devserver.listening import decide
from stapes.devserver.listening.speaking.phrasing import say_output
from stapes.devserver.listening.tools import read_tools
from stapes.devserver.mind import Call, Say, View

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SEARCH = {
    "type": "function",
    "name": "search_manual",
    "description": "Search the manual.",
    "parameters": {"properties": {"query": {"type": "string"}}, "required": ["query"]},
}
HOTEL = """You are the front desk of the Harbour Hotel. Never shout.
The hotel was built in 1908. Breakfast is served from seven. The bar is in the cellar."""


BLOCKED = "Your last response was blocked. Failed Guardrail Reason: x."


def user(text: str, kind: str = "input_audio") -> dict[str, Any]:
    part = {"type": kind, "text" if kind == "input_text" else "transcript": text}
    return {"type": "message", "role": "user", "content": [part]}


def said(text: str) -> dict[str, Any]:
    part = {"type": "output_audio", "transcript": text}
    return {"type": "message", "role": "assistant", "content": [part]}


def call(name: str, output: str, **arguments: Any) -> list[dict[str, Any]]:
    return [
        {"type": "function_call", "call_id": "1", "name": name, "arguments": json.dumps(arguments)},
        {"type": "function_call_output", "call_id": "1", "output": output},
    ]


def answer(*items: dict[str, Any], tools: Any = (WEATHER,), instructions: str = HOTEL) -> Any:
    return list(decide(View(instructions, tools, items, None)))


def words(*items: dict[str, Any], **view: Any) -> str:
    acts = answer(*items, **view)
    assert [type(act) for act in acts] == [Say]
    return str(acts[0].text)


def test_typed_and_spoken_questions_are_the_same() -> None:
    expected = [Call("weather", {"city": "Rome"})]
    assert answer(user("what is the weather in rome")) == expected
    assert answer(user("What is the weather in Rome?", "input_text")) == expected


def test_another_city_is_another_call() -> None:
    assert answer(user("weather in oslo")) != answer(user("weather in cairo"))


def test_an_argument_that_is_missing_is_asked_for_and_then_used() -> None:
    first = user("what is the weather like")
    assert "city" in words(first)
    assert answer(first, said("For which city, please?"), user("in madrid")) == [
        Call("weather", {"city": "Madrid"})
    ]


def test_small_talk_is_not_taken_for_what_was_asked_for() -> None:
    find = {
        "type": "function",
        "name": "find_guest",
        "description": "Find a guest.",
        "parameters": {"properties": {"name": {"type": "string"}}, "required": ["name"]},
    }
    first = user("please find a guest")
    assert "name" in words(first, tools=[find])
    assert "Goodbye" in words(first, said("Which name?"), user("goodbye"), tools=[find])
    assert answer(first, said("Which name?"), user("zaphod"), tools=[find]) == [
        Call("find_guest", {"name": "Zaphod"})
    ]


def test_a_question_that_was_answered_is_not_answered_again() -> None:
    before = [user("weather in paris"), *call("weather", "Warm.", city="Paris"), said("Warm.")]
    assert "anything else" in words(*before)


def test_a_follow_up_is_understood_from_the_call_before() -> None:
    before = [user("weather in paris"), *call("weather", "It is warm.", city="Paris")]
    assert answer(*before, said("It is warm."), user("and in lisbon")) == [
        Call("weather", {"city": "Lisbon"})
    ]


def test_what_a_tool_returned_is_said() -> None:
    assert words(user("weather in paris"), *call("weather", "It is warm today.", city="Paris")) == (
        "It is warm today."
    )


def test_a_new_agent_introduces_itself_by_its_instructions() -> None:
    handed = call("transfer_to_billing", '{"assistant": "Billing"}')
    text = words(user("my bill"), *handed, instructions="You are the billing desk.", tools=())
    assert text.startswith("Hello, this is the billing desk.")


def test_a_new_agent_goes_on_with_what_was_asked() -> None:
    handed = call("transfer_to_guide", '{"assistant": "Guide"}')
    acts = answer(user("i need the weather in rome"), *handed, instructions="You are a guide.")
    assert acts == [Say("Hello, this is a guide."), Call("weather", {"city": "Rome"})]


def test_facts_of_the_instructions_answer_questions() -> None:
    assert words(user("when is breakfast served")) == "Breakfast is served from seven."


def test_more_is_told_when_a_story_is_asked_for() -> None:
    text = words(user("tell me about the hotel"))
    assert "1908" in text
    assert "cellar" in text


def test_orders_to_the_agent_are_not_told() -> None:
    assert "shout" not in words(user("tell me never to shout"))


def test_a_blocked_answer_is_followed_by_an_apology() -> None:
    blocked = user(BLOCKED, "input_text")
    text = words(user("what is the code"), said("The code is"), blocked)
    assert "cannot talk about that" in text


def test_a_blocked_answer_may_be_told_in_the_instructions() -> None:
    conversation = (user("what is the code"), said("The code is"))
    text = words(*conversation, instructions=f"{HOTEL}\n\n{BLOCKED}")
    assert "cannot talk about that" in text
    bank = f"{HOTEL} If a card was blocked, say so."
    assert "cannot talk about that" not in words(*conversation, instructions=bank)


def test_an_apology_is_made_once() -> None:
    asked = (user("what is the code"), said("The code is"), user(BLOCKED, "input_text"))
    assert "cannot talk" not in words(*asked, said("I am sorry."))


def test_an_open_question_goes_to_a_tool_that_takes_any() -> None:
    question = "do you have helmets for children"
    assert answer(user(question), tools=(SEARCH,)) == [Call("search_manual", {"query": question})]


def test_what_was_not_heard_is_not_guessed_at() -> None:
    assert "did not catch" in words(user(""))


def test_what_is_not_known_is_said_with_what_is() -> None:
    text = words(user("what is the capital of france"))
    assert "do not know" in text
    assert "weather" in text


@pytest.mark.parametrize("items", [(), ({"type": "message", "role": "system", "content": []},)])
def test_the_agent_greets_when_nobody_has_spoken(items: tuple[Any, ...]) -> None:
    assert words(*items) == "Hello, this is the front desk of the Harbour Hotel. " + (
        "How can I help you?"
    )


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("sunny", "The weather for Paris: sunny."),
        ("24 °C and 80% humidity", "24 degrees and 80 percent humidity."),
        ('{"sky": "clear", "degrees": 21.0}', "The weather for Paris: sky clear and degrees 21."),
        ('["rain", "wind", "fog"]', "The weather for Paris: rain, wind and fog."),
        ('{"error": "no such city"}', "I am afraid that did not work: no such city."),
        ("17", "The weather for Paris: 17."),
        ("true", "Yes, that is done."),
        ("", "That is done."),
        ("null", "That is done."),
    ],
)
def test_outputs_become_sentences(output: str, sentence: str) -> None:
    (tool,) = read_tools([WEATHER])
    assert say_output(tool, {"city": "Paris"}, output) == sentence


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "role": "user", "content": None},
        {"type": "message", "role": "user", "content": [{"type": "input_image"}]},
        {"type": "function_call", "name": "x", "call_id": "9", "arguments": "{"},
        {"type": "function_call_output", "call_id": "unknown", "output": "fine, thank you."},
        {"type": "mcp_call"},
        {},
    ],
)
def test_an_item_of_any_shape_is_answered(item: dict[str, Any]) -> None:
    assert words(item)


@pytest.mark.parametrize(
    ("spoken", "city"),
    [("Tromso", "Tromso"), ("in bad ischl please", "Bad Ischl"), ("Bergen", "Bergen")],
)
def test_any_short_name_answers_the_question_for_a_city(spoken, city):
    asked = (user("what is the weather like"), said("For which city, please?"))
    assert answer(*asked, user(spoken)) == [Call("weather", {"city": city})]


@pytest.mark.parametrize("spoken", ["no idea", "my neighbour bought three yellow bicycles"])
def test_a_refusal_or_a_long_sentence_is_no_city(spoken):
    asked = (user("what is the weather like"), said("For which city, please?"))
    assert not any(isinstance(one, Call) for one in answer(*asked, user(spoken)))
