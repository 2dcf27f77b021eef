"""What a test is told where an agent does not do what it should."""

from __future__ import annotations

import asyncio

import pytest
from desk_agent import agent

from stapes import ConnectError
from stapes.testing import AgentCall, CallFailedError, Options, Rudeness, ScriptedMind, Turn

LOST = Rudeness(drop=("first_delta:1011", "connecting:401:2+"))
"""The connection breaks in the first answer, and no other one is to be had."""


async def test_the_calls_that_were_made_are_shown_with_their_arguments() -> None:
    async with AgentCall(agent) as call:
        turn = await call.say("What is the weather in Paris?")
        with pytest.raises(AssertionError) as failed:
            turn.expect_tool("weather", city="Oslo", day=1)
    assert str(failed.value).splitlines() == [
        "the agent did not call weather(city='Oslo', day=1)",
        "  user:      What is the weather in Paris?",
        "  tool:      weather(city='Paris') -> 'It is sunny in Paris.'  (city='Paris', not 'Oslo'; "
        "there is",
        "             no day)",
        "  agent:     It is sunny in Paris.",
    ]


async def test_where_no_tool_was_called_it_says_so() -> None:
    async with AgentCall(agent, mind=ScriptedMind(otherwise="Good day.")) as call:
        turn = await call.say("Hello.")
        with pytest.raises(AssertionError) as failed:
            turn.expect_tool("weather")
        with pytest.raises(AssertionError, match="the agent did not hand off to Billing"):
            turn.expect_handoff("Billing")
    assert str(failed.value).splitlines() == [
        "the agent did not call weather()",
        "  user:      Hello.",
        "  tool:      none was called",
        "  agent:     Good day.",
    ]


async def test_a_tool_that_should_not_be_used_is_shown() -> None:
    async with AgentCall(agent) as call:
        turn = await call.say("What is the weather in Paris?")
        with pytest.raises(AssertionError, match=r"not have called any tool\n  user: .*\n  tool:"):
            turn.expect_no_tool()


async def test_an_agent_that_says_nothing_has_no_latency() -> None:
    async with AgentCall(agent, mind=ScriptedMind()) as call:
        turn = await call.say("Hello.")
        assert turn.heard == ""
        with pytest.raises(AssertionError, match="no latency: the agent has not answered"):
            _ = turn.latency


async def test_a_word_that_is_never_said_is_told_with_what_was_said() -> None:
    mind = ScriptedMind(otherwise="It lived in a cave.")
    async with AgentCall(agent, mind=mind) as call:
        story = call.say("Tell me a story.")
        with pytest.raises(CallFailedError, match=r"never came to 'dragon'\n(.*\n)*.*in a cave"):
            await call.say("stop", barge_in_at="dragon")
        assert story.heard == "It lived in a cave."


async def test_there_must_be_an_answer_to_barge_into() -> None:
    async with AgentCall(agent) as call:
        with pytest.raises(ValueError, match=r"no answer under way\. Do not await the turn"):
            call.say("stop", barge_in_at="word")
        await call.say("hello")
        with pytest.raises(ValueError, match="there is no answer under way"):
            call.say("stop", barge_in_at="word")


async def test_a_turn_that_does_not_end_says_how_far_it_came() -> None:
    mind = ScriptedMind(otherwise="One two three four five six seven.")
    rude = Rudeness(drop="first_delta:stall")
    async with AgentCall(agent, mind=mind, server=rude, patience=0.2) as call:
        with pytest.raises(CallFailedError) as failed:
            await call.say("Count.")
    lines = str(failed.value).splitlines()
    assert lines[0] == "the turn was not over within 0.2 s (patience=)"
    assert lines[2].startswith("  agent:     One")
    assert lines[-1].startswith("  events: ")
    assert "agent_start" in lines[-1]


async def test_sound_without_speech_is_told() -> None:
    async with AgentCall(agent) as call:
        with pytest.raises(CallFailedError, match="is there speech in the sound"):
            await call.say(bytes(4_800))


async def test_a_connection_that_is_lost_ends_the_turn_with_the_reason() -> None:
    mind = ScriptedMind([Turn(say="One two three.")])
    async with AgentCall(agent, mind=mind, server=LOST) as call:
        with pytest.raises(CallFailedError, match="did not survive: ") as failed:
            await call.say("Count.")
        assert "lost: " in call.story
    assert "  user:      Count." in str(failed.value)


async def test_a_connection_that_is_refused_is_what_connect_raises() -> None:
    with pytest.raises(ConnectError, match="401"):
        async with AgentCall(agent, server_options=Options(api_keys=frozenset({"other"}))):
            pass


async def count_and_fail(*problems: Exception) -> None:
    """A turn fails that nobody awaits, and then perhaps the test itself."""
    async with AgentCall(agent, mind=ScriptedMind(otherwise="One."), server=LOST) as call:
        turn = call.say("Count.")
        while not turn.done:
            await asyncio.sleep(0)
        for problem in problems:
            raise problem


async def test_a_turn_that_fails_and_is_not_awaited_is_told_at_the_end() -> None:
    with pytest.raises(CallFailedError, match="did not survive"):
        await count_and_fail()


async def test_a_failure_of_the_test_itself_comes_first() -> None:
    with pytest.raises(ZeroDivisionError):
        await count_and_fail(ZeroDivisionError())
