"""The paper of a row: lines, bars, labels and words at places in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from stapes.cli.show.palette import ALERT
from stapes.cli.show.timeline import look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from stapes.cli.show.timeline.rows import Row

_Colour: TypeAlias = str | tuple[float, float, float, float]
Placed: TypeAlias = tuple[float, str, str]
"""A word: seconds from the beginning of its block, text, colour."""


class Sheet:
    """Draws at seconds of the call and at heights of `look`, and keeps texts apart.

    Args:
        axes: where to draw.
        renderer: what measures texts.
        row: the part of the call.
        width_s: how many seconds the sheet is wide.
    """

    def __init__(self, axes: Axes, renderer: Any, row: Row, width_s: float) -> None:
        self.axes = axes
        self.row = row
        self.right = row.start + width_s
        self._renderer = renderer
        points = (look.WIDTH_IN - look.LEFT_IN - look.RIGHT_IN) * 72 / width_s * look.STEP_S
        self._bar = 0.7 * points
        self._labels: list[tuple[float, float, float]] = []
        """Labels in the middle: from, to, height."""
        self._written: list[tuple[float, float, float]] = []
        """Lines of words: from, to, height."""
        axes.set_xlim(row.start, self.right)
        axes.set_ylim(look.BOTTOM, look.TOP)
        axes.axis("off")
        self._card()
        self._clock()

    def bars(
        self, bars: Sequence[tuple[float, float]], y: float, colours: Sequence[_Colour]
    ) -> None:
        """Draw a voice: bars at moments, with their heights from 0 to 1, around `y`."""
        from matplotlib.collections import LineCollection

        lines = [[(m, y - look.SWING * v), (m, y + look.SWING * v)] for m, v in bars]
        self.axes.add_collection(
            LineCollection(lines, colors=colours, linewidths=self._bar, capstyle="round", zorder=3)
        )

    def stop_line(self, moment: float, top: float = 0.0) -> None:
        """Draw where an answer was cut, from the agent's voice up to `top`."""
        bottom = look.AGENT_Y - look.SWING - 0.04
        self.axes.plot([moment] * 2, [bottom, top], color=ALERT, lw=1.6, zorder=6)

    def label(self, moment: float, text: str, colour: str) -> None:
        """Write in the middle, where there is room beside what is written there already."""
        width = self.width(text, 8.5, "bold") + 0.25
        start = min(moment, self.right - width)
        free = [
            y
            for y in look.LANES
            if all(start > to or start + width < since or y != at for since, to, at in self._labels)
        ]
        y = free[0] if free else look.LANES[-1]
        self._labels.append((start, start + width + 0.1, y))
        self.axes.plot(
            [moment], [y], marker="o", ms=4, color=colour, zorder=7, markeredgecolor=look.CARD
        )
        self.axes.text(
            start + 0.14,
            y,
            text,
            size=8.5,
            weight="bold",
            color=colour,
            va="center",
            ha="left",
            zorder=8,
            bbox={
                "boxstyle": "round,pad=0.28,rounding_size=0.5",
                "facecolor": _tint(colour),
                "edgecolor": colour,
                "linewidth": 0.8,
            },
        )

    def block(
        self, lines: Sequence[Sequence[Placed]], start: float, heights: Sequence[float]
    ) -> None:
        """Write lines where nothing is written yet, below what would be in the way."""
        widths = [line[-1][0] + self.width(line[-1][1], look.TEXT) for line in lines]
        drop = 0
        while any(
            abs(y - drop * look.LINE - written) < look.LINE / 2
            and start < to
            and start + width > since
            for y, width in zip(heights, widths, strict=True)
            for since, to, written in self._written
        ):
            drop += 1
        for line, y, width in zip(lines, heights, widths, strict=True):
            self._line(line, start, y - drop * look.LINE)
            self._written.append((start, start + width + 0.1, y - drop * look.LINE))

    def flow(
        self, words: Sequence[tuple[str, str]], start: float, seconds: float, until: float
    ) -> list[list[Placed]]:
        """Set words and their colours in lines.

        Args:
            words: what to set.
            start: where the lines begin.
            seconds: how wide they may always be.
            until: how far they may reach so that two lines suffice.
        """
        widths = [self.width(word, look.TEXT, _weight(colour)) for word, colour in words]
        space = self.width("n", look.TEXT) * 0.55
        total = sum(widths) + space * len(widths)
        free = min(self.right - 0.15, until) - start
        room = max(min(max(seconds, 0.58 * total), free), 2.0, 0.3 * total)
        lines: list[list[Placed]] = [[]]
        x = 0.0
        for (word, colour), width in zip(words, widths, strict=True):
            if x + width > room and lines[-1]:
                lines.append([])
                x = 0.0
            lines[-1].append((x, word, colour))
            x += width + space
        return lines

    def _line(self, line: Sequence[Placed], start: float, y: float) -> None:
        for x, word, colour in line:
            self.axes.text(
                start + x,
                y,
                word,
                size=look.TEXT,
                color=colour,
                va="baseline",
                ha="left",
                zorder=5,
                weight=_weight(colour),
            )

    def width(self, text: str, size: float, weight: str = "normal") -> float:
        """Return how many seconds of the row a text takes."""
        from matplotlib.font_manager import FontProperties

        font = FontProperties(size=size, weight=weight)
        pixels, _, _ = self._renderer.get_text_width_height_descent(text, font, ismath=False)
        share = pixels / look.DPI / (look.WIDTH_IN - look.LEFT_IN - look.RIGHT_IN)
        return float(share * (self.right - self.row.start))

    def _card(self) -> None:
        from matplotlib.patches import FancyBboxPatch

        self.axes.add_patch(
            FancyBboxPatch(
                (0, 0),
                1,
                1,
                boxstyle="round,pad=0,rounding_size=0.012",
                mutation_aspect=look.WIDTH_IN / look.ROW_IN,
                transform=self.axes.transAxes,
                facecolor=look.CARD,
                edgecolor=look.RULE,
                linewidth=1,
                zorder=0,
            )
        )

    def _clock(self) -> None:
        for second in range(int(np.ceil(self.row.start)), int(self.row.end) + 1):
            major = second % 5 == 0
            self.axes.plot(
                [second], [0.0], marker="|", ms=5 if major else 3, color=look.RULE, zorder=1
            )
            if major and second > self.row.start + 0.3:
                self.axes.axvline(second, ymin=0.03, ymax=0.97, color=look.GRID, lw=1, zorder=0.5)
                self.axes.text(
                    second,
                    look.TOP - 0.12,
                    f"{second // 60}:{second % 60:02}",
                    size=7.5,
                    color=look.FAINT,
                    ha="center",
                    va="center",
                )


def _weight(colour: str) -> str:
    return "normal" if colour in (look.INK, look.GHOST_INK) else "bold"


def _tint(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return (0.9 + 0.1 * red, 0.9 + 0.1 * green, 0.9 + 0.1 * blue)
