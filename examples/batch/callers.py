"""Many simulated callers ask an agent questions, some at once, and what came of it is counted.

    python examples/batch/callers.py examples/front_desk/agent.py --calls 100 --at-once 10

No key and no network are needed: the development server answers by rules, from the agent's tools.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stapes.cli.load_agent import load_agent
from stapes.testing import AgentCall, CallFailedError

if TYPE_CHECKING:
    from agents.realtime import RealtimeAgent

    from stapes.testing import AgentTurn

QUESTIONS = Path(__file__).parent / "questions.txt"


async def ask(agent: RealtimeAgent[Any], questions: list[str]) -> list[AgentTurn]:
    """Call the agent, ask each question, and hang up."""
    async with AgentCall(agent) as call:
        return [await call.say(question) for question in questions]


async def run(
    agent: RealtimeAgent[Any], questions: list[str], *, calls: int, at_once: int, seed: int = 0
) -> tuple[list[AgentTurn], list[CallFailedError]]:
    """Hold so many calls, each with three of the questions; return the turns, and what failed."""
    chance = random.Random(seed)
    room = asyncio.Semaphore(at_once)
    turns: list[AgentTurn] = []
    failures: list[CallFailedError] = []

    async def call() -> None:
        asked = chance.sample(questions, k=min(3, len(questions)))
        async with room:
            try:
                turns.extend(await ask(agent, asked))
            except CallFailedError as failure:
                failures.append(failure)

    await asyncio.gather(*(call() for _ in range(calls)))
    return turns, failures


def report(turns: list[AgentTurn], failures: list[CallFailedError]) -> str:
    """Say in a few lines what came of the calls."""
    answered = [turn for turn in turns if turn.heard]
    tools = Counter(use.name for turn in turns for use in turn.tools)
    lines = [f"turns      {len(turns)}, of which {len(answered)} were answered"]
    if len(answered) > 1:
        cuts = statistics.quantiles([1_000 * turn.latency for turn in answered], n=20)
        lines.append(f"answer     {cuts[9]:.0f} ms in the median, {cuts[18]:.0f} ms at p95")
    lines.append("tools      " + (", ".join(f"{name} {n}" for name, n in tools.items()) or "none"))
    lines.append(f"stopped    {sum(bool(turn.guardrails) for turn in turns)} by a guardrail")
    lines.append(f"failed     {len(failures)} calls")
    return "\n".join([*lines, *map(str, failures[:3])])


def main() -> int:
    """Read the command line; return 1 where a call failed or a question was not answered."""
    parser = argparse.ArgumentParser(description="Have many callers ask an agent questions.")
    parser.add_argument("agent", help="the file with the agent: AGENT.py or AGENT.py:name")
    parser.add_argument("--questions", type=Path, default=QUESTIONS, help="one question a line")
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--at-once", type=int, default=10)
    given = parser.parse_args()
    questions = [line for line in given.questions.read_text("utf-8").splitlines() if line.strip()]
    held = run(load_agent(given.agent), questions, calls=given.calls, at_once=given.at_once)
    turns, failures = asyncio.run(held)
    print(report(turns, failures))
    return int(bool(failures) or not all(turn.heard for turn in turns))


if __name__ == "__main__":
    sys.exit(main())
