"""What responses used is added up when somebody looks."""

import copy
import dataclasses
import json
import sys
import threading

from agents import Usage

from stapes.session.usage import SessionUsage, note

USED = json.dumps(
    {
        "input_tokens": 30,
        "output_tokens": 12,
        "total_tokens": 42,
        "input_token_details": {"cached_tokens": 7, "text_tokens": 30},
    }
)


def test_a_sum_that_is_looked_at_late_is_that_of_adding_at_once():
    late, once = SessionUsage(), Usage()
    for used in (USED, None, USED):
        note(late, used)
        note(once, used)
    assert dataclasses.asdict(late) == dataclasses.asdict(once)
    assert (late.requests, late.input_tokens, late.output_tokens) == (3, 60, 24)
    assert late.input_tokens_details.cached_tokens == 14
    assert len(late.request_usage_entries) == 2


def test_what_is_noted_after_a_look_is_added_to_it():
    usage = SessionUsage()
    note(usage, USED)
    assert usage.total_tokens == 42
    note(usage, USED)
    assert usage.total_tokens == 84


def test_a_long_call_that_nobody_looked_at_is_added_up():
    usage = SessionUsage()
    for _ in range(5_000):
        note(usage, None)
    assert usage.requests == 5_000


def test_a_copy_and_a_sum_over_sessions_have_what_was_noted():
    usage, total = SessionUsage(), Usage()
    note(usage, USED)
    total.add(copy.deepcopy(usage))
    total.add(usage)
    assert total.total_tokens == 84
    assert "total_tokens=42" in repr(usage)


def test_usage_that_is_not_a_count_is_a_request_all_the_same():
    usage = SessionUsage()
    note(usage, json.dumps({"input_tokens": "many", "input_token_details": None}))
    assert (usage.requests, usage.total_tokens) == (1, 0)


def test_the_fields_are_those_of_usage_whoever_touches_them_first():
    noted = '{"input_tokens": 3, "output_tokens": 4}'
    first_set = SessionUsage()
    note(first_set, noted)
    first_set.requests = 7
    assert (first_set.requests, first_set.total_tokens) == (7, 7)
    first_added = SessionUsage()
    first_added.add(Usage(requests=2))
    assert first_added.requests == 2
    for copied in (copy.copy(SessionUsage()), copy.deepcopy(SessionUsage())):
        assert dataclasses.asdict(copied) == dataclasses.asdict(Usage())
    assert repr(SessionUsage()) == repr(Usage()).replace("Usage(", "SessionUsage(", 1)


def test_a_copy_leaves_what_is_noted_later_to_the_usage_that_was_copied():
    usage = SessionUsage()
    note(usage, USED)
    assert usage.total_tokens == 42
    copied = copy.copy(usage)
    note(usage, USED)
    assert (copied.total_tokens, usage.total_tokens) == (42, 84)


def test_threads_that_look_first_at_the_same_time_lose_nothing():
    usages, together = [SessionUsage() for _ in range(300)], threading.Barrier(4)
    for usage in usages:
        note(usage, USED)

    def look() -> None:
        for usage in usages:
            together.wait(10)
            _ = usage.total_tokens

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert {(usage.requests, usage.total_tokens) for usage in usages} == {(1, 42)}
