"""The picture of a call: both voices, words, tools, handoffs, approvals, interruptions, latencies.

It is drawn in rows of about twenty seconds, each with the caller above, the agent below, and what
happens between them in the middle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes.cli.show.palette import Palette
from stapes.cli.show.story import envelope
from stapes.cli.show.timeline import look
from stapes.cli.show.timeline.drawing import RowDrawing
from stapes.cli.show.timeline.rows import split_rows
from stapes.cli.show.timeline.sheet import Sheet

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from stapes.cli.show.story import Story


class TimelineError(Exception):
    """The picture cannot be drawn. The message says what to do."""


def draw_timeline(story: Story, *paths: Path) -> None:
    """Draw a call into files; the ending says which kind (`.png`, `.svg`, `.pdf`).

    Raises:
        TimelineError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise TimelineError(
            "the picture needs the extra 'demo': pip install 'stapes[demo]'"
        ) from None
    rows = split_rows(story)
    height = look.HEAD_IN + look.FOOT_IN + look.ROW_IN * len(rows)
    figure = Figure(figsize=(look.WIDTH_IN, height), dpi=look.DPI, facecolor=look.PAPER)
    # Its renderer measures texts; matplotlib does not say its type.
    canvas: Any = FigureCanvasAgg(figure)
    _head(figure, story, height)
    palette = Palette()
    for name in story.agents:
        palette.agent(name)
    voices = (envelope(story.sound[:, 0], look.STEP_S), envelope(story.sound[:, 1], look.STEP_S))
    longest = max(row.end - row.start for row in rows) + 0.3
    for index, row in enumerate(rows):
        bottom = height - look.HEAD_IN - look.ROW_IN * (index + 1)
        axes = figure.add_axes(
            (
                look.LEFT_IN / look.WIDTH_IN,
                bottom / height,
                1 - (look.LEFT_IN + look.RIGHT_IN) / look.WIDTH_IN,
                (look.ROW_IN - 0.14) / height,
            )
        )
        sheet = Sheet(axes, canvas.get_renderer(), row, longest)
        RowDrawing(sheet, story, row, palette, voices).draw()
    for path in paths:
        figure.savefig(path, facecolor=look.PAPER)


def _head(figure: Figure, story: Story, height: float) -> None:
    left = look.LEFT_IN / look.WIDTH_IN
    right = 1 - look.RIGHT_IN / look.WIDTH_IN
    figure.text(
        left, 1 - 0.42 / height, story.title, size=19, weight="bold", color=look.INK, va="center"
    )
    figure.text(left, 1 - 0.78 / height, story.summary, size=11, color=look.FAINT, va="center")
    figure.text(
        right,
        1 - 0.78 / height,
        "grey: generated, but cut before it was heard",
        size=10,
        color=look.FAINT,
        va="center",
        ha="right",
    )
