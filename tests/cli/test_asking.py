from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from stapes.approvals import ToolApproval
from stapes.cli.call.asking import AskOnTerminal

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

AGENT: Any = None
WISH = ToolApproval("function_approval", AGENT, "refund", '{"amount": 40}', "call", "item")


class Display:
    def paused(self) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.mark.parametrize(
    ("replies", "decision"),
    [(["y"], True), (["YES "], True), (["n"], False), (["perhaps", "", "y"], True)],
)
async def test_it_asks_until_there_is_an_answer(replies: list[str], decision: bool) -> None:
    waiting = iter(replies)
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return next(waiting)

    assert await AskOnTerminal(Display(), ask).decide(WISH) is decision
    assert asked == ['approve refund({"amount": 40})? [y/n] '] * len(replies)


async def test_the_end_of_input_is_a_no() -> None:
    def ask(_question: str) -> str:
        raise EOFError

    assert await AskOnTerminal(Display(), ask).decide(WISH) is False


async def test_where_nobody_can_be_asked_it_is_a_no_that_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    approver = AskOnTerminal(Display())

    assert await approver.decide(WISH) is False
    assert "--approve" in approver.by
