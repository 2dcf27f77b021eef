"""The sections of the page, one for each topic.

A section is a function of all results; it gives Markdown, or nothing where nothing was measured.
One that stands on a file of its own finds it in `results.directory`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.load.sections import (
    blast,
    churn,
    history,
    instructions,
    latency,
    memory,
    paced,
    runner,
    setting,
    tls,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.load.results import Results

SECTIONS: tuple[Callable[[Results], str], ...] = (
    verdict.section,
    paced.section,
    latency.section,
    runner.section,
    blast.section,
    instructions.section,
    memory.section,
    history.section,
    tls.section,
    churn.section,
    setting.section,
)
