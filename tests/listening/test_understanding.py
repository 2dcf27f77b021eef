from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes.devserver.listening.tools import Kind, read_tools
from stapes.devserver.listening.understanding.choosing import (
    choose,
    complete,
    follow_up,
    heard_words,
)
from stapes.devserver.listening.understanding.numbers import find_numbers
from stapes.devserver.listening.understanding.slots import fill
from stapes.devserver.listening.words import DIGITS, TEENS, TENS


def function(name: str, description: str = "", required: Any = None, **properties: Any) -> Any:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }
    return {"type": "function", "name": name, "description": description, "parameters": schema}


TEXT, NUMBER, WHOLE, YES_NO = ({"type": t} for t in ("string", "number", "integer", "boolean"))
WEATHER = function("get_weather", "The weather in a city.", city=TEXT)
REFUND = function("refund", "Refund an order.", order_id=TEXT, amount=NUMBER)
BILLING = function("transfer_to_billing", "Handoff to the Billing agent. Bills and invoices.")
LIGHT = function(
    "set_light", "Turn a light on or off.", room={"enum": ["kitchen", "living_room"]}, on=YES_NO
)
BOOK = function("book_appointment", "Book an appointment.", day=TEXT, patient_name=TEXT)
CANCEL = function("cancel_appointment", "Cancel an appointment.", day=TEXT)
TOOLS = read_tools([WEATHER, REFUND, BILLING, LIGHT, BOOK, CANCEL])


def meant(text: str) -> Any:
    intent = choose(heard_words(text), TOOLS)
    return None if intent is None else (intent.tool.name, dict(intent.arguments))


@pytest.mark.parametrize("said", ["weather in tromso", "What's the weather in Tromsø?"])
def test_accents_are_neither_needed_nor_in_the_way(said: str):
    city = {"type": "string", "description": "Such as Tromsø."}
    tools = read_tools([function("get_weather", "The weather in a city.", city=city)])
    intent = choose(heard_words(said), tools)
    assert intent is not None
    assert intent.arguments["city"] == "Tromsø"


@pytest.mark.parametrize(
    ("text", "tool", "arguments"),
    [
        ("what is the weather in paris", "get_weather", {"city": "Paris"}),
        ("is it going to rain in new york tomorrow", "get_weather", {"city": "New York"}),
        ("What's the weather in Rio de Janeiro?", "get_weather", {"city": "Rio de Janeiro"}),
        ("i want a refund for order four seven one", "refund", {"order_id": "471"}),
        (
            "refund twenty five dollars for order number nine zero two",
            "refund",
            {"order_id": "902", "amount": 25.0},
        ),
        ("Refund $12.50 for order 0471.", "refund", {"order_id": "0471", "amount": 12.5}),
        ("refund 1,200 dollars, order 7", "refund", {"order_id": "7", "amount": 1200.0}),
        ("i have a question about my bill", "transfer_to_billing", {}),
        ("let me talk to billing please", "transfer_to_billing", {}),
        (
            "turn off the light in the living room",
            "set_light",
            {"room": "living_room", "on": False},
        ),
        ("kitchen light on please", "set_light", {"room": "kitchen", "on": True}),
        ("cancel my appointment on friday", "cancel_appointment", {"day": "friday"}),
        (
            "book an appointment on monday my name is peter miller",
            "book_appointment",
            {"day": "monday", "patient_name": "Peter Miller"},
        ),
    ],
)
def test_what_is_meant(text: str, tool: str, arguments: dict[str, Any]) -> None:
    assert meant(text) == (tool, arguments)


@pytest.mark.parametrize(
    "text", ["", "hello", "what is the capital of france", "thank you goodbye"]
)
def test_no_tool_is_meant(text: str) -> None:
    assert meant(text) is None


def test_a_follow_up_repeats_the_last_call_with_what_is_new() -> None:
    again = follow_up(heard_words("and in lisbon"), TOOLS[0], {"city": "Paris"})
    assert again is not None
    assert again.arguments == {"city": "Lisbon"}
    assert follow_up(heard_words("and in paris"), TOOLS[0], {"city": "Paris"}) is None


def test_what_was_lacking_is_taken_from_the_next_utterance() -> None:
    pending = choose(heard_words("i would like a refund for order one two"), TOOLS)
    assert pending is not None
    assert pending.lacks is not None
    assert pending.lacks.name == "amount"
    whole = complete(pending, heard_words("forty dollars"))
    assert whole is not None
    assert whole.lacks is None
    assert whole.arguments == {"order_id": "12", "amount": 40.0}


def test_a_name_that_no_list_has_is_taken_when_it_was_asked_for() -> None:
    pending = choose(heard_words("book an appointment on monday"), TOOLS)
    assert pending is not None
    whole = complete(pending, heard_words("zaphod beeblebrox"))
    assert whole is not None
    assert whole.arguments["patient_name"] == "Zaphod Beeblebrox"


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string", "enum": ["a", "b"]}, Kind.CHOICE),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, Kind.NUMBER),
        ({"type": ["boolean", "null"]}, Kind.FLAG),
        ({"type": "string", "description": "The city to look up"}, Kind.CITY),
        ({"type": "string"}, Kind.TEXT),
    ],
)
def test_kind_of_a_parameter_is_read_from_its_schema(schema: dict[str, Any], kind: Kind) -> None:
    (tool,) = read_tools([function("find", x=schema)])
    assert tool.parameters[0].kind is kind


@pytest.mark.parametrize("broken", [{"parameters": None}, {"parameters": {"properties": 3}}, {}])
def test_a_tool_without_a_schema_has_no_parameters(broken: dict[str, Any]) -> None:
    (tool,) = read_tools([{"type": "function", "name": "ping", **broken}])
    assert tool.parameters == ()


def test_tools_that_are_no_functions_are_left_out() -> None:
    assert read_tools([{"type": "mcp", "server_label": "x"}, {"type": "function"}]) == ()


def test_two_cities_go_where_from_and_to_say() -> None:
    (tool,) = read_tools([function("find_flight", origin=TEXT, destination=TEXT)])
    assert fill(tool, heard_words("a flight to rome from new york")) == {
        "origin": "New York",
        "destination": "Rome",
    }


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("order for seven one", "471"),
        ("number five five one to", "5512"),
        ("i want to fly for two days", "2"),
        ("oh seven", "07"),
        ("two hundred and ten", "210"),
        ("one thousand two hundred", "1200"),
        ("four hundred seventy one", "471"),
        ("twenty five", "25"),
        ("nineteen eighty four", "1984"),
    ],
)
def test_numbers_as_they_are_spoken(said: str, digits: str) -> None:
    found = find_numbers(said.split(), after={"order"})
    assert [number.digits for number in found] == [digits]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_digits_spoken_one_by_one_are_kept(digits: list[int]) -> None:
    (number,) = find_numbers([DIGITS[digit] for digit in digits])
    assert number.digits == "".join(map(str, digits))
    assert number.value == int(number.digits)


def spoken(value: int) -> list[str]:
    words: list[str] = []
    for scale, name in ((1000, "thousand"), (100, "hundred")):
        if value >= scale:
            words += [*spoken(value // scale), name]
            value %= scale
    if value >= 20:
        words.append(TENS[value // 10 - 2])
        value %= 10
    if value >= 10:
        words.append(TEENS[value - 10])
    elif value:
        words.append(DIGITS[value])
    return words


@given(st.integers(1, 999_999))
def test_cardinals_are_read_back(value: int) -> None:
    (number,) = find_numbers(spoken(value))
    assert number.value == value


@given(st.text(max_size=200))
def test_no_text_upsets_the_rules(text: str) -> None:
    choose(heard_words(text), TOOLS)
