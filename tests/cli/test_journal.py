from __future__ import annotations

from typing import TypeVar

import pytest
from simulated import LOUDSPEAKER_RATE, MICROPHONE_RATE, SimulatedCall, voice

from stapes.cli.call.entries import (
    AgentSpeech,
    BargeIn,
    CallerSpeech,
    Entry,
    GuardrailTrip,
    Problem,
    ToolRun,
)
from stapes.events import Audio, ConnectionChanged, Error

Kind = TypeVar("Kind", bound=Entry)


def only(call: SimulatedCall, kind: type[Kind]) -> Kind:
    found = [entry for entry in call.journal.entries if isinstance(entry, kind)]
    assert len(found) == 1
    return found[0]


def said(seconds: float) -> bytes:
    return voice(seconds, MICROPHONE_RATE)


def answered(seconds: float) -> bytes:
    return voice(seconds, LOUDSPEAKER_RATE)


def test_latency_is_the_silence_between_the_two_voices() -> None:
    call = SimulatedCall()
    call.ask(said(1.0), "hello", silence=0.5)
    call.answer(answered(1.0), "hello to you", after=0.3)
    call.hear_out()

    assert only(call, AgentSpeech).latency == pytest.approx(0.8, abs=0.03)


def test_silence_at_the_beginning_of_an_answer_is_latency_too() -> None:
    call = SimulatedCall()
    call.ask(said(1.0), "hello", silence=0.5)
    call.answer(bytes(LOUDSPEAKER_RATE) + answered(1.0), "hello", after=0.3)
    call.hear_out()

    assert only(call, AgentSpeech).latency == pytest.approx(1.3, abs=0.03)


def test_the_time_that_an_approval_takes_is_no_latency() -> None:
    call = SimulatedCall()
    call.ask(said(1.0), "a refund", silence=0.5)
    call.tool("refund", "done", approval=2.0, amount=40)
    call.answer(answered(1.0), "done", after=0.3)
    call.hear_out()

    speech = only(call, AgentSpeech)
    assert speech.waited == pytest.approx(2.0, abs=0.03)
    assert speech.latency == pytest.approx(0.84, abs=0.05)


def test_words_are_set_where_they_are_heard_and_not_where_they_came() -> None:
    call = SimulatedCall()
    call.answer(answered(4.0), "one two three four", after=0.0)

    words = only(call, AgentSpeech).words

    assert [word.at for word in words] == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=0.01)


def test_an_interrupted_answer_holds_only_the_words_that_were_heard() -> None:
    call = SimulatedCall()
    call.answer(answered(4.0), "one two three four", after=0.0)
    call.wait(1.5)
    call.interrupt()

    speech = only(call, AgentSpeech)
    assert speech.cut == "interrupted"
    assert speech.heard == "one two"
    assert speech.end == pytest.approx(1.5)
    assert [len(cut.pcm) for cut in call.journal.cuts] == [len(answered(2.5))]


def test_a_barge_in_tells_how_long_the_caller_had_been_speaking() -> None:
    call = SimulatedCall()
    call.answer(answered(4.0), "one two three four", after=0.0)
    call.wait(1.0)
    call.ask(said(1.0), "wait")

    assert only(call, BargeIn).after == pytest.approx(0.3, abs=0.03)


def test_an_answer_that_was_heard_to_its_end_is_not_cut_by_a_later_interruption() -> None:
    call = SimulatedCall()
    call.answer(answered(1.0), "one", after=0.0)
    call.hear_out()
    call.interrupt()

    assert only(call, AgentSpeech).cut is None


def test_a_guardrail_is_told_from_an_interruption() -> None:
    call = SimulatedCall()
    _, item_id = call.answer(answered(4.0), "the code is secret", after=0.0)
    call.wait(1.0)
    call.trip("no codes", item_id)
    call.interrupt()

    assert only(call, AgentSpeech).cut == "guardrail"
    assert only(call, GuardrailTrip).name == "no codes"
    assert not any(isinstance(entry, BargeIn) for entry in call.journal.entries)


def test_sound_that_comes_after_its_cut_is_a_problem_and_is_not_played() -> None:
    call = SimulatedCall()
    response_id, item_id = call.answer(answered(4.0), "one two", after=0.0)
    call.wait(1.0)
    call.interrupt()
    call.journal.observe(Audio(answered(1.0), response_id, item_id))

    assert "after its cut" in only(call, Problem).text
    assert not call.loudspeaker.playing


def test_a_rejected_tool_is_over_without_having_run() -> None:
    call = SimulatedCall()
    call.tool("refund", "done", approval=1.0, amount=40)
    run = only(call, ToolRun)
    assert run.approval is not None
    assert (run.approval.approved, run.approval.by, run.result) == (True, "the demo", "done")

    call.journal.decide(run.call_id, approved=False, by="nobody")
    assert call.journal.done(run)


def test_the_caller_is_not_done_before_all_words_are_there() -> None:
    call = SimulatedCall()
    call.server("input_audio_buffer.speech_started", item_id="i")
    call.say(said(0.5))
    speech = only(call, CallerSpeech)
    assert not call.journal.done(speech)

    call.server("input_audio_buffer.speech_stopped", item_id="i")
    assert not call.journal.done(speech)

    call.server("conversation.item.input_audio_transcription.completed", item_id="i", transcript="")
    assert call.journal.done(speech)
    assert "nothing was understood" in speech.text


def test_it_is_quiet_only_when_nobody_speaks_works_or_waits() -> None:
    call = SimulatedCall()
    call.ask(said(0.5), "hello")
    call.answer(answered(1.0), "hello", after=0.0)
    assert call.journal.quiet_for() == 0.0

    call.hear_out(pause=0.5)
    assert call.journal.quiet_for() == pytest.approx(0.5, abs=0.03)


def test_errors_and_a_lost_connection_are_problems() -> None:
    call = SimulatedCall()
    call.journal.observe(Error(ValueError("no such city"), context="tool weather"))
    call.journal.observe(ConnectionChanged("disconnected", "the server closed"))

    texts = [entry.text for entry in call.journal.entries if isinstance(entry, Problem)]
    assert texts == ["no such city (tool weather)", "the connection is over: the server closed"]


def test_after_a_handoff_the_new_agent_speaks() -> None:
    call = SimulatedCall()
    call.handoff("Front desk", "Billing")
    call.answer(answered(1.0), "hello", agent="Billing")

    assert only(call, AgentSpeech).agent == "Billing"
