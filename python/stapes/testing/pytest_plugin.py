"""A pytest plugin for tests of voice agents.

It is there where it is asked for, in `conftest.py`:

    pytest_plugins = ["stapes.testing.pytest_plugin"]

and gives the fixture `caller`:

    async def test_weather(caller):
        call = await caller(agent)
        turn = await call.say("What is the weather in Paris?")
        turn.expect_tool("weather", city="Paris")
        assert "sunny" in turn.heard

Tests run under the async plugin that you have: pytest-asyncio in either mode, or anyio's, on
asyncio.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from stapes.testing.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["caller"]

_CALLER = pytest.StashKey[Caller]()


@pytest.fixture
def caller(request: pytest.FixtureRequest) -> Caller:
    """Give what calls agents, for the length of a test."""
    made = Caller(getattr(request.node, "obj", None))
    request.node.stash[_CALLER] = made
    return made


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """End the calls of a test inside the test: on its event loop, whatever plugin runs that."""
    made = item.stash.get(_CALLER, None)
    if made is None or not isinstance(item, pytest.Function):
        return (yield)
    test = item.obj
    if not inspect.iscoroutinefunction(test):
        return (yield)

    @functools.wraps(test)
    async def with_calls(*arguments: Any, **fixtures: Any) -> Any:
        __tracebackhide__ = True
        async with made:
            return await test(*arguments, **fixtures)

    item.obj = with_calls
    try:
        return (yield)
    finally:
        item.obj = test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the calls of a test that failed."""
    report = yield
    made = item.stash.get(_CALLER, None)
    if report.failed and made is not None and not _is_told(made, call):
        report.sections.append(("Calls to agents", made.story))
    return report


def _is_told(made: Caller, call: pytest.CallInfo[None]) -> bool:
    """Whether the failure itself says all that happened."""
    turns = [turn for each in made.calls for turn in each.turns]
    problem = str(call.excinfo.value) if call.excinfo is not None else ""
    return not turns or (len(turns) == 1 and str(turns[0]).splitlines()[-1] in problem)
