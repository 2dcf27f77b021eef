"""What is drawn of each entry of a call, in one row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

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
from stapes.cli.show.story import Story, envelope
from stapes.cli.show.timeline import look

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from stapes.cli.show.timeline.rows import Row
    from stapes.cli.show.timeline.sheet import Sheet


class RowDrawing:
    """Draws one row of a call on a sheet.

    Args:
        sheet: where to draw.
        story: the call.
        row: the part of it.
        palette: the agents' colours.
        voices: the loudness of caller and agent, in steps of `look.STEP_S`.
    """

    def __init__(
        self,
        sheet: Sheet,
        story: Story,
        row: Row,
        palette: Palette,
        voices: tuple[NDArray[np.float64], NDArray[np.float64]],
    ) -> None:
        self.sheet = sheet
        self.story = story
        self.row = row
        self.palette = palette
        self.voices = voices
        self.inside = [e for e in story.entries if row.start <= e.at < row.end]

    def draw(self) -> None:
        """Draw all of it."""
        self._voice(0, look.CALLER_Y, lambda _: CALLER)
        self._ghosts()
        self._voice(1, look.AGENT_Y, self._agent_colour)
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
                    self.sheet.label(entry.at, text, self.palette.agent(entry.target))
                case GuardrailTrip():
                    self.sheet.stop_line(entry.at)
                    self.sheet.label(entry.at, f"⚠ guardrail: {entry.name}", ALERT)
                case Problem():
                    self.sheet.label(entry.at, f"⚠ {entry.text[:60]}", ALERT)
                case _:
                    pass

    def _voice(self, channel: int, y: float, colour_at: Callable[[float], str]) -> None:
        shape = self.voices[channel]
        first, last = int(self.row.start / look.STEP_S), int(self.row.end / look.STEP_S)
        moments = (np.arange(first, min(last, len(shape))) + 0.5) * look.STEP_S
        self.sheet.axes.plot(
            [self.row.start, self.row.end], [y, y], color=look.RULE, lw=0.8, zorder=1
        )
        loud = shape[first : first + len(moments)]
        self.sheet.bars(
            [(m, v) for m, v in zip(moments, loud, strict=True) if v > 0],
            y,
            [colour_at(m) for m, v in zip(moments, loud, strict=True) if v > 0],
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
            shape = envelope(np.frombuffer(cut.pcm, "<i2"), look.STEP_S)
            end = min(
                [self.row.end, cut.at + len(shape) * look.STEP_S, *(f - 0.2 for f in following)]
            )
            bars = [
                (moment, value)
                for index, value in enumerate(shape)
                if (moment := cut.at + (index + 0.8) * look.STEP_S) < end and value > 0
            ]
            colours = [
                to_rgba(look.GHOST, 0.95 - 0.75 * (moment - cut.at) / max(0.1, end - cut.at))
                for moment, _ in bars
            ]
            self.sheet.bars(bars, look.AGENT_Y, colours)

    def _agent_colour(self, moment: float) -> str:
        speaking = [
            entry
            for entry in self.story.entries
            if isinstance(entry, AgentSpeech) and entry.at - 0.1 <= moment
        ]
        return self.palette.agent(speaking[-1].agent) if speaking else look.FAINT

    def _caller(self, speech: CallerSpeech) -> None:
        words = [("Caller", CALLER), *((word, look.INK) for word in speech.text.split())]
        lines = self.sheet.flow(
            words, speech.at, (speech.end or speech.at) - speech.at, self._next(speech)
        )
        bottom = look.CALLER_Y + look.SWING + 0.12
        self.sheet.block(
            lines, speech.at, [bottom + look.LINE * n for n in reversed(range(len(lines)))]
        )

    def _agent(self, speech: AgentSpeech) -> None:
        heard = speech.heard
        unheard = speech.text.removeprefix(heard).split() if speech.cut else []
        words = [(speech.agent, self.palette.agent(speech.agent))]
        words += [(word, look.INK) for word in heard.split()]
        words += [(word, look.GHOST_INK) for word in unheard[:9]]
        if len(unheard) > 9:
            words.append(("…", look.GHOST_INK))
        start = speech.voiced or speech.at
        lines = self.sheet.flow(words, start, speech.end - start, self._next(speech))
        top = look.AGENT_Y - look.SWING - 0.24
        self.sheet.block(lines, start, [top - look.LINE * n for n in range(len(lines))])
        if speech.latency is not None:
            self._latency(speech)

    def _next(self, speech: CallerSpeech | AgentSpeech) -> float:
        """Return where the words of the same side's next speech begin, and a little before."""
        if isinstance(speech, AgentSpeech) and speech.cut == "guardrail":
            return math.inf  # Its words may stand above what follows at once.
        following = [e.at for e in self.inside if e.kind == speech.kind and e.at > speech.at]
        return min(following, default=math.inf) - 0.4

    def _latency(self, speech: AgentSpeech) -> None:
        start, end = speech.asked or 0.0, speech.voiced or speech.at
        if start < self.row.start:
            return
        style: dict[str, Any] = {"color": look.INK, "lw": 1.1, "zorder": 4}
        self.sheet.axes.plot([start, end], [look.AGENT_Y] * 2, solid_capstyle="butt", **style)
        for moment in (start, end):
            self.sheet.axes.plot([moment] * 2, [look.AGENT_Y - 0.07, look.AGENT_Y + 0.07], **style)
        label = f"{speech.latency:.2f} s"
        if speech.waited:
            label += f"\n+ {speech.waited:.2f} s approval"
        self.sheet.axes.text(
            (start + end) / 2,
            look.AGENT_Y - 0.1,
            label,
            size=8,
            weight="bold",
            color=look.INK,
            ha="center",
            va="top",
            zorder=5,
        )

    def _barge_in(self, entry: BargeIn) -> None:
        self.sheet.stop_line(entry.at, top=look.CALLER_Y - look.SWING + 0.1)
        after = "" if entry.after is None else f", {entry.after * 1000:.0f} ms"
        self.sheet.label(entry.at, f"✂ interrupted{after}", ALERT)

    def _tool(self, run: ToolRun) -> None:
        call = f"{run.name}({spell_arguments(run.arguments)})"
        if (approval := run.approval) is not None:
            self.sheet.label(run.at, f"? {call}", TOOL)
            if approval.answered is not None:
                verb = "✓ approved" if approval.approved else "✗ rejected"
                colour = APPROVED if approval.approved else ALERT
                self.sheet.label(approval.answered, f"{verb} by {approval.by}", colour)
            return
        self.sheet.label(run.started if run.started is not None else run.at, f"⚙ {call}", TOOL)
