"""What is aimed at, beside what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benches.load.words import NOTHING, in_short

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Bar:
    """Something aimed at."""

    what: str
    aim: str
    measured: str
    is_met: bool | None

    def row(self) -> list[str]:
        verdict = {True: "yes", False: "**no**", None: "not measured"}[self.is_met]
        return [self.what, self.aim, self.measured, verdict]


def at_most(
    what: str, most: float, values: Sequence[float], unit: str = "", digits: int = 2
) -> Bar:
    """The median of the repetitions is to be no more than this."""
    met = median(values) <= most if values else None
    measured = in_short(values, digits) + unit if values else NOTHING
    return Bar(what, f"at most {most:g}{unit}", measured, met)


def at_least(what: str, least: float, values: Sequence[float], unit: str = "") -> Bar:
    """The median of the repetitions is to be no less than this."""
    met = median(values) >= least if values else None
    measured = in_short(values) + unit if values else NOTHING
    return Bar(what, f"at least {least:g}{unit}", measured, met)
