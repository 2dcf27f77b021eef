"""The front desk, and a batch of callers who ask it things."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stapes.cli.load_agent import load_agent
from stapes.testing import AgentCall, ScriptedMind

EXAMPLES = Path(__file__).parents[2] / "examples"
DESK = EXAMPLES / "front_desk" / "agent.py"


async def test_a_caller_goes_from_the_desk_to_billing_and_gets_a_refund() -> None:
    async with AgentCall(load_agent(str(DESK))) as call:
        turn = await call.say("What is the weather in Paris?")
        turn.expect_tool("weather", city="Paris")
        turn = await call.say("When does the pool open?")
        turn.expect_tool("opening_hours", place="pool")
        assert "seven to nine" in turn.heard
        turn = await call.say("What is the code of the staff door?")
        assert turn.guardrails == ["door code stays secret"]
        turn = await call.say("I have a question about my bill.")
        turn.expect_handoff("Billing")
        turn = await call.say("I would like a refund of forty dollars for booking 471.")
        assert [ask.tool_name for ask in turn.approvals] == ["refund"]
        turn = await call.approve()
        turn.expect_tool("refund", booking_id="471", amount=40)
        assert "40 dollars" in turn.heard


def test_the_path_that_it_had_before_has_the_same_agent() -> None:
    before, now = load_agent(str(EXAMPLES / "front_desk.py")), load_agent(str(DESK))
    assert before.name == now.name
    assert [tool.name for tool in before.tools] == [tool.name for tool in now.tools]


def test_a_batch_of_callers_is_answered_and_counted(
    example: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--calls", "4", "--at-once", "2"]
    monkeypatch.setattr("sys.argv", ["callers.py", str(DESK), *options])
    assert example("batch/callers").main() == 0
    told = capsys.readouterr().out
    assert "turns      12, of which 12 were answered" in told
    assert "failed     0 calls" in told
    assert "weather" in told


@pytest.fixture
def silent(tmp_path: Path) -> Path:
    path = tmp_path / "silent.py"
    path.write_text("from stapes import RealtimeAgent\nagent = RealtimeAgent(name='Silent')\n")
    return path


async def test_a_batch_counts_questions_that_are_not_answered(
    silent: Path, example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = example("batch/callers")
    agent = load_agent(str(silent))
    monkeypatch.setattr(module, "AgentCall", lambda agent: AgentCall(agent, mind=ScriptedMind()))
    turns, failures = await module.run(agent, ["Hello?"], calls=2, at_once=2)
    assert module.report(turns, failures).startswith("turns      2, of which 0 were answered")
