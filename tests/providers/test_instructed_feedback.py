"""What a guardrail says to a model whose provider takes no messages: the instructions have it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from agents import GuardrailFunctionOutput, OutputGuardrail, function_tool

from stapes import (
    AgentHandoff,
    Error,
    GuardrailTripped,
    RealtimeAgent,
    ReconnectPolicy,
    SessionRestored,
)
from stapes.providers import Capabilities, OpenAI, Provider, Qwen
from tests.providers import accents

if TYPE_CHECKING:
    from tests.providers.accents import Accent
    from tests.talk import Talk, Talks

GAP = ReconnectPolicy(first_delay=5, go_on=None)
"""The connection is away until the clock has moved by 5 seconds."""
BILLING = RealtimeAgent(name="Billing", instructions="You do bills.")


@dataclass(frozen=True, kw_only=True)
class Silent(OpenAI):
    """OpenAI's protocol, but for messages from a client."""

    capabilities = Capabilities(messages=False)


PROVIDERS: dict[str, tuple[Provider, Accent]] = {
    "qwen": (Qwen(), accents.QWEN),
    "ga": (Silent(), accents.GA),
}


async def _check(_context: Any, _agent: Any, output: str) -> GuardrailFunctionOutput:
    found = [word for word in ("secret", "code") if word in output]
    return GuardrailFunctionOutput(found, tripwire_triggered=bool(found))


@dataclass
class Guarded:
    """A guarded conversation, and what its instructions said."""

    talk: Talk
    accent: Accent

    async def starts(self, response: str) -> None:
        await self.talk.says(self.accent.starts(response))

    async def says(self, response: str, words: str) -> None:
        """The beginning of an answer comes, half a second of it."""
        spoken = self.accent.speaks(response, f"item_{response}", words, bytes(24_000))
        await self.talk.says(*spoken)

    async def says_before_its_sound(self, response: str, words: str) -> None:
        """The words are looked at before their sound comes."""
        *words_, sound = self.accent.speaks(response, f"item_{response}", words, bytes(24_000))
        await self.talk.says(*words_)
        await self.talk.says(sound)

    async def ends(self, response: str, words: str, status: str = "completed") -> None:
        await self.talk.says(*self.accent.has_spoken(response, f"item_{response}", words, status))

    async def trips(self, response: str, words: str = "The secret is") -> None:
        """A whole answer that the guardrail stops."""
        await self.starts(response)
        await self.says(response, words)
        await self.ends(response, words, "cancelled")

    async def answers(self, response: str) -> None:
        await self.starts(response)
        await self.says(response, "I am sorry.")
        await self.ends(response, "I am sorry.")

    def instructions(self) -> list[str]:
        """The instructions of each configuration that the server was given, in order."""
        sessions = [message["session"] for message in self.talk.sent("session.update")]
        return [session["instructions"] for session in sessions if "instructions" in session]

    def blocked(self) -> list[str]:
        """Why an answer was blocked, as each configuration says."""
        return [
            said.split("Failure Details: ")[1].split(".")[0] if "was blocked" in said else ""
            for said in self.instructions()
        ]

    def order(self) -> list[str]:
        """What was sent, but for the settings of tracing."""
        return [
            message["type"]
            for message in self.talk.server.received
            if message["type"] != "session.update" or "instructions" in message["session"]
        ]


@pytest.fixture(params=PROVIDERS)
def guarded(request: Any, talks: Talks) -> Any:
    provider, accent = PROVIDERS[request.param]

    async def begin(*tools: Any, **options: Any) -> Guarded:
        talk = await talks.begin(
            *tools,
            provider=provider,
            output_guardrails=[OutputGuardrail(_check, name="keeps secrets")],
            output_guardrail_settings={"debounce_text_length": 1},
            **options,
        )
        return Guarded(talk, accent)

    return begin


@pytest.fixture(autouse=True)
async def no_messages_no_errors(talks: Talks):
    """Whatever happens, no message is created, and nothing is an error."""
    made: list[Talk] = []
    begin = talks.begin

    async def noted(*args: Any, **options: Any) -> Talk:
        made.append(await begin(*args, **options))
        return made[-1]

    talks.begin = noted  # type: ignore[method-assign]
    yield
    for talk in made:
        items = [message["item"] for message in talk.sent("conversation.item.create")]
        assert [item["type"] for item in items if item["type"] == "message"] == []
        assert talk.seen(Error) == []


@pytest.mark.parametrize("reconnect", [None, GAP], ids=["alone", "surviving"])
async def test_the_instructions_tell_it_until_the_next_response_has_ended(
    guarded: Any, reconnect: Any
):
    call = await guarded(reconnect=reconnect)
    first = call.talk.sent("session.update")[0]
    await call.starts("r1")
    await call.says("r1", "The secret is")
    assert len(call.talk.seen(GuardrailTripped)) == 1
    assert call.order()[1] == "response.cancel"
    assert call.order()[-1] == "session.update"
    told = call.instructions()[-1]
    assert told.startswith("x\n\n⚠️ Your last answer was blocked.")
    assert "keeps secrets" in told
    assert 'Failure Details: ["secret"]' in told
    assert call.talk.sent("response.create") == []
    await call.ends("r1", "The secret is", "cancelled")
    assert len(call.talk.sent("response.create")) == 1
    assert len(call.instructions()) == 2, "the end of the answer that was stopped changes nothing"
    await call.starts("r2")
    await call.says("r2", "I am sorry.")
    assert len(call.instructions()) == 2
    await call.ends("r2", "I am sorry.")
    assert call.talk.sent("session.update")[-1] == first
    await call.answers("r3")
    assert call.blocked() == ["", '["secret"]', ""]
    assert len(call.talk.sent("response.create")) == 1


async def test_what_trips_next_takes_the_place_of_what_tripped_before(guarded: Any):
    call = await guarded()
    await call.trips("r1", "The secret is")
    await call.trips("r2", "The code is")
    await call.answers("r3")
    assert call.blocked() == ["", '["secret"]', '["code"]', ""]
    assert len(call.talk.sent("response.create")) == 2


async def test_an_answer_that_trips_when_its_response_has_ended(guarded: Any):
    gate = asyncio.Event()

    async def check(_context: Any, _agent: Any, output: str) -> GuardrailFunctionOutput:
        if "sorry" not in output:
            await gate.wait()
        return GuardrailFunctionOutput(["late"], tripwire_triggered="sorry" not in output)

    call = await guarded()
    call.talk.session.current_agent.output_guardrails.append(OutputGuardrail(check, name="late"))
    await call.starts("r1")
    await call.says("r1", "It is")
    await call.ends("r1", "It is")
    assert call.blocked() == [""]
    gate.set()
    await call.talk.settle()
    assert call.order()[-2:] == ["session.update", "response.create"]
    await call.answers("r2")
    assert call.blocked() == ["", '["late"]', ""]


async def test_the_agent_that_is_handed_over_to_is_told_it(guarded: Any):
    """The guardrail trips on what an agent says before it hands over."""
    call = await guarded(handoffs=[BILLING])
    await call.starts("r1")
    await call.says("r1", "The secret is")
    assert call.blocked() == ["", '["secret"]']
    await call.talk.says(*call.accent.calls("r1", "item_f", "transfer_to_Billing", "{}"))
    assert len(call.talk.seen(AgentHandoff)) == 1
    assert call.instructions()[-1].startswith("You do bills.\n\n⚠️ Your last answer was blocked.")
    assert len(call.talk.sent("response.create")) == 1
    await call.answers("r2")
    assert call.instructions()[-1] == "You do bills."


async def test_a_guardrail_that_trips_when_the_other_agent_is_in_charge_tells_that_one(
    guarded: Any,
):
    gate = asyncio.Event()

    @function_tool
    async def hours() -> str:
        """When it is open."""
        await gate.wait()
        return "nine to five"

    call = await guarded(hours, handoffs=[BILLING])
    await call.starts("r1")
    await call.talk.says(*call.accent.calls("r1", "item_g", "hours", "{}")[:-1])
    await call.talk.session.update_agent(BILLING)
    await call.says("r1", "The secret is")
    gate.set()
    await call.ends("r1", "The secret is", "cancelled")
    assert [said.split("\n")[0] for said in call.instructions()] == ["x", *["You do bills."] * 2]
    assert call.blocked() == ["", "", '["secret"]']
    await call.answers("r2")
    assert call.instructions()[-1] == "You do bills."


async def test_a_response_that_calls_a_tool_leaves_it_to_the_answer(guarded: Any):
    @function_tool
    async def hours() -> str:
        """When it is open."""
        return "nine to five"

    call = await guarded(hours)
    await call.trips("r1")
    await call.starts("r2")
    await call.talk.says(*call.accent.calls("r2", "item_f", "hours", "{}"))
    assert call.blocked() == ["", '["secret"]']
    await call.answers("r3")
    assert call.blocked() == ["", '["secret"]', ""]


async def test_a_response_that_is_stopped_as_it_begins_leaves_it_to_the_next(guarded: Any):
    """The user speaks while the answer is asked for, and is answered by the server first."""
    call = await guarded()
    await call.trips("r1")
    await call.talk.says({"type": "input_audio_buffer.speech_started", "item_id": "u"})
    await call.starts("r2")
    await call.ends("r2", "", "cancelled")
    assert call.blocked() == ["", '["secret"]']
    await call.answers("r3")
    assert call.blocked() == ["", '["secret"]', ""]


async def test_a_response_that_nobody_announced_ends_it(guarded: Any):
    call = await guarded()
    await call.trips("r1")
    await call.ends("r2", "I am sorry.")
    assert call.blocked() == ["", '["secret"]', ""]


@pytest.mark.parametrize("sound_is_late", [False, True], ids=["sound", "late sound"])
async def test_a_connection_lost_before_the_answer_begins(guarded: Any, sound_is_late: bool):
    call = await guarded(reconnect=GAP)
    await call.starts("r1")
    if sound_is_late:
        await call.says_before_its_sound("r1", "The secret is")
    else:
        await call.says("r1", "The secret is")
    await call.ends("r1", "The secret is", "cancelled")
    assert call.talk.heard() == {"item_r1": ""}
    call.talk.server.terminate()
    await call.talk.settle()
    await call.talk.after(5)
    assert len(call.talk.seen(SessionRestored)) == 1
    # Nothing of the answer that was stopped was heard.
    assert call.instructions()[-1] == call.instructions()[-2]
    assert call.order()[-2:] == ["session.update", "response.create"]
    await call.answers("r2")
    assert call.blocked() == ["", '["secret"]', '["secret"]', ""]
    assert call.instructions()[-1] == "x"


@pytest.mark.parametrize("heard", [False, True], ids=["nothing was heard", "some was heard"])
async def test_a_connection_lost_during_the_answer(guarded: Any, heard: bool):
    """It stays for an answer that is asked for again, and goes with one that was heard."""
    call = await guarded(reconnect=GAP)
    await call.trips("r1")
    await call.starts("r2")
    if heard:
        await call.says("r2", "I am very sorry")
        await call.talk.after(0.4)
    call.talk.server.terminate()
    await call.talk.settle()
    await call.talk.after(5)
    again = "" if heard else '["secret"]'
    assert call.blocked() == ["", '["secret"]', again]
    assert len(call.talk.sent("response.create")) == (1 if heard else 2)
    await call.answers("r3")
    assert call.blocked()[3:] == ([] if heard else [""])


async def test_a_connection_lost_while_a_tool_of_the_answer_runs(guarded: Any):
    gate = asyncio.Event()

    @function_tool
    async def hours() -> str:
        """When it is open."""
        await gate.wait()
        return "nine to five"

    call = await guarded(hours, reconnect=GAP)
    await call.trips("r1")
    await call.starts("r2")
    await call.talk.says(*call.accent.calls("r2", "item_f", "hours", "{}"))
    call.talk.server.terminate()
    await call.talk.settle()
    await call.talk.after(5)
    gate.set()
    await call.talk.settle()
    assert "It gave: nine to five\n\n⚠️" in call.instructions()[-1]
    await call.answers("r3")
    assert call.blocked()[-2:] == ['["secret"]', ""]
    assert "It gave: nine to five" in call.instructions()[-1]


async def test_a_guardrail_that_trips_while_there_is_no_connection(guarded: Any):
    gate = asyncio.Event()

    async def check(_context: Any, _agent: Any, output: str) -> GuardrailFunctionOutput:
        await gate.wait()
        return GuardrailFunctionOutput(["late"], tripwire_triggered="sorry" not in output)

    call = await guarded(reconnect=GAP)
    call.talk.session.current_agent.output_guardrails.append(OutputGuardrail(check, name="late"))
    await call.starts("r1")
    await call.says("r1", "It is")
    await call.ends("r1", "It is")
    call.talk.server.terminate()
    await call.talk.settle()
    gate.set()
    await call.talk.settle()
    assert call.blocked() == [""]
    await call.talk.after(5)
    assert call.blocked() == ["", '["late"]']
    assert call.order()[-2:] == ["session.update", "response.create"]
    await call.answers("r2")
    assert call.blocked() == ["", '["late"]', ""]


async def test_another_session_of_the_same_object_is_told_nothing(guarded: Any):
    call = await guarded()
    await call.trips("r1")
    await call.talk.session.close()
    await call.talk.session.connect(url=call.talk.server.url)
    await call.talk.settle()
    assert call.blocked() == ["", '["secret"]', ""]


async def test_a_second_connection_is_told_what_stands(guarded: Any):
    """The request for the answer was given up, so that the conversation is quiet."""
    minute = ReconnectPolicy(max_session_duration=60, rollover_margin=10, go_on=None)
    call = await guarded(reconnect=minute, response_timeout=5.0)
    await call.trips("r1")
    call.talk.clock.advance(5.1)
    await call.talk.settle()
    assert [type(event).__name__ for event in call.talk.seen(Error)] == ["Error"]
    call.talk.events.clear()
    call.talk.clock.advance(47)
    async with asyncio.timeout(10):
        while not call.talk.seen(SessionRestored):
            await asyncio.sleep(0.001)
    await call.talk.settle()
    assert set(call.blocked()[1:]) == {'["secret"]'}
    await call.answers("r2")
    assert call.blocked()[-1] == ""
