"""Random conversations over whole sessions: users' code that fails, races, drops, reconnects.

RANDOM_CONVERSATIONS_SEED=17 pytest tests/random_conversations
RANDOM_CONVERSATIONS_SECONDS=60 pytest tests/random_conversations
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.random_conversations.conversation import Conversation, Plan

if TYPE_CHECKING:
    from tests.random_conversations.record import Record

CONVERSATIONS = 600
_SEED = os.environ.get("RANDOM_CONVERSATIONS_SEED")
_SECONDS = os.environ.get("RANDOM_CONVERSATIONS_SECONDS")


def held(plan: Plan) -> Record:
    """Holds a conversation on an event loop of its own."""

    async def hold() -> Record:
        conversation = Conversation(plan)
        await conversation.run()
        return conversation.record

    # What users' code raises is logged with its traceback, thousands of times.
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        return asyncio.run(hold())
    finally:
        logging.disable(disabled)


def broken_rules(plan: Plan) -> list[str]:
    return [it.rule for it in held(plan).violations]


def shortened(plan: Plan, rule: str) -> Plan:
    """The plan with as few steps as still break the rule."""
    size = len(plan.steps) // 2
    while size:
        at = 0
        while at < len(plan.steps):
            shorter = Plan(plan.seed, plan.steps[:at] + plan.steps[at + size :])
            if rule in broken_rules(shorter):
                plan = shorter
            else:
                at += size
        size //= 2
    return plan


def report(seed: int, rule: str) -> str:
    """What happened in the shortest conversation of a seed that breaks a rule."""
    log = held(shortened(Plan.drawn(seed), rule)).log
    found = next((at for at, line in enumerate(log) if line.startswith(f"!! {rule}:")), len(log))
    return f"seed {seed}\n" + "\n".join(log[: found + 1])


def test_the_rules_hold_in_random_conversations() -> None:
    if _SEED is not None:
        for rule in broken_rules(Plan.drawn(int(_SEED))):
            pytest.fail(report(int(_SEED), rule))
        return
    until = None if _SECONDS is None else time.monotonic() + float(_SECONDS)
    first = 0 if until is None else time.time_ns() % 1_000_000_000
    broken: Counter[str] = Counter()
    seeds: dict[str, int] = {}
    count = 0
    while time.monotonic() < until if until else count < CONVERSATIONS:
        seed = first + count
        for violation in held(Plan.drawn(seed)).violations:
            broken[violation.rule] += 1
            seeds.setdefault(violation.rule, seed)
        count += 1
    print(f"{count} conversations; broken: {dict(broken)}")
    reports = [report(seed, rule) for rule, seed in seeds.items()]
    assert not reports, "\n\n".join(reports)
