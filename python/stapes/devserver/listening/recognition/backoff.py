"""A trigram language model with back-off, written in the ARPA format that recognisers read.

Counts may be fractions, so a thousand cities can share the weight of one word. Discounting is by
a fixed share of each context's mass (as in CMU's "quick LM"): it holds for fractions, where
Good-Turing and Kneser-Ney need whole counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from math import log10
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

START, END = "<s>", "</s>"
_NEVER = -99.0
"""The format's customary logarithm of zero."""

Gram: TypeAlias = tuple[str, ...]


class BackoffModel:
    """Collects weighted sentences and writes their trigram model.

    Args:
        discount: share of the mass of every context that is kept for words not seen there.
    """

    def __init__(self, *, discount: float = 0.2) -> None:
        self._discount = discount
        self._counts: list[defaultdict[Gram, float]] = [defaultdict(float) for _ in range(3)]

    def add(self, words: Iterable[str], weight: float = 1.0) -> None:
        """Count the sentence `words`, `weight` times."""
        sentence = (START, *words, END)
        for order, counts in enumerate(self._counts, start=1):
            for last in range(order, len(sentence) + 1):
                counts[sentence[last - order : last]] += weight

    @property
    def words(self) -> set[str]:
        """The vocabulary, without the marks of start and end."""
        return {word for (word,) in self._counts[0]} - {START, END}

    def familiarity(self, words: Sequence[str]) -> float:
        """Return the share of the pairs of neighbours in a sentence that were counted, 0 to 1."""
        sentence = (START, *words, END)
        pairs = list(pairwise(sentence))
        return sum(pair in self._counts[1] for pair in pairs) / len(pairs)

    def to_arpa(self) -> str:
        """Write the model as text in the ARPA format."""
        spoken = {gram: count for gram, count in self._counts[0].items() if gram != (START,)}
        total = sum(spoken.values())
        unigrams = {gram: count / total for gram, count in spoken.items()}
        bigrams, trigrams = self._discounted(2), self._discounted(3)
        # A seen trigram's tail is a seen bigram, so neither back-off looks past the next order.
        sections: tuple[tuple[int, dict[Gram, float], dict[Gram, float]], ...] = (
            (1, {**unigrams, (START,): 0.0}, self._backoff(bigrams, unigrams)),
            (2, bigrams, self._backoff(trigrams, bigrams)),
            (3, trigrams, {}),
        )
        lines = ["\\data\\", *(f"ngram {order}={len(grams)}" for order, grams, _ in sections)]
        for order, grams, backoffs in sections:
            lines += ["", f"\\{order}-grams:"]
            for gram in sorted(grams):
                line = f"{_log(grams[gram]):.4f} {' '.join(gram)}"
                lines.append(f"{line} {_log(backoffs[gram]):.4f}" if gram in backoffs else line)
        return "\n".join([*lines, "", "\\end\\", ""])

    def _discounted(self, order: int) -> dict[Gram, float]:
        counts = self._counts[order - 1]
        mass: defaultdict[Gram, float] = defaultdict(float)
        followers: Counter[Gram] = Counter()
        for gram, count in counts.items():
            mass[gram[:-1]] += count
            followers[gram[:-1]] += 1
        # A context that was seen with every word has nothing to keep mass for.
        every = len(self.words) + 1
        return {
            gram: (1.0 if followers[gram[:-1]] == every else 1.0 - self._discount)
            * count
            / mass[gram[:-1]]
            for gram, count in counts.items()
        }

    def _backoff(self, grams: dict[Gram, float], lower: dict[Gram, float]) -> dict[Gram, float]:
        taken: defaultdict[Gram, float] = defaultdict(float)
        for gram in grams:
            taken[gram[:-1]] += lower[gram[1:]]
        return {
            context: self._discount / max(1.0 - share, 1e-6) for context, share in taken.items()
        }


def _log(probability: float) -> float:
    return log10(probability) if probability > 0.0 else _NEVER
