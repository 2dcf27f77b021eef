from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes.devserver.listening.recognition.backoff import END, START, BackoffModel

if TYPE_CHECKING:
    from collections.abc import Sequence

SENTENCES = st.lists(
    st.tuples(st.lists(st.sampled_from("abcd"), max_size=5), st.floats(0.01, 10.0)),
    min_size=1,
    max_size=8,
)
Table = dict[tuple[str, ...], tuple[float, float]]


def model_of(sentences: Sequence[tuple[Sequence[str], float]]) -> BackoffModel:
    model = BackoffModel()
    for words, weight in sentences:
        model.add(words, weight)
    return model


def read(arpa: str) -> Table:
    """Read each n-gram's probability and back-off weight."""
    table: Table = {}
    order = 0
    for line in arpa.splitlines():
        if line.startswith("\\"):
            order = int(line[1]) if line[1].isdigit() else 0
        elif order and line:
            probability, *rest = line.split(" ")
            back = float(rest[order]) if len(rest) > order else 0.0
            table[tuple(rest[:order])] = (10 ** float(probability), 10**back)
    return table


def probability(table: Table, context: tuple[str, ...], word: str) -> float:
    if (*context, word) in table:
        return table[(*context, word)][0]
    return table.get(context, (0.0, 1.0))[1] * probability(table, context[1:], word)


@given(SENTENCES)
def test_what_may_follow_a_context_has_probability_one_in_all(
    sentences: Sequence[tuple[Sequence[str], float]],
) -> None:
    model = model_of([*sentences, ("abcd", 1.0), ("dcba", 1.0)])
    table = read(model.to_arpa())
    for context in [(), (START,), ("a",), (START, "a"), ("a", "b")]:
        total = sum(probability(table, context, word) for word in (*model.words, END))
        assert total == pytest.approx(1.0, abs=0.01)


def test_what_was_counted_more_is_more_likely() -> None:
    table = read(model_of([(["to", "paris"], 3.0), (["to", "rome"], 1.0)]).to_arpa())
    assert probability(table, ("to",), "paris") == pytest.approx(
        3 * probability(table, ("to",), "rome"), rel=0.01
    )


def test_familiarity_is_the_share_of_neighbours_that_were_counted() -> None:
    model = model_of([("a", 1.0), ("ab", 1.0)])
    assert model.familiarity("ab") == 1.0
    assert model.familiarity("ba") == 0.0 + 1 / 3
