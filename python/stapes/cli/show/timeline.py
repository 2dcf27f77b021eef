"""The picture of a call: both voices, words, tools, handoffs, approvals, interruptions, latencies.

It is drawn in rows of about twenty seconds, each with the caller above, the agent below, and what
happens between them in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from stapes.cli.call.entries import (
    AgentSpeech,
    BargeIn,
    CallerSpeech,
    GuardrailTrip,
    Handoff,
    Problem,
    ToolRun,
)
from stapes.cli.show.palette import ALERT, APPROVED, CALLER, TOOL, Palette
from stapes.cli.show.rows import spell_arguments
from stapes.cli.show.story import envelope

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.figure import Figure

    from stapes.cli.show.story import Story

ROW_S = 25.0
"""The longest row, in seconds."""

_BEFORE_S = 0.35
_STEP_S = 0.06
_DPI = 110
_WIDTH_IN = 16.0
_ROW_IN = 2.75
_HEAD_IN, _FOOT_IN = 1.15, 0.45
_LEFT_IN, _RIGHT_IN = 0.45, 0.35
_PAPER, _CARD, _INK, _FAINT, _RULE = "#f6f4ef", "#ffffff", "#24292f", "#8a8f98", "#e4e0d8"
_GHOST, _GHOST_INK = "#cfd3d8", "#aeb4bc"
_SIZE = 9.0
_CALLER_Y, _AGENT_Y, _SWING = 0.66, -0.66, 0.33
_LANES = (0.14, -0.14)
_TOP, _BOTTOM = 1.95, -2.2
_LINE = 0.235
"""Height of a line of words."""


_Placed: TypeAlias = tuple[float, str, str]
"""A word: seconds from the beginning of its block, text, colour."""


class TimelineError(Exception):
    """The picture cannot be drawn. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """A part of a call that is drawn side by side, in seconds."""

    start: float
    end: float


def split_rows(story: Story, longest_s: float = ROW_S) -> list[Row]:
    """Cut a call in rows of about the same length, where the caller begins and nobody else speaks.

    As few rows as can be are made; where nobody pauses for `longest_s`, a row ends there.
    """
    speeches = [entry for entry in story.entries if isinstance(entry, AgentSpeech)]
    places = [0.0] + [
        entry.at - _BEFORE_S
        for entry in story.entries
        if isinstance(entry, CallerSpeech)
        and entry.at > 2 * _BEFORE_S
        and not any(speech.at < entry.at < speech.end for speech in speeches)
    ]
    places.append(story.seconds)
    # The best way to each place: its price in rows, how unequal, and where the last row begins.
    best: list[tuple[float, float, int]] = [(0, 0.0, 0)]
    for end in range(1, len(places)):
        ways = []
        for start in range(end):
            length = places[end] - places[start]
            # A row that is too long is the last resort: somebody's words are cut in two.
            price = 1.0 if length <= longest_s else 10.0 * length / longest_s
            ways.append((best[start][0] + price, best[start][1] + length**2, start))
        best.append(min(ways))
    cuts, place = [len(places) - 1], len(places) - 1
    while place:
        place = best[place][2]
        cuts.insert(0, place)
    rows_found: list[Row] = []
    for start, end in pairwise(cuts):
        pieces = max(1, int(np.ceil((places[end] - places[start]) / longest_s)))
        edges = np.linspace(places[start], places[end], pieces + 1)
        rows_found += [Row(float(a), float(b)) for a, b in pairwise(edges)]
    return rows_found


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
    height = _HEAD_IN + _FOOT_IN + _ROW_IN * len(rows)
    figure = Figure(figsize=(_WIDTH_IN, height), dpi=_DPI, facecolor=_PAPER)
    canvas = FigureCanvasAgg(figure)
    _head(figure, story, height)
    palette = Palette()
    for name in story.agents:
        palette.agent(name)
    voices = (envelope(story.sound[:, 0], _STEP_S), envelope(story.sound[:, 1], _STEP_S))
    longest = max(row.end - row.start for row in rows) + 0.3
    for index, row in enumerate(rows):
        bottom = height - _HEAD_IN - _ROW_IN * (index + 1)
        axes = figure.add_axes(
            (
                _LEFT_IN / _WIDTH_IN,
                bottom / height,
                1 - (_LEFT_IN + _RIGHT_IN) / _WIDTH_IN,
                (_ROW_IN - 0.14) / height,
            )
        )
        _RowDrawing(axes, canvas.get_renderer(), story, row, longest, palette, voices).draw()
    for path in paths:
        figure.savefig(path, facecolor=_PAPER)


def _head(figure: Figure, story: Story, height: float) -> None:
    left = _LEFT_IN / _WIDTH_IN
    right = 1 - _RIGHT_IN / _WIDTH_IN
    figure.text(
        left, 1 - 0.42 / height, story.title, size=19, weight="bold", color=_INK, va="center"
    )
    figure.text(left, 1 - 0.78 / height, story.summary, size=11, color=_FAINT, va="center")
    figure.text(
        right,
        1 - 0.78 / height,
        "grey: generated, but cut before it was heard",
        size=10,
        color=_FAINT,
        va="center",
        ha="right",
    )


class _RowDrawing:
    """Draws one row."""

    def __init__(
        self,
        axes: Axes,
        renderer: RendererAgg,
        story: Story,
        row: Row,
        longest: float,
        palette: Palette,
        voices: tuple[Any, Any],
    ) -> None:
        self.axes = axes
        self.renderer = renderer
        self.story = story
        self.row = row
        self.palette = palette
        self.voices = voices
        self.right = row.start + longest
        self.inside = [e for e in story.entries if row.start <= e.at < row.end]
        axes.set_xlim(row.start, self.right)
        axes.set_ylim(_BOTTOM, _TOP)
        axes.axis("off")
        pixels = (_WIDTH_IN - _LEFT_IN - _RIGHT_IN) * 72 / longest * _STEP_S
        self.bar = 0.7 * pixels
        self._taken: list[tuple[float, float, float]] = []
        """Boxes in the middle: from, to, height."""
        self._written: list[tuple[float, float, float]] = []
        """Lines of words: from, to, height."""

    def draw(self) -> None:
        """Draw all of it."""
        self._card()
        self._clock()
        self._voice(0, _CALLER_Y, lambda _: CALLER)
        self._ghosts()
        self._voice(1, _AGENT_Y, self._agent_colour)
        for entry in self.inside:
            match entry:
                case CallerSpeech():
                    self._caller(entry)
                case AgentSpeech():
                    self._agent(entry)
                case _:
                    pass
        for entry in self.inside:
            match entry:
                case ToolRun():
                    self._tool(entry)
                case BargeIn():
                    self._barge_in(entry)
                case Handoff():
                    text = f"⇄ {entry.source} → {entry.target}"
                    self._pill(entry.at, text, self.palette.agent(entry.target))
                case GuardrailTrip():
                    self._stop_line(entry.at)
                    self._pill(entry.at, f"⚠ guardrail: {entry.name}", ALERT)
                case Problem():
                    self._pill(entry.at, f"⚠ {entry.text[:60]}", ALERT)
                case _:
                    pass

    def _card(self) -> None:
        from matplotlib.patches import FancyBboxPatch

        self.axes.add_patch(
            FancyBboxPatch(
                (0, 0),
                1,
                1,
                boxstyle="round,pad=0,rounding_size=0.012",
                mutation_aspect=_WIDTH_IN / _ROW_IN,
                transform=self.axes.transAxes,
                facecolor=_CARD,
                edgecolor=_RULE,
                linewidth=1,
                zorder=0,
            )
        )

    def _clock(self) -> None:
        for second in range(int(np.ceil(self.row.start)), int(self.row.end) + 1):
            major = second % 5 == 0
            self.axes.plot([second], [0.0], marker="|", ms=5 if major else 3, color=_RULE, zorder=1)
            if major and second > self.row.start + 0.3:
                self.axes.axvline(second, ymin=0.03, ymax=0.97, color="#f1eee8", lw=1, zorder=0.5)
                self.axes.text(
                    second,
                    _TOP - 0.12,
                    f"{second // 60}:{second % 60:02}",
                    size=7.5,
                    color=_FAINT,
                    ha="center",
                    va="center",
                )

    def _voice(self, channel: int, y: float, colour_at: Any) -> None:
        shape = self.voices[channel]
        first, last = int(self.row.start / _STEP_S), int(self.row.end / _STEP_S)
        moments = (np.arange(first, min(last, len(shape))) + 0.5) * _STEP_S
        self.axes.plot([self.row.start, self.row.end], [y, y], color=_RULE, lw=0.8, zorder=1)
        loud = shape[first : first + len(moments)]
        self._bars(
            [(m, v) for m, v in zip(moments, loud, strict=True) if v > 0],
            y,
            [colour_at(m) for m, v in zip(moments, loud, strict=True) if v > 0],
        )

    def _bars(self, bars: Sequence[tuple[float, float]], y: float, colours: Any) -> None:
        from matplotlib.collections import LineCollection

        lines = [[(m, y - _SWING * v), (m, y + _SWING * v)] for m, v in bars]
        self.axes.add_collection(
            LineCollection(lines, colors=colours, linewidths=self.bar, capstyle="round", zorder=3)
        )

    def _ghosts(self) -> None:
        """Draw what was generated and not heard, fading, until somebody answers."""
        from matplotlib.colors import to_rgba

        for cut in self.story.cuts:
            if not self.row.start <= cut.at < self.row.end:
                continue
            following = [
                e.at
                for e in self.story.entries
                if isinstance(e, AgentSpeech) and e.at >= cut.at and e.end > e.at
            ]
            shape = envelope(np.frombuffer(cut.pcm, "<i2"), _STEP_S)
            end = min([self.row.end, cut.at + len(shape) * _STEP_S, *(f - 0.2 for f in following)])
            bars = [
                (moment, value)
                for index, value in enumerate(shape)
                if (moment := cut.at + (index + 0.8) * _STEP_S) < end and value > 0
            ]
            colours = [
                to_rgba(_GHOST, 0.95 - 0.75 * (moment - cut.at) / max(0.1, end - cut.at))
                for moment, _ in bars
            ]
            self._bars(bars, _AGENT_Y, colours)

    def _agent_colour(self, moment: float) -> str:
        speaking = [
            entry
            for entry in self.story.entries
            if isinstance(entry, AgentSpeech) and entry.at - 0.1 <= moment
        ]
        return self.palette.agent(speaking[-1].agent) if speaking else _FAINT

    def _caller(self, speech: CallerSpeech) -> None:
        words = [("Caller", CALLER), *((word, _INK) for word in speech.text.split())]
        lines = self._flow(words, speech, (speech.end or speech.at) - speech.at)
        bottom = _CALLER_Y + _SWING + 0.12
        self._block(lines, speech.at, [bottom + _LINE * n for n in reversed(range(len(lines)))])

    def _agent(self, speech: AgentSpeech) -> None:
        heard = speech.heard
        unheard = speech.text.removeprefix(heard).split() if speech.cut else []
        words = [(speech.agent, self.palette.agent(speech.agent))]
        words += [(word, _INK) for word in heard.split()]
        words += [(word, _GHOST_INK) for word in unheard[:9]]
        if len(unheard) > 9:
            words.append(("…", _GHOST_INK))
        lines = self._flow(words, speech, speech.end - speech.at)
        top = _AGENT_Y - _SWING - 0.24
        self._block(lines, speech.at, [top - _LINE * n for n in range(len(lines))])
        if speech.latency is not None:
            self._latency(speech)

    def _block(
        self, lines: Sequence[Sequence[_Placed]], start: float, heights: Sequence[float]
    ) -> None:
        """Write lines where nothing is written yet, below what would be in the way."""
        widths = [line[-1][0] + self._width(line[-1][1], _SIZE) for line in lines]
        drop = 0
        while any(
            abs(y - drop * _LINE - written) < _LINE / 2 and start < to and start + width > since
            for y, width in zip(heights, widths, strict=True)
            for since, to, written in self._written
        ):
            drop += 1
        for line, y, width in zip(lines, heights, widths, strict=True):
            self._line(line, start, y - drop * _LINE)
            self._written.append((start, start + width + 0.1, y - drop * _LINE))

    def _latency(self, speech: AgentSpeech) -> None:
        gap = (speech.latency or 0.0) + speech.waited
        start, end = speech.at - gap, speech.at
        if start < self.row.start:
            return
        style: dict[str, Any] = {"color": _INK, "lw": 1.1, "zorder": 4}
        self.axes.plot([start, end], [_AGENT_Y] * 2, solid_capstyle="butt", **style)
        for moment in (start, end):
            self.axes.plot([moment] * 2, [_AGENT_Y - 0.07, _AGENT_Y + 0.07], **style)
        label = f"{speech.latency:.2f} s"
        if speech.waited:
            label += f"\n+ {speech.waited:.2f} s approval"
        self.axes.text(
            (start + end) / 2,
            _AGENT_Y - 0.1,
            label,
            size=8,
            weight="bold",
            color=_INK,
            ha="center",
            va="top",
            zorder=5,
        )

    def _barge_in(self, entry: BargeIn) -> None:
        self._stop_line(entry.at, top=_CALLER_Y - _SWING + 0.1)
        after = "" if entry.after is None else f", {entry.after * 1000:.0f} ms"
        self._pill(entry.at, f"✂ interrupted{after}", ALERT)

    def _stop_line(self, moment: float, top: float = 0.0) -> None:
        bottom = _AGENT_Y - _SWING - 0.04
        self.axes.plot([moment] * 2, [bottom, top], color=ALERT, lw=1.6, zorder=6)

    def _tool(self, run: ToolRun) -> None:
        call = f"{run.name}({spell_arguments(run.arguments)})"
        if (approval := run.approval) is not None:
            self._pill(run.at, f"? {call}", TOOL)
            if approval.answered is not None:
                verb = "✓ approved" if approval.approved else "✗ rejected"
                colour = APPROVED if approval.approved else ALERT
                self._pill(approval.answered, f"{verb} by {approval.by}", colour)
            return
        self._pill(run.started if run.started is not None else run.at, f"⚙ {call}", TOOL)

    def _pill(self, moment: float, text: str, colour: str) -> None:
        """Write in the middle, where there is room beside what is written there already."""
        width = self._width(text, 8.5, "bold") + 0.25
        start = min(moment, self.right - width)
        free = [
            y
            for y in _LANES
            if all(start > to or start + width < since or y != at for since, to, at in self._taken)
        ]
        y = free[0] if free else _LANES[-1]
        self._taken.append((start, start + width + 0.1, y))
        self.axes.plot(
            [moment], [y], marker="o", ms=4, color=colour, zorder=7, markeredgecolor=_CARD
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

    def _flow(
        self, words: Sequence[tuple[str, str]], speech: CallerSpeech | AgentSpeech, seconds: float
    ) -> list[list[_Placed]]:
        """Set words in lines: two where there is room before the same side speaks again."""
        widths = [self._width(word, _SIZE, _weight(colour)) for word, colour in words]
        space = self._width("n", _SIZE) * 0.55
        total = sum(widths) + space * len(widths)
        following = [e.at for e in self.inside if e.kind == speech.kind and e.at > speech.at]
        if isinstance(speech, AgentSpeech) and speech.cut == "guardrail":
            following = []  # Its words may stand below what follows at once.
        free = min([self.right - 0.15, *(moment - 0.4 for moment in following)]) - speech.at
        room = max(min(max(seconds, 0.58 * total), free), 2.0, 0.3 * total)
        lines: list[list[_Placed]] = [[]]
        x = 0.0
        for (word, colour), width in zip(words, widths, strict=True):
            if x + width > room and lines[-1]:
                lines.append([])
                x = 0.0
            lines[-1].append((x, word, colour))
            x += width + space
        return lines

    def _line(self, line: Sequence[_Placed], start: float, y: float) -> None:
        for x, word, colour in line:
            self.axes.text(
                start + x,
                y,
                word,
                size=_SIZE,
                color=colour,
                va="baseline",
                ha="left",
                zorder=5,
                weight=_weight(colour),
            )

    def _width(self, text: str, size: float, weight: str = "normal") -> float:
        """Return how many seconds of the row a text takes."""
        from matplotlib.font_manager import FontProperties

        font = FontProperties(size=size, weight=weight)
        pixels, _, _ = self.renderer.get_text_width_height_descent(text, font, ismath=False)
        share = pixels / _DPI / (_WIDTH_IN - _LEFT_IN - _RIGHT_IN)
        return float(share * (self.right - self.row.start))


def _weight(colour: str) -> str:
    return "normal" if colour in (_INK, _GHOST_INK) else "bold"


def _tint(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return (0.9 + 0.1 * red, 0.9 + 0.1 * green, 0.9 + 0.1 * blue)
