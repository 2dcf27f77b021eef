"""A lost connection is replaced, and the conversation goes on over the new one."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest
from agents import function_tool

from stapes import (
    AgentToolEnd,
    AudioInterrupted,
    ConnectionChanged,
    ConnectionLostError,
    Error,
    HistoryAdded,
    RealtimeAgent,
    ReconnectPolicy,
    SessionRestored,
    ToolApprovalRequested,
)

if TYPE_CHECKING:
    from tests.talk import Talk, Talks

GAP = ReconnectPolicy(first_delay=5, go_on=None)
"""The connection is away until the clock has moved by 5 seconds."""


def gated(name: str = "weather", **options: Any) -> tuple[Any, asyncio.Event]:
    """A tool that answers when its gate is opened."""
    gate = asyncio.Event()

    @function_tool(name_override=name, **options)
    async def tool(city: str = "Paris") -> str:
        await gate.wait()
        return f"sunny in {city}"

    return tool, gate


class Call:
    """A talk whose connection the test takes away, and what the new one is told."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.session, self.server = talk.session, talk.server
        self._before = 0

    async def loses(self) -> None:
        self.server.terminate()
        await self.talk.settle()
        assert self.session.status == "reconnecting"
        self._before = len(self.server.received)

    async def returns(self) -> None:
        await self.talk.after(5)
        assert self.session.status == "connected"

    async def drops(self) -> None:
        await self.loses()
        await self.returns()

    def told(self) -> list[dict[str, Any]]:
        """The messages over the new connection."""
        return self.server.received[self._before :]

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.told()]

    def items(self) -> list[dict[str, Any]]:
        return [m["item"] for m in self.told() if m["type"] == "conversation.item.create"]

    def words(self) -> list[str]:
        parts = [part for item in self.items() for part in item.get("content", ())]
        return [part["text"] for part in parts if "text" in part]

    async def confirms(self, item: dict[str, Any], previous: str | None = None) -> None:
        for kind in ("added", "done"):
            await self.talk.says(
                {
                    "type": f"conversation.item.{kind}",
                    "previous_item_id": previous,
                    "item": {"status": "completed", **item},
                }
            )

    async def writes(self, text: str) -> None:
        """The user's message, which the server confirms."""
        await self.session.send_message(text, trigger_response=False)
        await self.talk.settle()
        known = [item.item_id for item in self.session.history]
        previous = known[-1] if known else None
        await self.confirms(self.talk.sent("conversation.item.create")[-1]["item"], previous)

    def asked(self) -> int:
        return self.kinds().count("response.create")


@pytest.fixture
def calls(talks: Talks) -> Any:
    async def begin(*tools: Any, **options: Any) -> Call:
        options.setdefault("reconnect", GAP)
        return Call(await talks.begin(*tools, **options))

    return begin


async def test_a_new_connection_is_told_the_configuration_and_the_history_as_heard(calls: Any):
    call = await calls()
    await call.writes("How is Paris?")
    await call.talk.answers("r", "i", "It is sunny there today.", ms=2000)
    await call.talk.after(3)
    before = list(call.session.history)
    await call.drops()
    assert call.kinds()[0] == "session.update"
    assert call.told()[0] == call.server.received[0]
    assert call.words() == ["How is Paris?", "It is sunny there today."]
    ids = [item.item_id for item in before]
    assert [item["id"] for item in call.items()] == ids
    previous = [m["previous_item_id"] for m in call.told() if "previous_item_id" in m]
    assert previous == ["root", *ids[:-1]]
    assert list(call.session.history) == before
    [restored] = call.talk.seen(SessionRestored)
    assert (restored.reason, restored.gap, restored.items) == ("lost", 5.0, 2)
    assert (restored.left_out, restored.resumed) == (0, False)


async def test_the_confirmations_of_what_was_told_are_no_news(calls: Any):
    call = await calls()
    await call.writes("How is Paris?")
    await call.talk.answers("r", "i", "It is sunny.", ms=100)
    await call.talk.after(1)
    await call.drops()
    history, seen = list(call.session.history), len(call.talk.seen(HistoryAdded))
    for item in call.items():
        await call.confirms(item, "root")
    assert len(call.talk.seen(HistoryAdded)) == seen
    assert list(call.session.history) == history
    await call.writes("And Rome?")
    assert len(call.talk.seen(HistoryAdded)) == seen + 1


async def test_the_states_of_the_connection_are_said(calls: Any):
    call = await calls()
    await call.drops()
    changes = call.talk.seen(ConnectionChanged)
    assert [change.status for change in changes] == [
        "connecting",
        "connected",
        "reconnecting",
        "connected",
    ]
    assert isinstance(changes[2].error, ConnectionLostError)
    assert changes[2].retryable
    assert changes[3].error is None


@pytest.mark.parametrize("when", ["in the gap", "after it"])
async def test_a_tool_that_was_at_work_answers_once_on_the_new_connection(calls: Any, when: str):
    tool, gate = gated()
    call = await calls(tool)
    await call.talk.starts()
    await call.talk.calls("weather")
    await call.talk.ends()
    await call.loses()
    if when == "in the gap":
        gate.set()
        await call.talk.settle()
    await call.returns()
    gate.set()
    await call.talk.settle()
    items = [(item["type"], item["call_id"]) for item in call.items()]
    assert items == [("function_call", "c"), ("function_call_output", "c")]
    assert call.items()[1]["output"] == "sunny in Paris"
    assert call.asked() == 1
    assert len(call.talk.seen(AgentToolEnd)) == 1
    assert not call.talk.seen(Error)


async def test_a_tool_of_a_response_that_the_loss_ended_is_answered(calls: Any):
    tool, gate = gated()
    call = await calls(tool)
    await call.talk.starts()
    await call.talk.calls("weather")
    await call.drops()
    assert call.asked() == 0
    gate.set()
    await call.talk.settle()
    assert call.items()[-1]["output"] == "sunny in Paris"
    assert call.asked() == 1


@pytest.mark.parametrize("when", ["in the gap", "after it"])
async def test_an_approval_goes_on_waiting(calls: Any, when: str):
    tool, gate = gated(needs_approval=True)
    gate.set()
    call = await calls(tool)
    await call.talk.starts()
    await call.talk.calls("weather")
    await call.talk.ends()
    [asked] = call.talk.seen(ToolApprovalRequested)
    await call.loses()
    if when == "in the gap":
        await call.session.approve(asked.approval)
    await call.returns()
    if when == "after it":
        await call.session.approve(asked.approval)
    await call.talk.settle()
    assert [item["type"] for item in call.items()] == ["function_call", "function_call_output"]
    assert call.asked() == 1


async def test_an_answer_that_had_not_begun_is_asked_for_again(calls: Any):
    call = await calls()
    await call.session.send_message("How is Paris?")
    await call.talk.settle()
    await call.confirms(call.talk.sent("conversation.item.create")[-1]["item"])
    await call.drops()
    assert call.kinds()[-1] == "response.create"
    assert call.asked() == 1


async def test_settings_of_a_request_are_asked_for_again_with_it(calls: Any):
    call = await calls()
    await call.session.request_response({"instructions": "Sing."})
    await call.talk.settle()
    await call.drops()
    [again] = [m for m in call.told() if m["type"] == "response.create"]
    assert again["response"] == {"instructions": "Sing."}


async def test_an_answer_of_which_nothing_was_heard_is_asked_for_again(calls: Any):
    call = await calls()
    await call.writes("How is Paris?")
    await call.session.request_response()
    await begins_to_say(call, "It is")
    await call.drops()
    assert [item.text for item in call.session.history] == ["How is Paris?"]
    assert call.words() == ["How is Paris?"]
    assert call.asked() == 1


async def begins_to_say(call: Call, words: str) -> None:
    """An answer begins, whose words are known before any sound of it has come."""
    await call.talk.starts()
    message = {"id": "i", "type": "message", "role": "assistant"}
    part = {"response_id": "r", "item_id": "i", "content_index": 0}
    await call.talk.says(
        {"type": "response.output_item.added", "response_id": "r", "item": message},
        {"type": "response.output_audio_transcript.delta", "delta": words, **part},
    )


async def half_spoken(call: Call) -> None:
    """Two of four words are heard of an answer that is still being made."""
    await call.writes("How is Paris?")
    await begins_to_say(call, "aaaa bbbb cccc dddd")
    await call.talk.speaks("r", "i", ms=4000)
    await call.talk.after(2.1)


async def test_an_answer_that_was_half_spoken_ends_where_it_was_heard_to(calls: Any):
    call = await calls()
    await half_spoken(call)
    await call.drops()
    assert len(call.talk.seen(AudioInterrupted)) == 1
    answer = call.session.history[-1]
    assert answer.content[0].heard == "aaaa bbbb"
    assert call.words() == ["How is Paris?", "aaaa bbbb"]
    assert call.asked() == 0
    assert not call.talk.cuts()


async def test_an_answer_that_was_half_spoken_goes_on_where_that_is_wanted(calls: Any):
    policy = ReconnectPolicy(first_delay=5, continue_answers=True)
    call = await calls(reconnect=policy)
    await half_spoken(call)
    await call.drops()
    assert call.words()[:2] == ["How is Paris?", "aaaa bbbb"]
    assert "cut off" in call.words()[2]
    assert call.asked() == 1


async def test_an_answer_that_was_interrupted_is_not_asked_for_again(calls: Any):
    call = await calls()
    await call.writes("How is Paris?")
    await call.session.request_response()
    await call.talk.starts()
    await call.session.interrupt()
    await call.drops()
    assert call.asked() == 0


async def test_an_answer_that_plays_on_is_told_whole_and_told_again_where_it_is_cut(calls: Any):
    call = await calls()
    await call.talk.answers("r", "i", "aaaa bbbb cccc dddd", ms=20_000)
    await call.drops()
    assert call.words() == ["aaaa bbbb cccc dddd"]
    await call.talk.after(5.5)
    await call.session.interrupt()
    await call.talk.settle()
    assert not call.talk.cuts()
    assert call.kinds()[-2:] == ["conversation.item.delete", "conversation.item.create"]
    assert call.words()[-1] == "aaaa bbbb"
    await call.talk.says({"type": "conversation.item.deleted", "item_id": "i"})
    await call.confirms(call.items()[-1])
    assert [item.content[0].heard for item in call.session.history] == ["aaaa bbbb"]


async def test_a_message_that_the_server_had_not_confirmed_is_sent_again_and_no_other(calls: Any):
    call = await calls()
    await call.writes("First.")
    await call.session.send_message("Second.", trigger_response=False)
    await call.talk.settle()
    await call.drops()
    assert call.words() == ["First.", "Second."]
    await call.confirms(call.items()[1], call.items()[0]["id"])
    await call.drops()
    assert call.words() == ["First.", "Second."]
    assert [item.text for item in call.session.history] == ["First.", "Second."]


async def test_commands_that_are_given_in_the_gap_wait_in_order(calls: Any):
    call = await calls()
    await call.writes("First.")
    await call.loses()
    await call.session.send_message("Second.", trigger_response=False)
    await call.session.transport.send_event({"type": "x.own", "n": 1})
    await call.session.send_message("Third.")
    await call.session.add_image("data:image/png;base64,AA==", trigger_response=False)
    await call.returns()
    told = [kind for kind in call.kinds() if kind != "session.update"]
    assert told == [
        *["conversation.item.create"] * 2,
        "x.own",
        *["conversation.item.create"] * 2,
        "response.create",
    ]
    assert call.words() == ["First.", "Second.", "Third."]


async def test_a_history_that_is_rewritten_in_the_gap_is_rewritten_after_it(calls: Any):
    call = await calls()
    await call.writes("First.")
    await call.writes("Second.")
    await call.loses()
    await call.session.update_history(lambda items: items[1:])
    await call.returns()
    deleted = [m["item_id"] for m in call.told() if m["type"] == "conversation.item.delete"]
    assert deleted == [call.items()[0]["id"]]
    assert call.kinds()[-1] == "conversation.item.delete"


async def test_a_rewriting_that_was_half_confirmed_is_completed(calls: Any):
    call = await calls()
    await call.writes("First.")
    await call.writes("Second.")
    first, second = call.session.history
    new = {
        "item_id": "new",
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "Third."}],
    }
    await call.session.update_history([second, new])
    await call.talk.settle()
    await call.drops()
    assert call.words() == ["Second.", "Third."]
    assert [item.item_id for item in call.session.history] == [second.item_id]
    await call.confirms(call.items()[-1], second.item_id)
    assert [item.text for item in call.session.history] == ["Second.", "Third."]
    assert first.item_id not in {item["id"] for item in call.items()}


async def test_another_agent_takes_over_in_the_gap(calls: Any):
    call = await calls()
    await call.loses()
    await call.session.update_agent(RealtimeAgent(name="Other", instructions="Be other."))
    await call.returns()
    updates = [m["session"] for m in call.told() if m["type"] == "session.update"]
    assert [update.get("instructions") for update in updates] == ["Be other."]
    assert call.session.current_agent.name == "Other"
    assert "voice" not in updates[0]["audio"]["output"] or updates[0]["audio"]["output"]["voice"]


async def test_a_handoff_that_ends_in_the_gap_is_answered_with_the_new_agent(calls: Any):
    gate = asyncio.Event()

    async def ready(context: Any, agent: Any) -> str:
        await gate.wait()
        return "Be other."

    other = RealtimeAgent(name="Other", instructions=ready)
    call = await calls(handoffs=[other])
    await call.talk.starts()
    await call.talk.calls("transfer_to_Other")
    await call.talk.ends()
    await call.loses()
    gate.set()
    await call.talk.settle()
    await call.returns()
    assert call.told()[0]["session"]["instructions"] == "Be other."
    assert [item["type"] for item in call.items()] == ["function_call", "function_call_output"]
    assert call.asked() == 1
    assert call.session.current_agent is other


async def test_the_configuration_is_that_of_all_updates(calls: Any):
    call = await calls(config={"audio": {"output": {"voice": "ash"}}})
    change = {"type": "session.update", "session": {"audio": {"input": {"turn_detection": None}}}}
    await call.session.transport.send_event(change)
    await call.session.update_agent(RealtimeAgent(name="Other", instructions="Be other."))
    await call.talk.settle()
    await call.drops()
    [told] = [m["session"] for m in call.told() if m["type"] == "session.update"]
    assert told["instructions"] == "Be other."
    assert told["audio"]["output"]["voice"] == "ash"


def sound_of(call: Call) -> bytes:
    appended = [m["audio"] for m in call.told() if m["type"] == "input_audio_buffer.append"]
    return b"".join(base64.b64decode(audio) for audio in appended)


async def test_speech_that_was_cut_off_goes_first_and_once(calls: Any):
    call = await calls()
    silence, speech = bytes(48_000), b"\x01\x02" * 24_000
    await call.session.send_audio(silence)
    await call.session.send_audio(speech)
    await call.talk.says(
        {"type": "input_audio_buffer.speech_started", "audio_start_ms": 1000, "item_id": "u"}
    )
    await call.loses()
    more = b"\x03\x04" * 2400
    await call.session.send_audio(more)
    await call.returns()
    assert sound_of(call) == speech + more
    await call.session.send_audio(more)
    await call.talk.settle()
    assert sound_of(call) == speech + more + more


async def test_a_turn_whose_transcript_had_not_come_is_told_as_sound_in_its_place(calls: Any):
    call = await calls()
    speech = b"\x01\x02" * 24_000
    await call.session.send_audio(speech)
    await call.talk.says(
        {"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "u"},
        {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 1000, "item_id": "u"},
        {"type": "input_audio_buffer.committed", "item_id": "u"},
    )
    heard = {"id": "u", "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
    await call.confirms(heard)
    await call.drops()
    [item] = call.items()
    assert (item["id"], item["role"]) == ("u", "user")
    assert base64.b64decode(item["content"][0]["audio"]) == speech
    assert sound_of(call) == b""
    # The server would have answered by itself.
    assert call.asked() == 1
    await call.confirms(item)
    await call.talk.says(
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "u",
            "content_index": 0,
            "transcript": "How is Paris?",
        }
    )
    await call.drops()
    assert call.words() == ["How is Paris?"]


async def test_a_turn_that_the_client_ended_is_committed_again_until_an_item_holds_it(calls: Any):
    config = {"audio": {"input": {"turn_detection": None}}}
    call = await calls(config=config)
    speech = b"\x01\x02" * 48_000
    await call.session.send_audio(speech, commit=True)
    await call.session.request_response()
    await call.talk.settle()
    await call.drops()
    assert sound_of(call) == speech
    assert call.kinds()[-2:] == ["input_audio_buffer.commit", "response.create"]
    await call.talk.says({"type": "input_audio_buffer.committed", "item_id": "u"})
    heard = {"id": "u", "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
    await call.confirms(heard)
    await call.drops()
    assert sound_of(call) == b""
    assert base64.b64decode(call.items()[0]["content"][0]["audio"]) == speech


async def test_sound_that_exceeds_the_bound_is_lost_and_told(calls: Any):
    call = await calls(reconnect=ReconnectPolicy(first_delay=5, max_unsent_audio=1))
    await call.loses()
    await call.session.send_audio(bytes(48_000) + b"\x01\x02" * 24_000)
    await call.returns()
    assert sound_of(call) == b"\x01\x02" * 24_000
    [error] = call.talk.seen(Error)
    assert "1000 ms" in str(error.error)
    assert "max_unsent_audio" in str(error.error)


async def test_close_in_the_gap_ends_the_session(calls: Any):
    call = await calls()
    await call.loses()
    await call.session.close()
    assert call.session.status == "disconnected"
    await call.talk.after(10)
    assert call.session.status == "disconnected"
    assert len(call.server.handshakes) == 1


async def test_a_goodbye_between_two_turns_is_none_within_one(calls: Any):
    call = await calls()
    await call.server.close(1000)
    await call.talk.settle()
    assert call.session.status == "disconnected"
    assert call.talk.seen(ConnectionChanged)[-1].error is None
    await call.session.connect(url=call.server.url)
    await call.talk.settle()
    await call.talk.starts()
    await call.server.close(1000)
    await call.talk.settle()
    assert call.session.status == "reconnecting"


@pytest.mark.parametrize("code", ["insufficient_quota", "invalid_api_key"])
async def test_a_refusal_ends_the_session_by_name(calls: Any, code: str):
    call = await calls()
    await call.talk.says({"type": "error", "error": {"code": code, "message": "No."}})
    await call.server.close(1011)
    await call.talk.settle()
    assert call.session.status == "disconnected"
    assert code in str(call.talk.seen(Error)[-1].error)


async def test_an_expired_session_is_replaced(calls: Any):
    call = await calls()
    await call.talk.says({"type": "error", "error": {"code": "session_expired", "message": "60"}})
    await call.server.close(1000)
    await call.talk.settle()
    await call.returns()
    assert call.talk.seen(SessionRestored)[-1].reason == "expired"


async def test_a_one_time_key_is_not_used_twice(talks: Talks):
    talk = await talks.begin(connect=False, reconnect=GAP)
    await talk.session.connect(url=talk.server.url, api_key="ek_once_only_123456")
    await talk.settle()
    talk.server.terminate()
    await talk.settle()
    assert talk.session.status == "disconnected"
    assert "good for one connection" in str(talk.seen(Error)[-1].error)


async def test_attempts_end_with_an_error(talks: Talks):
    policy = ReconnectPolicy(attempts=3, base_delay=1, max_delay=1, jitter=0)
    talk = await talks.begin(reconnect=policy)
    talk.server.refuse(503)
    talk.server.terminate()
    for _ in range(4):
        await talk.after(1)
    assert talk.session.status == "disconnected"
    assert "3 attempts" in str(talk.seen(Error)[-1].error)
    last = talk.seen(ConnectionChanged)[-1]
    assert last.status == "disconnected"
    assert "503" in (last.reason or "")


async def test_a_key_that_a_function_gets_is_got_for_each_attempt(talks: Talks):
    keys: list[str] = []

    async def key() -> str:
        keys.append(f"key-{len(keys)}-0123456789")
        return keys[-1]

    talk = await talks.begin(connect=False, reconnect=GAP)
    await talk.session.connect(url=talk.server.url, api_key=key)
    await talk.settle()
    call = Call(talk)
    await call.loses()
    talk.clock.advance(5)
    async with asyncio.timeout(5):
        while talk.session.status != "connected":
            await asyncio.sleep(0.001)
    sent = [handshake.headers["authorization"] for handshake in talk.server.handshakes]
    assert sent == [f"Bearer {made}" for made in keys]
    assert len(keys) == 2


async def test_a_key_function_that_raises_is_a_failed_attempt(talks: Talks):
    asked = 0

    def key() -> str:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise OSError("the vault is away")
        return "key-0123456789"

    policy = ReconnectPolicy(base_delay=1, max_delay=1, jitter=0)
    talk = await talks.begin(connect=False, reconnect=policy)
    await talk.session.connect(url=talk.server.url, api_key=key)
    await talk.settle()
    talk.server.terminate()
    async with asyncio.timeout(5):
        while len(talk.server.handshakes) < 2 or talk.session.status != "connected":
            await asyncio.sleep(0.005)
            talk.clock.advance(0.1)
    assert asked == 3
    assert "the vault is away" in str([event.error for event in talk.seen(Error)])
    assert talk.session.stats().failed_attempts == 1


async def test_should_retry_decides_in_place_of_the_profile(talks: Talks):
    seen: list[Any] = []

    def decide(error: BaseException) -> bool:
        seen.append(error)
        return len(seen) == 1

    policy = ReconnectPolicy(should_retry=decide, go_on=None)
    talk = await talks.begin(reconnect=policy)
    await talk.server.close(4001, "go away")
    async with asyncio.timeout(5):
        while not talk.seen(SessionRestored):
            await asyncio.sleep(0.001)
    await talk.settle()
    await talk.server.close(1012)
    async with asyncio.timeout(5):
        while talk.session.status != "disconnected":
            await asyncio.sleep(0.001)
    assert [error.code for error in seen] == [4001, 1012]
    assert "should_retry" in str(talk.seen(Error)[-1].error)


async def test_what_exceeds_the_bounds_is_summed_up_or_left_out(talks: Talks):
    given: list[Any] = []

    async def summarise(items: Any) -> str:
        given.extend(items)
        return "They spoke of Paris."

    policy = ReconnectPolicy(max_replayed_items=1, summarise=summarise, go_on=None)
    call = Call(await talks.begin(reconnect=policy))
    for text in ("How is Paris?", "And Rome?", "And Oslo?"):
        await call.writes(text)
    before = len(call.server.received)
    call.server.terminate()
    async with asyncio.timeout(5):
        while not call.talk.seen(SessionRestored):
            await asyncio.sleep(0.001)
    await call.talk.settle()
    told = [m["item"] for m in call.server.received[before:] if "item" in m]
    assert [item["content"][0]["text"] for item in told] == ["They spoke of Paris.", "And Oslo?"]
    assert [item["role"] for item in told] == ["system", "user"]
    assert [item.text for item in given] == ["How is Paris?", "And Rome?"]
    assert call.talk.seen(SessionRestored)[0].left_out == 2
    assert len(call.session.history) == 3


async def test_a_call_that_the_provider_holds_is_joined_again_and_told_nothing(talks: Talks):
    tool, gate = gated()
    talk = await talks.begin(tool, connect=False, reconnect=GAP)
    await talk.session.connect(url=f"{talk.server.url}?call_id=rtc_1")
    await talk.settle()
    call = Call(talk)
    await call.writes("How is Paris?")
    await talk.starts()
    await talk.calls("weather")
    await talk.ends()
    await call.loses()
    gate.set()
    await talk.settle()
    await call.returns()
    assert [item["type"] for item in call.items()] == ["function_call_output"]
    assert talk.seen(SessionRestored)[0].resumed
    assert call.asked() == 1


async def test_an_answer_whose_sound_has_all_come_plays_to_its_end_and_is_told_whole(calls: Any):
    call = await calls()
    await call.writes("How is Paris?")
    await begins_to_say(call, "aaaa bbbb")
    await call.talk.speaks("r", "i", ms=4000)
    await call.talk.has_spoken("r", "i")
    await call.drops()
    assert not call.talk.seen(AudioInterrupted)
    assert call.words() == ["How is Paris?", "aaaa bbbb"]
    assert call.asked() == 0
    assert [item.text for item in call.session.history] == ["How is Paris?", "aaaa bbbb"]
    assert call.session.history[-1].status == "completed"


async def test_a_call_that_was_being_written_after_words_is_asked_for_again(calls: Any):
    call = await calls()
    await half_spoken(call)
    item = {"id": "f", "type": "function_call", "status": "in_progress", "call_id": "c"}
    await call.talk.says(
        {"type": "response.output_item.added", "response_id": "r", "item": {**item, "name": "x"}}
    )
    await call.drops()
    assert call.words() == ["How is Paris?", "aaaa bbbb"]
    assert call.asked() == 1


async def test_what_a_new_connection_could_not_be_told_is_logged_once(
    talks: Talks, caplog: pytest.LogCaptureFixture
):
    def warnings() -> list[str]:
        return [r.message for r in caplog.records if "transcription is off" in r.message]

    config: Any = {"audio": {"input": {"transcription": None}}}
    talk = await talks.begin(reconnect=GAP, config=config)
    await talk.session.close()
    await talk.session.connect(url=talk.server.url)
    await talk.settle()
    assert len(warnings()) == 1
    caplog.clear()
    await talk.session.close()
    for options in ({"reconnect": None}, {"reconnect": GAP, "history_store_audio": True}):
        other = await talks.begin(config=config, **options)
        await other.session.close()
        await other.settle()
    assert not warnings()
