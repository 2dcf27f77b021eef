"""`CallSummary`: what became of a call, in a line without anything that was said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from agents import Usage, function_tool
from tests.calls.test_twilio_calls import answered, speak, until, url_of
from tests.calls.twilio_phone import TwilioPhone

from stapes import RealtimeAgent, RealtimeSession
from stapes.calls import Call, CallEnded, CallSummary
from stapes.testing import ScriptedServer


@function_tool
def weather() -> str:
    """The weather."""
    return "It rains, and nobody may know."


AGENT = RealtimeAgent(name="Desk", tools=[weather])


async def test_it_counts_tools_interruptions_and_tokens_and_tells_how_it_ended():
    summaries: list[CallSummary] = []

    async with ScriptedServer() as model:

        async def answer(call: Call) -> None:
            session = RealtimeSession(AGENT, call=call, api_key="test")
            summaries.append(CallSummary(call, session))
            await session.connect(url=model.url)
            await call.ended()
            await session.close()

        async with answered(answer) as server, TwilioPhone(url_of(server)) as phone:
            await phone.start()
            await model.receive(1)
            call = {
                "type": "function_call",
                "id": "f",
                "call_id": "c",
                "name": "weather",
                "arguments": "{}",
            }
            for number in range(2):
                done = {**call, "id": f"f{number}", "call_id": f"c{number}"}
                for event in (
                    {"type": "response.created", "response": {"id": f"r{number}"}},
                    {
                        "type": "response.output_item.done",
                        "item": done,
                        "response_id": f"r{number}",
                        "output_index": 0,
                    },
                    {
                        "type": "response.done",
                        "response": {
                            "id": f"r{number}",
                            "output": [done],
                            "usage": {"input_tokens": 20, "output_tokens": 3, "total_tokens": 23},
                        },
                    },
                ):
                    await model.send(event)
                await until(lambda number=number: summaries[0].tools == {"weather": number + 1})
            await speak(model, b"\x11" * 8 * 5000, ends=False)
            await phone.until(lambda: len(phone.heard) >= 40_000)
            assert "standing" in str(summaries[0])
            await model.send({"type": "input_audio_buffer.speech_started", "item_id": "u"})
            await until(lambda: summaries[0].interruptions == 1)
            await phone.press("7")
            await phone.hang_up()
            await until(lambda: not server.standing)

    summary = summaries[0]
    assert (summary.agents, summary.tools, summary.tokens) == (["Desk"], {"weather": 2}, 46)
    line = str(summary)
    assert line.startswith("twilio CA1 | ")
    assert "agents: Desk | tools: weather x2 | interruptions: 1 | tokens: 46" in line
    assert "ended by: caller" in line
    assert "nobody may know" not in line


class Listened:
    """Stands for a call and for a session: has callbacks, and no more."""

    carrier = "asterisk"
    id = "x\n2026-11-29 | a line that nobody logged" + "!" * 200
    initial_agent = SimpleNamespace(name="Desk")
    usage = Usage()

    def __init__(self) -> None:
        self.ending: CallEnded | None = None
        self.callbacks: dict[Any, Any] = {}

    def on(self, kind: Any, callback: Any) -> None:
        self.callbacks[kind] = callback


def test_what_comes_from_outside_stays_in_its_line():
    call: Any = Listened()
    session: Any = Listened()
    summary = CallSummary(call, session)

    call.ending = CallEnded("line", "gone\r\nand more\x1b[31m", 1.0)

    assert str(summary).isprintable()
    assert len(str(summary)) < 400


def test_agents_are_told_in_their_order():
    call: Any = Listened()
    session: Any = Listened()
    summary = CallSummary(call, session)

    for name in ("Billing", "Desk"):
        session.callbacks["agent_handoff"](SimpleNamespace(to_agent=SimpleNamespace(name=name)))

    assert "agents: Desk > Billing > Desk" in str(summary)


def test_an_answer_that_a_guardrail_stopped_was_not_interrupted():
    call: Any = Listened()
    session: Any = Listened()
    summary = CallSummary(call, session)

    session.callbacks["guardrail_tripped"](SimpleNamespace(response_id="r1"))
    for response in ("r1", "r2"):
        cut = SimpleNamespace(response_id=response, interrupted=True)
        session.callbacks["playback_ended"](cut)

    assert (summary.interruptions, summary.guardrails) == (1, 1)
    assert "interruptions: 1 | guardrails: 1 | tokens" in str(summary)
