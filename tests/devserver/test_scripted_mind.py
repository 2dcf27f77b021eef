from __future__ import annotations

import re

import pytest

from stapes.devserver import Call, Say, ScriptedMind, ScriptError, Turn, View


def view(*items):
    return View(instructions="", tools=[], items=items, metadata=None)


def said(text):
    return {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": text}],
    }


def called(name, call_id="c1"):
    return {"type": "function_call", "name": name, "call_id": call_id, "arguments": "{}"}


def returned(output, call_id="c1"):
    return {"type": "function_call_output", "call_id": call_id, "output": output}


async def moves(mind, *items):
    return [move async for move in mind.answer(view(*items))]


async def test_the_first_turn_that_applies_answers():
    mind = ScriptedMind(
        [
            Turn(when="Weather", say="Wet."),
            Turn(when=re.compile(r"call me (?P<name>\w+)"), say="Hello {name}."),
            Turn(when=lambda v: len(v.items) > 1, say="A long story."),
            Turn(when="", say=["One.", "Two."], call=Call("f", {"x": "{text}", "n": [1, "{no}"]})),
        ]
    )
    assert await moves(mind, said("the WEATHER please")) == [Say("Wet.")]
    assert await moves(mind, said("call me Ishmael")) == [Say("Hello Ishmael.")]
    assert await moves(mind, said("a"), said("b")) == [Say("A long story.")]
    assert await moves(mind, said("b")) == [
        Say("One."),
        Say("Two."),
        Call("f", {"x": "b", "n": [1, "{no}"]}),
    ]


async def test_outputs_of_functions_have_their_own_turns():
    mind = ScriptedMind(
        [
            Turn(say="Never to an output."),
            Turn(after="weather", when="rain", say="Take an umbrella."),
            Turn(after="weather", say="It is {output}."),
            Turn(after="*", say="Done."),
        ]
    )
    asked = said("how is it")
    assert await moves(mind, asked, called("weather"), returned("rainy")) == [
        Say("Take an umbrella.")
    ]
    assert await moves(mind, asked, called("weather"), returned("sun")) == [Say("It is sun.")]
    assert await moves(mind, asked, called("other"), returned("sun")) == [Say("Done.")]
    assert await moves(mind, called("other"), returned("sun"), asked) == [
        Say("Never to an output.")
    ]


async def test_turns_are_used_up_in_each_call_anew():
    script = ScriptedMind([Turn(say="First.", times=1), Turn(say="Then.")], otherwise="Nothing.")
    for mind in (script.for_call(), script.for_call()):
        answers = [(await moves(mind, said("x")))[0] for _ in range(3)]
        assert answers == [Say("First."), Say("Then."), Say("Then.")]


async def test_what_no_turn_answers_gets_the_last_word_or_none():
    assert await moves(ScriptedMind(otherwise="Pardon?"), said("x")) == [Say("Pardon?")]
    assert await moves(ScriptedMind(), said("x")) == []


async def test_it_hears_what_the_script_says_in_each_call():
    script = ScriptedMind(hears=["one", "two"])
    for mind in (script.for_call(), script.for_call()):
        heard = [await mind.hear(b"", instructions="", tools=[]) for _ in range(3)]
        assert heard == ["one", "two", ""]


async def test_a_script_in_yaml(tmp_path):
    file = tmp_path / "desk.yaml"
    file.write_text(
        """
hears: [what about bergen]
otherwise: Pardon?
turns:
  - when: {regex: 'about (?P<city>\\w+)'}
    say: Let me look.
    call: {name: weather, arguments: {city: "{city}"}}
    times: 1
  - after: weather
    say: ["It is {output}.", "Anything else?"]
"""
    )
    mind = ScriptedMind.from_yaml(file)
    assert await mind.hear(b"", instructions="", tools=[]) == "what about bergen"
    assert await moves(mind, said("And about Oslo")) == [
        Say("Let me look."),
        Call("weather", {"city": "Oslo"}),
    ]
    assert await moves(mind, said("And about Oslo")) == [Say("Pardon?")]
    assert await moves(mind, called("weather"), returned("wet")) == [
        Say("It is wet."),
        Say("Anything else?"),
    ]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("- a\n- b", "desk.yaml must be a mapping of hears, otherwise, turns"),
        ("turn: []", "desk.yaml has no field turn; its fields are hears, otherwise, turns"),
        ("turns:\n  - say: x\n    wehn: y", "desk.yaml: turn 1 has no field wehn"),
        ("turns:\n  - when: {regex: '('}", "desk.yaml: turn 1, when: missing"),
        ("turns:\n  - when: {}", "desk.yaml: turn 1, when: 'regex'"),
        ("turns:\n  - {}\n  - call: {arguments: {}}", "turn 2, call: the name of the function"),
        ("turns: [", "desk.yaml is not YAML"),
        ("turns:\n  - times: often", "turn 1, times: 'often' is no number"),
        ("turns:\n  - call: {name: x, arguments: [1]}", "arguments must be a mapping, not [1]"),
    ],
)
def test_a_script_with_a_mistake_says_where(tmp_path, script, message):
    file = tmp_path / "desk.yaml"
    file.write_text(script)
    with pytest.raises(ScriptError, match=re.escape(message)):
        ScriptedMind.from_yaml(file)
