from __future__ import annotations

import io

import pytest
from rich.console import Console
from simulated import LOUDSPEAKER_RATE, MICROPHONE_RATE, SimulatedCall, voice

from stapes.cli.show.rows import PLAIN, spell_arguments
from stapes.cli.show.terminal import Terminal


def told(call: SimulatedCall) -> Terminal:
    terminal = Terminal(Console(file=io.StringIO(), width=80))
    terminal.follow(call.journal, call.line)
    return terminal


def written(terminal: Terminal) -> list[str]:
    file = terminal.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def test_without_a_terminal_each_entry_is_one_line_written_once_when_it_is_final() -> None:
    call = SimulatedCall()
    with told(call) as terminal:
        call.ask(voice(1.0, MICROPHONE_RATE), "what is the weather in Paris")
        call.tool("weather", "It rains.", city="Paris")
        call.answer(voice(1.0, LOUDSPEAKER_RATE), "It rains in Paris.", after=0.2)
        terminal.refresh(final=False)
        before = written(terminal)
        call.hear_out()

    assert before == [
        " 0:00 Caller     what is the weather in Paris",
        ' 0:01 tool       ⚙ weather(city="Paris") → It rains.',
    ]
    assert written(terminal) == [*before, " 0:01 Front desk It rains in Paris.  (0.74 s)"]


def test_a_line_is_as_long_as_its_words_where_nobody_reads_it_on_a_screen() -> None:
    call = SimulatedCall()
    with told(call) as terminal:
        call.answer(voice(1.0, LOUDSPEAKER_RATE), "word " * 60)
        call.hear_out()

    assert len(written(terminal)) == 1


def test_an_interruption_shows_the_words_heard_and_how_fast_it_was() -> None:
    call = SimulatedCall()
    with told(call) as terminal:
        call.answer(voice(4.0, LOUDSPEAKER_RATE), "one two three four", after=0.0)
        call.wait(1.5)
        call.ask(voice(1.0, MICROPHONE_RATE), "wait")

    assert written(terminal) == [
        " 0:00 Front desk one two ✂",
        " 0:01 Caller     wait",
        " 0:01 barge-in   ✂ the answer stops 0.30 s after the caller began",
    ]


def test_what_is_approved_says_who_did_it_and_comes_before_the_result() -> None:
    call = SimulatedCall()
    with told(call) as terminal:
        call.tool("refund", "done", approval=1.0, amount=40)

    assert written(terminal) == [
        " 0:00 approval   ⚙ refund(amount=40) ?",
        " 0:01 approved   ✓ approved by the demo",
        " 0:01 tool       ⚙ refund(amount=40) → done",
    ]


def test_handoffs_guardrails_and_errors_are_shown() -> None:
    call = SimulatedCall()
    with told(call) as terminal:
        call.handoff("Front desk", "Billing")
        call.trip("no codes", "item")

    assert written(terminal) == [
        " 0:00 handoff    ⇄ Front desk hands over to Billing",
        ' 0:00 guardrail  ✂ "no codes" stops the answer',
    ]


def test_where_the_encoding_has_no_signs_plain_ones_are_used() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    terminal = Terminal(Console(file=file, width=80))

    assert terminal.glyphs is PLAIN
    "".join((PLAIN.tool, PLAIN.gives, PLAIN.stop, PLAIN.more, PLAIN.bars)).encode("ascii")


def test_on_a_terminal_what_is_final_is_written_once_and_the_rest_is_drawn_below() -> None:
    call = SimulatedCall()
    console = Console(
        file=io.StringIO(), width=80, force_terminal=True, force_interactive=True, color_system=None
    )
    with Terminal(console) as terminal:
        terminal.follow(call.journal, call.line)
        call.ask(voice(1.0, MICROPHONE_RATE), "hello there")
        call.answer(voice(2.0, LOUDSPEAKER_RATE), "good morning", after=0.0)
        call.wait(1.5)
        terminal.refresh()
        drawn = "\n".join(written(terminal))
        call.hear_out()

    assert drawn.count("hello there") == 1
    assert "good morning …" in drawn
    assert "▁" in drawn


@pytest.mark.parametrize(
    ("arguments", "spelled"),
    [
        ('{"city": "Genève", "days": 2}', 'city="Genève", days=2'),
        ("", ""),
        ("[1]", "[1]"),
        ("{broken", "{broken"),
    ],
)
def test_arguments_are_spelled_as_python_would(arguments: str, spelled: str) -> None:
    assert spell_arguments(arguments) == spelled
