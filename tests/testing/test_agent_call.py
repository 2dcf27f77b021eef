"""Calls to agents in tests: what they say, and what is known of it afterwards."""

from __future__ import annotations

import asyncio
import functools
import re
from pathlib import Path

import pytest
from agents import OutputGuardrail, function_tool
from desk_agent import agent, billing, no_secrets

from stapes import (
    AgentToolStart,
    PlaybackTracker,
    RealtimeAgent,
    ToolApprovalRequested,
    WebSocketTransport,
)
from stapes.audio import Recording, write_wav
from stapes.testing import (
    AgentCall,
    AgentTurn,
    Call,
    DevServer,
    Options,
    ScriptedMind,
    ToneVoice,
    Turn,
)

QUESTION = Path(__file__).parents[2] / "examples" / "front_desk" / "questions"
STORY = (
    "Once upon a time there was a dragon, and it lived in a cave. It had a hoard of gold, and "
    "it guarded the gold day and night against all who came."
)
STORIES = ScriptedMind(
    [Turn(when="story", say=STORY), Turn(when="stop", say="All right.")], hears=["stop"]
)


async def test_a_turn_knows_the_tool_the_words_and_the_time() -> None:
    async with AgentCall(agent) as call:
        turn = await call.say("What is the weather in Paris?")
        use = turn.expect_tool("weather", city="Paris")
        assert (use.output, use.agent) == ("It is sunny in Paris.", "Front desk")
        assert turn.expect_tool("weather", city=re.compile("^par", re.I)) is use
        assert turn.heard == turn.said == "It is sunny in Paris."
        assert 0 < turn.latency < 5
        assert (turn.interrupted, turn.errors, turn.agent) == (False, [], "Front desk")
        assert call.conversation.calls == [("weather", {"city": "Paris"})]
        assert len(call.seen(AgentToolStart)) == 1
        again = await call.say("And in Oslo?")
        again.expect_tool("weather", city="Oslo")
        again.expect_no_tool("slow")


async def test_a_turn_is_over_when_a_slow_tool_has_been_answered() -> None:
    async with AgentCall(agent) as call:
        turn = await call.say("How many people live in Paris?")
        turn.expect_tool("slow", city="Paris")
        assert "million" in turn.heard


async def test_turns_that_are_not_awaited_come_one_after_the_other() -> None:
    async with AgentCall(agent) as call:
        first = call.say("What is the weather in Paris?")
        second = call.say("What is the weather in Oslo?")
        (await second).expect_tool("weather", city="Oslo")
        assert first.done
        assert first.heard == "It is sunny in Paris."
        assert second.heard == "It is sunny in Oslo."


@pytest.mark.parametrize("pace", [None, 8.0])
@pytest.mark.parametrize("word", ["dragon", "a cave", "GOLD", "time"])
async def test_barging_in_at_a_word_leaves_what_was_heard_up_to_it(word, pace) -> None:
    options = Options(pace=pace)
    async with AgentCall(agent, mind=STORIES, server_options=options) as call:
        story = call.say("Tell me a story.")
        stop = await call.say("stop", barge_in_at=word)
        assert story.interrupted
        assert story.heard.rstrip(",.").casefold().endswith(word.casefold())
        assert STORY.startswith(story.heard)
        assert len(story.heard) < len(STORY)
        assert stop.heard == "All right."
        assert not stop.interrupted
        told = dict(call.conversation.messages)["assistant"]
        assert told == "All right."
        assert STORY.startswith(call.conversation.messages[1][1])


async def test_who_barges_in_at_a_word_finds_the_same_place_each_time() -> None:
    places = set()
    for _ in range(4):
        async with AgentCall(agent, mind=STORIES) as call:
            story = call.say("Tell me a story.")
            await call.say("stop", barge_in_at="hoard")
            assert not story.errors
            (cut,) = call.served.received.of("conversation.item.truncate")
            places.add((cut["audio_end_ms"], story.heard))
    assert len(places) == 1


@pytest.mark.parametrize("format_", ["g711_ulaw", "g711_alaw"])
async def test_a_phones_format_is_heard_to_its_end_and_cut_where_it_is(format_) -> None:
    config = {"audio": {"output": {"format": format_}}}
    ends = []
    for each in ({}, config):
        async with AgentCall(agent, mind=STORIES, config=each) as call:
            story = call.say("Tell me a story.")
            await call.say("stop", barge_in_at="cave")
            (cut,) = call.served.received.of("conversation.item.truncate")
            ends.append(cut["audio_end_ms"])
            assert story.heard.endswith("cave.")
    assert abs(ends[1] - ends[0]) <= 1


async def test_a_voice_barges_in_as_well() -> None:
    async with AgentCall(agent, mind=STORIES) as call:
        story = call.say("Tell me a story.")
        stop = await call.say("stop", voice=ToneVoice(), barge_in_at="dragon")
        assert story.interrupted
        assert story.heard.endswith("dragon,")
        assert stop.heard == "All right."


async def test_a_written_answer_is_barged_into_as_well() -> None:
    written = {"output_modalities": ["text"]}
    async with AgentCall(agent, mind=STORIES, config=written) as call:
        turn = await call.say("Tell me a story.")
        assert turn.heard == STORY
        assert turn.first_audio_at is None
        assert turn.latency > 0
        call.say("Tell me a story.")
        assert (await call.say("stop", barge_in_at="dragon")).heard == "All right."


@pytest.mark.parametrize("detection", [{"type": "server_vad"}, None])
@pytest.mark.parametrize("as_what", ["path", "text", "bytes", "voice", "recording"])
async def test_a_turn_is_spoken(tmp_path: Path, as_what: str, detection) -> None:
    mind = ScriptedMind([Turn(when="hello", say="Good day.")], hears=["hello there"])
    pcm = (await ToneVoice().speak("hello there", voice="alloy", speed=1.0)).pcm
    path = tmp_path / "hello.wav"
    write_wav(path, pcm, 24_000)
    hearing = {"transcription": {"model": "x"}, "turn_detection": detection}
    config = {"audio": {"input": hearing}}
    async with AgentCall(agent, mind=mind, config=config) as call:
        spoken = {
            "path": lambda: call.say(path),
            "text": lambda: call.say(str(path)),
            "bytes": lambda: call.say(pcm),
            "voice": lambda: call.say("hello there", voice=ToneVoice()),
            "recording": lambda: call.say(Recording(pcm, sample_rate=24_000)),
        }
        turn = await spoken[as_what]()
        assert turn.heard == "Good day."
        assert turn.latency >= 0
        assert turn.user == "hello there"


@pytest.mark.real_time
async def test_the_offline_voice_speaks_and_the_rules_hear_it() -> None:
    async with AgentCall(agent) as call:
        turn = await call.say("What is the weather in Paris?", voice=True)
        turn.expect_tool("weather", city="Paris")
        assert turn.latency > 0


async def test_approvals_are_waited_for_and_decided() -> None:
    async with AgentCall(billing) as call:
        turn = await call.say("Refund 20 dollars for booking A12")
        assert [ask.tool_name for ask in turn.approvals] == ["refund"]
        turn.expect_no_tool()
        assert await call.approve() is turn
        turn.expect_tool("refund", amount=20.0)
        assert "refunded 20 dollars" in turn.heard
        with pytest.raises(AssertionError, match="no call waits for an approval"):
            await call.approve()
        refused = await call.say("Refund 30 dollars for booking B7")
        await call.reject("Not today.")
        refused.expect_no_tool()
        with pytest.raises(AssertionError, match=r"refund\(amount=30.0\) was called, but rejected"):
            refused.expect_tool("refund", amount=30.0)
        with pytest.raises(AssertionError, match=r"the agent did not call refund\(amount=31.0\)"):
            refused.expect_tool("refund", amount=31.0)
        assert "Not today" in refused.heard


async def test_an_approval_of_an_earlier_turn_is_decided_as_well() -> None:
    async with AgentCall(billing) as call:
        asked = await call.say("Refund 20 dollars for booking A12")
        await call.say("hello")
        assert await call.approve() is asked
        asked.expect_tool("refund", amount=20.0)
        assert "refunded 20 dollars" in asked.heard


REFUNDS = ScriptedMind(
    [
        Turn(
            when="refunds",
            call=[
                Call("refund", {"booking_id": "A1", "amount": 1}),
                Call("refund", {"booking_id": "A2", "amount": 2}),
            ],
        ),
        Turn(when="one more", call=Call("refund", {"booking_id": "A3", "amount": 3})),
        Turn(after="refund", say="That is settled."),
    ],
    otherwise="Yes?",
)


def rejected(turn: AgentTurn) -> list[tuple[str, bool]]:
    """The bookings whose refunds were decided on, and whether they were rejected."""
    return [(use.arguments["booking_id"], use.rejected) for use in turn.tools]


async def test_what_the_session_decides_is_known_of_the_turn() -> None:
    async with AgentCall(billing, mind=REFUNDS) as call:
        turn = await call.say("both refunds, please")
        first, second = turn.approvals
        await call.session.reject(first, message="Too much.")
        assert turn.approvals == [second]
        assert await call.approve() is turn
        assert turn.approvals == []
        assert rejected(turn) == [("A1", True), ("A2", False)]
        with pytest.raises(AssertionError, match="was called, but rejected"):
            turn.expect_tool("refund", booking_id="A1")
        turn.expect_tool("refund", booking_id="A2")
        # A second decision changes nothing.
        await call.session.approve(first)
        assert rejected(turn) == [("A1", True), ("A2", False)]


async def test_all_of_a_turns_approvals_can_be_decided_in_a_loop() -> None:
    async with AgentCall(billing, mind=REFUNDS) as call:
        turn = await call.say("both refunds, please")
        for ask in turn.approvals:
            await call.session.reject(ask)
        assert turn.approvals == []
        assert rejected(turn) == [("A1", True), ("A2", True)]
        turn.expect_no_tool()


async def test_a_decision_in_a_later_turn_is_known_of_the_one_that_asked() -> None:
    async with AgentCall(billing, mind=REFUNDS) as call:
        asked = await call.say("both refunds, please")
        first, second = asked.approvals
        later = await call.say("hello")
        assert asked.approvals == [first, second]
        await call.session.reject(first)
        await call.session.approve(second)
        assert asked.approvals == later.approvals == []
        assert rejected(asked) + rejected(later) == [("A1", True), ("A2", False)]
        with pytest.raises(AssertionError, match="no call waits for an approval"):
            await call.approve()


@pytest.mark.parametrize("approves", [False, True])
async def test_a_decision_for_good_covers_later_calls(approves: bool) -> None:
    async with AgentCall(billing, mind=REFUNDS) as call:
        asked = await call.say("both refunds, please")
        first, second = asked.approvals
        if approves:
            await call.session.approve(first, always=True)
        else:
            await call.session.reject(first, always=True)
        # What waits already waits on.
        assert asked.approvals == [second]
        later = await call.say("one more")
        assert later.approvals == []
        assert rejected(asked) == [("A1", not approves)]
        assert rejected(later) == [("A3", not approves)]
        assert asked.approvals == [second]


async def test_a_callback_that_decides_leaves_no_approval_in_the_turn() -> None:
    async with AgentCall(billing, mind=REFUNDS) as call:

        @call.session.on("tool_approval_requested")
        async def decide(event: ToolApprovalRequested) -> None:
            await call.session.reject(event.approval)

        turn = await call.say("both refunds, please")
        assert turn.approvals == []
        assert sorted(rejected(turn)) == [("A1", True), ("A2", True)]
        # Once, or for each of the two: it depends on which outputs the server has by then.
        assert "That is settled." in turn.heard


async def test_a_tool_that_needs_no_approval_this_time_is_not_rejected() -> None:
    """A rejection for good is of calls that need approval; others run."""

    async def is_large(_context: object, arguments: dict[str, float], _call_id: str) -> bool:
        return arguments["amount"] > 1

    @function_tool(name_override="refund", needs_approval=is_large)
    def pay_back(booking_id: str, amount: float) -> str:
        """Refund an amount in dollars for a booking."""
        return f"{amount:g} dollars for {booking_id}"

    desk = RealtimeAgent(name="Billing", instructions="Be brief.", tools=[pay_back])
    mind = ScriptedMind(
        [
            Turn(when="two", call=Call("refund", {"booking_id": "A2", "amount": 2})),
            Turn(when="one", call=Call("refund", {"booking_id": "A1", "amount": 1})),
            Turn(after="refund", say="That is settled."),
        ]
    )
    async with AgentCall(desk, mind=mind) as call:
        large = await call.say("two")
        await call.session.reject(large.approvals[0], always=True)
        assert rejected(large) == [("A2", True)]
        small = await call.say("one")
        assert rejected(small) == [("A1", False)]
        again = await call.say("two")
        assert (rejected(again), again.approvals) == ([("A2", True)], [])


async def test_a_handoff_is_part_of_the_turn() -> None:
    async with AgentCall(agent) as call:
        turn = await call.say("I have a question about my bill")
        turn.expect_handoff("Billing")
        assert turn.agent == "Billing"
        assert turn.heard


async def test_a_tool_that_raises_is_seen_in_the_turn() -> None:
    async with AgentCall(agent) as call:
        turn = await call.say("Open the garage")
        turn.expect_tool("broken")
        assert [str(error) for error in turn.errors] == ["the garage is stuck"]
        assert "error:     RuntimeError: the garage is stuck" in str(turn)


async def test_a_guardrail_is_seen_in_the_turn() -> None:
    secret = "The code is 4711, and nobody may know it at all, not even those who ask for it."
    mind = ScriptedMind([Turn(say=secret, times=1)], otherwise="I cannot tell.")
    async with AgentCall(agent, mind=mind, output_guardrails=[no_secrets]) as call:
        turn = await call.say("What is the code?")
        assert turn.guardrails == ["no secrets"]
        assert turn.heard.endswith("I cannot tell.")
        # The answer was heard to its end before the guardrail had run.
        assert not turn.interrupted


async def test_a_guardrail_without_a_name_is_seen_by_what_it_is() -> None:
    unnamed = OutputGuardrail(functools.partial(no_secrets.guardrail_function))
    mind = ScriptedMind([Turn(say="The code is 4711.", times=1)], otherwise="I cannot tell.")
    async with AgentCall(agent, mind=mind, output_guardrails=[unnamed]) as call:
        turn = await call.say("What is the code?")
        assert (turn.guardrails, turn.errors) == (["partial"], [])


async def test_a_guardrail_stops_an_answer_that_is_played_in_real_time() -> None:
    secret = "You ask for what nobody may know, not even those who ask for it. The code is 4711."
    mind = ScriptedMind([Turn(say=secret, times=1)], otherwise="No.")
    options = {"transport": "webrtc", "output_guardrails": [no_secrets]}
    async with AgentCall(agent, mind=mind, **options) as call:
        turn = await call.say("What is the code?")
        assert turn.guardrails == ["no secrets"]
        assert turn.interrupted
        assert "4711" not in turn.heard


async def test_an_agent_that_hangs_up_ends_the_turn() -> None:
    mind = ScriptedMind([Turn(when="bye", call=Call("hang_up", {}))])
    async with AgentCall(agent, mind=mind) as call:
        turn = await call.say("bye")
        turn.expect_tool("hang_up")
        assert call.session.status == "disconnected"


async def test_a_script_goes_on_where_it_was_when_the_connection_was_lost() -> None:
    mind = ScriptedMind([Turn(say="First.", times=1), Turn(say="Second.")], hears=["once", "twice"])
    async with AgentCall(agent, mind=mind) as call:
        assert (await call.say("once", voice=ToneVoice())).heard == "First."
        await call.served.drop("reset")
        again = await call.say("twice", voice=ToneVoice())
        assert again.heard == "Second."
        assert [said for who, said in call.conversation.messages if who == "user"][-1] == "twice"


async def test_several_calls_at_once_on_one_server() -> None:
    async with DevServer(STORIES) as server:
        calls = [AgentCall(agent, server=server) for _ in range(8)]
        await asyncio.gather(*(call.__aenter__() for call in calls))
        turns = await asyncio.gather(*(_say(call, "a story, please") for call in calls))
        assert {turn.heard for turn in turns} == {STORY}
        assert len({id(call.served) for call in calls}) == 8
        await asyncio.gather(*(call.close() for call in calls))


async def _say(call: AgentCall, text: str):
    return await call.say(text)


async def test_a_call_over_webrtc_is_played_in_real_time() -> None:
    mind = ScriptedMind(otherwise="Good day.")
    async with AgentCall(agent, mind=mind, transport="webrtc") as call:
        turn = await call.say("hello")
        assert turn.heard == "Good day."


async def test_the_session_has_the_options_that_are_given() -> None:
    async with AgentCall(agent, context={"name": "Ann"}, model="other") as call:
        assert call.session.context.context == {"name": "Ann"}
        await call.say("hello")
        assert call.conversation.session["model"] == "other"


@pytest.mark.parametrize("options", [{"mind": STORIES}, {"server_options": Options()}])
async def test_options_of_a_server_that_runs_already_are_refused(options) -> None:
    async with DevServer() as server:
        with pytest.raises(ValueError, match="give them to the DevServer"):
            AgentCall(agent, server=server, **options)


async def test_a_transport_of_ones_own_is_refused() -> None:
    with pytest.raises(ValueError, match="an AgentCall connects to its own server"):
        AgentCall(agent, transport=WebSocketTransport(url="ws://127.0.0.1:9/"))


async def test_ones_own_player_cannot_barge_in() -> None:
    async with AgentCall(agent, mind=STORIES, playback=PlaybackTracker()) as call:
        call.say("a story")
        with pytest.raises(ValueError, match="needs the call's own playback"):
            call.say("stop", barge_in_at="dragon")
