"""The fixture `caller`, under the async plugins that users have."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

AGENT = (Path(__file__).parent / "desk_agent.py").read_text()
OPT_IN = 'pytest_plugins = ["stapes.testing.pytest_plugin"]\n'
MODES = {
    "asyncio auto": ("-p pytest_asyncio -p no:anyio -o asyncio_mode=auto", ""),
    "asyncio strict": ("-p pytest_asyncio -o asyncio_mode=strict", "@pytest.mark.asyncio"),
    "anyio": ("-p no:asyncio -p anyio", "@pytest.mark.anyio"),
    "anyio beside asyncio": ("-o asyncio_mode=strict", "@pytest.mark.anyio"),
}


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project that has opted in."""
    pytester.makeconftest(
        OPT_IN + "import pytest\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    )
    pytester.makepyfile(desk_agent=AGENT)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return pytester


def ran_tests(project: pytest.Pytester, code: str, *arguments: str):
    header = "import asyncio, pytest\nfrom desk_agent import agent\nfrom stapes.testing import *\n"
    project.makepyfile(test_calls=header + textwrap.dedent(code))
    given = arguments or (MODES["asyncio auto"][0],)
    return project.runpytest_inprocess("-p", "no:cacheprovider", *given[0].split())


@pytest.mark.parametrize("mode", MODES)
def test_calls_are_made_and_end_with_the_test(project: pytest.Pytester, mode: str) -> None:
    arguments, mark = MODES[mode]
    fixture = "pytest_asyncio.fixture" if mode == "asyncio strict" else "pytest.fixture"
    ran = ran_tests(
        project,
        f"""
        import pytest_asyncio
        calls = []

        @{fixture}
        async def desk(caller):
            calls.append(await caller(agent))
            return calls[0]

        {mark}
        async def test_several_at_once(caller, desk):
            calls.extend(await asyncio.gather(caller(agent), caller(agent)))
            for call in calls:
                turn = await call.say("What is the weather in Paris?")
                turn.expect_tool("weather", city="Paris")
                assert "sunny" in turn.heard
            assert [call.session.status for call in calls] == ["connected"] * 3

        def test_they_have_ended():
            assert [call.session.status for call in calls] == ["disconnected"] * 3
        """,
        arguments,
    )
    ran.assert_outcomes(passed=2)


def test_a_failure_shows_the_call_and_none_of_the_plugins_own_lines(project) -> None:
    ran = ran_tests(
        project,
        """
        async def test_the_wrong_city(caller):
            call = await caller(agent)
            turn = await call.say("What is the weather in Paris?")
            turn.expect_tool("weather", city="Oslo")

        async def test_what_was_heard(caller):
            call = await caller(agent)
            turn = await call.say("What is the weather in Paris?")
            assert "rainy" in turn.heard
        """,
    )
    ran.assert_outcomes(failed=2)
    told = ran.stdout.str()
    assert "agent_turn.py" not in told
    assert "agent_call.py" not in told
    ran.stdout.fnmatch_lines(
        [
            '>       turn.expect_tool("weather", city="Oslo")',
            "E       AssertionError: the agent did not call weather(city='Oslo')",
            "E         user:      What is the weather in Paris?",
            "E         tool:      weather(city='Paris') -> * (city='Paris', not 'Oslo')",
            "E         agent:     It is sunny in Paris.",
            "E       AssertionError: assert 'rainy' in 'It is sunny in Paris.'",
            "*where * = <AgentTurn 'What is the weather in Paris?': weather(city='Paris'), 'It*",
            "*- Calls to agents -*",
            "call to Front desk",
            "  user:      What is the weather in Paris?",
            "  tool:      weather(city='Paris') -> 'It is sunny in Paris.'",
            "  agent:     It is sunny in Paris.",
        ]
    )
    assert told.count("Calls to agents") == 1


def test_a_test_that_is_not_async_is_told_the_way_out(project) -> None:
    ran = ran_tests(project, "def test_it(caller):\n    asyncio.run(caller(agent))\n")
    ran.assert_outcomes(failed=1)
    ran.stdout.fnmatch_lines(["*RuntimeError: caller() is for tests that are `async def`; *"])


def test_a_call_that_was_refused_leaves_nothing_behind(project) -> None:
    ran = ran_tests(
        project,
        """
        async def test_it(caller):
            with pytest.raises(Exception, match="503"):
                await caller(agent, server=Rudeness(refuse=9))
            assert len(asyncio.all_tasks()) == 1
        """,
    )
    ran.assert_outcomes(passed=1)


def test_it_is_there_only_where_it_is_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(caller):\n    pass\n")
    ran = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio")
    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines(["*fixture 'caller' not found*"])


def test_the_page_about_testing_runs(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "test-agents.md").read_text()
    examples = re.findall(r"```python\n# test_\w+\.py\n(.*?)```", page, re.DOTALL)
    assert examples
    for number, example in enumerate(examples):
        project.makepyfile(**{f"test_example_{number}": example})
    ran = project.runpytest_inprocess("-p", "no:cacheprovider", *MODES["asyncio auto"][0].split())
    counted = sum(example.count("async def test_") for example in examples)
    # Without a key the run against a provider is skipped.
    ran.assert_outcomes(passed=counted, skipped=page.count("marks=needs_key"))
