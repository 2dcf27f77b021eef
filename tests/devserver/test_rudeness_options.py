"""What a rude server may be told, and what it says of what makes no sense."""

from __future__ import annotations

import pytest

from stapes.devserver import POINTS, WAYS, Drop, Rudeness


@pytest.mark.parametrize(
    ("text", "drop"),
    [
        ("first_delta", Drop("first_delta", "reset")),
        ("first_delta:fin", Drop("first_delta", "fin")),
        ("deltas:1012:2", Drop("deltas", 1012, nth=2)),
        ("deltas:half_open:3+", Drop("deltas", "half_open", nth=3, times=None)),
        ("function_call:stall=2.5", Drop("function_call", "stall", seconds=2.5)),
        ("connecting:503", Drop("connecting", 503)),
        (" truncate : expired ", Drop("truncate", "expired")),
    ],
)
def test_a_drop_is_read_as_the_command_line_writes_it(text: str, drop: Drop) -> None:
    assert Drop.parse(text) == drop
    assert Drop.parse(str(drop)) == drop


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is no drop: write POINT"),
        ("a:b:c:d", "'a:b:c:d' is no drop: write POINT"),
        ("first_delta:", "'first_delta:' is no drop"),
        ("first_dleta", "no point 'first_dleta' .did you mean 'first_delta'.*give one of connect"),
        ("somewhere", "no point 'somewhere': give one of connecting, session_created"),
        ("deltas:rset", "no way 'rset' .did you mean 'reset'.*half_open.*or a close code"),
        ("deltas:1005", "1005 is no close code that can be sent: give 1000 to 1014.*'fin' closes"),
        ("deltas:2000", "2000 is no close code"),
        ("deltas:503", "status .503. is for the point connecting: give deltas a close code"),
        ("deltas:reset:0", "'0' in 'deltas:reset:0' is no count: write 2 for the second time"),
        ("deltas:reset:two", "'two' .* is no count"),
    ],
)
def test_what_is_no_drop_is_refused_with_what_may_be_said(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Drop.parse(text)


@pytest.mark.parametrize(
    ("wrong", "kind", "says"),
    [
        ({"nth": 0}, ValueError, "nth is 0: give 1 or more"),
        ({"times": 0}, ValueError, "times is 0: give 1 or more; None for every time"),
        ({"nth": "2"}, TypeError, "nth must be a whole number, not str"),
        ({"seconds": float("inf")}, ValueError, "seconds is inf"),
        ({"way": None}, TypeError, "way must be a name or a close code, not NoneType"),
    ],
)
def test_a_drop_names_the_argument_that_is_wrong(wrong, kind, says) -> None:
    with pytest.raises(kind, match=says):
        Drop("deltas", **wrong)


@pytest.mark.parametrize(
    ("wrong", "kind", "says"),
    [
        ({"session_seconds": 0}, ValueError, "session_seconds is 0.*give more, or None"),
        ({"session_seconds": "60"}, TypeError, "session_seconds must be a number, not str"),
        ({"refuse": -1}, ValueError, "refuse is -1: give 0 or more"),
        ({"refuse_with": 200}, ValueError, "refuse_with is 200: give an HTTP status from 400"),
        ({"refuse_with": "fin"}, ValueError, "refuse_with is 'fin'.*or 'reset'"),
        ({"retry_after": -1}, ValueError, "retry_after is -1"),
        (
            {"refuse_with": "reset", "retry_after": 1},
            ValueError,
            "retry_after is said over HTTP: leave it out, or refuse with a status",
        ),
        ({"slow_ms": -1}, ValueError, "slow_ms is -1: give zero or more"),
        ({"drop": 7}, TypeError, "drop must be a Drop or a text such as 'first_delta:reset'"),
        ({"drop": "nowhere"}, ValueError, "no point 'nowhere'"),
    ],
)
def test_rudeness_names_the_argument_that_is_wrong(wrong, kind, says) -> None:
    with pytest.raises(kind, match=says):
        Rudeness(**wrong)


def test_rudeness_says_what_it_does() -> None:
    rude = Rudeness(
        session_seconds=60, drop=("deltas:1012:2+",), refuse=2, retry_after=3, slow_ms=200
    )
    assert rude.drops == (Drop("deltas", 1012, nth=2, times=None),)
    assert str(rude) == (
        "ends sessions after 60 s, drops a connection at deltas:1012:2+, refuses the next 2 "
        "connections (503, retry after 3 s), waits 200 ms before each message"
    )
    assert str(Rudeness()) == ""


def test_every_point_and_way_is_described() -> None:
    for name, meaning in {**POINTS, **WAYS}.items():
        assert name.isidentifier()
        assert meaning
