"""The model that needs nothing: what it says, which tools it calls, and its recorded voice."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from stapes.cli.builtin import BuiltinMind, BuiltinVoice, apology, texts
from stapes.cli.builtin.voice import SAMPLE_RATE, split
from stapes.cli.packed_speech import pack, unpack
from stapes.devserver import Call, Say, View


def spoken() -> dict[str, Any]:
    part = {"type": "input_audio", "transcript": "(1.0 seconds of speech)"}
    return {"type": "message", "role": "user", "content": [part]}


def typed(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def answer(text: str) -> dict[str, Any]:
    part = {"type": "output_audio", "transcript": text}
    return {"type": "message", "role": "assistant", "content": [part]}


def tool(name: str, description: str = "", required: bool = True, **properties: Any) -> Any:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required else [],
    }
    return {
        "type": "function",
        "name": name,
        "description": description,
        "parameters": parameters,
    }


async def moves(*items: dict[str, Any], tools: tuple[Any, ...] = ()) -> list[Say | Call]:
    view = View("", tools, items, None)
    return [move async for move in BuiltinMind().answer(view)]


async def test_it_greets_and_then_answers_each_turn_with_another_text() -> None:
    assert await moves() == [Say(texts.GREETING)]
    said: list[dict[str, Any]] = [answer(texts.GREETING)]
    for expected in (*texts.ANSWERS, *texts.ANSWERS):
        said.append(spoken())
        assert await moves(*said) == [Say(expected)]
        said.append(answer(expected))


async def test_it_says_that_it_understands_nothing_and_what_to_install() -> None:
    assert "no words" in texts.GREETING
    assert "extra called speech" in texts.INSTALL
    assert "OpenAI API key" in texts.INSTALL


SECOND = (answer(texts.GREETING), spoken(), answer(texts.INSTALL), spoken())
CITY = {"type": "string"}


@pytest.mark.parametrize(
    ("definition", "arguments"),
    [
        (tool("opening_hours"), {}),
        (tool("get_time", zone={"type": "string"}, required=False), {}),
        (
            tool("opening_hours", place={"type": "string", "enum": ["pool", "gym"]}),
            {"place": "pool"},
        ),
        (tool("weather", city=CITY), {"city": "Paris"}),
        (tool("find", query={"type": "string", "examples": ["red shoes"]}), {"query": "red shoes"}),
    ],
    ids=lambda value: value.get("name", ""),
)
async def test_it_calls_a_tool_that_changes_nothing(definition: Any, arguments: Any) -> None:
    calling, call = await moves(*SECOND, tools=(tool("delete_account"), definition))

    assert calling == Say(texts.CALLING)
    assert call == Call(definition["name"], arguments)


@pytest.mark.parametrize(
    "definition",
    [
        tool("refund"),
        tool("delete_account"),
        tool("send_report"),
        tool("hang_up"),
        tool("transfer_to_weather"),
        tool("weather", code={"type": "string"}),
        tool("weather", days={"type": "integer"}),
        tool("_"),
        {"type": "mcp", "server_label": "files"},
    ],
    ids=lambda value: value.get("name", "mcp"),
)
async def test_it_calls_no_other_tool_by_itself(definition: Any) -> None:
    assert await moves(*SECOND, tools=(definition,)) == [Say(texts.ANSWERS[1])]


async def test_what_is_typed_calls_the_tool_that_it_names() -> None:
    tools = (tool("opening_hours"), tool("weather", city=CITY), tool("refund"))

    assert await moves(typed("a refund, please"), tools=tools) == [Call("refund", {})]
    (call,) = await moves(typed("What is the weather in Oslo?"), tools=tools)
    assert call == Call("weather", {"city": "Oslo"})
    assert await moves(typed("Good morning"), tools=tools) == [Say(texts.INSTALL)]


@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        ("weather", "It rains.", texts.CALLED),
        ("transfer_to_billing", json.dumps({"assistant": "Billing"}), texts.HANDED_OVER),
    ],
)
async def test_it_tells_that_a_tool_has_answered(name: str, output: str, expected: str) -> None:
    call = {"type": "function_call", "name": name, "call_id": "c", "arguments": "{}"}
    done = {"type": "function_call_output", "call_id": "c", "output": output}

    assert await moves(spoken(), call, done) == [Say(expected)]


async def test_in_place_of_words_it_hears_how_long_somebody_spoke() -> None:
    heard = await BuiltinMind().hear(bytes(72_000), instructions="", tools=[])

    assert heard == "(1.5 seconds of speech)"


@pytest.mark.parametrize("text", texts.TEXTS, ids=range(len(texts.TEXTS)))
async def test_all_that_it_says_is_recorded(text: str) -> None:
    for sentence in split(text):
        speech = await BuiltinVoice().speak(f" {sentence}", voice="marin", speed=1.0)
        samples = np.frombuffer(speech.pcm, dtype="<i2").astype(float) / 32_768
        seconds = len(samples) / SAMPLE_RATE
        # People say some 10 to 20 characters a second.
        assert len(sentence) / 22 < seconds < len(sentence) / 8, sentence
        assert 0.03 < np.sqrt(np.mean(np.square(samples))) < 0.2


async def test_what_is_not_recorded_is_hummed() -> None:
    speech = await BuiltinVoice().speak("Something else.", voice="marin", speed=1.0)

    assert len(speech.pcm) > SAMPLE_RATE


def test_the_apology_is_a_recording() -> None:
    assert 3.0 < apology().duration < 8.0


def test_recordings_are_read_as_they_were_written() -> None:
    recorded = {"One.": [b"abc", b""], "Two, \u00fc.": [], "Three.": [b"x" * 1_275]}

    assert unpack(pack(recorded)) == recorded
