"""What is written of each entry of a call: one row, or a few."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from stapes.cli.call.entries import (
    AgentSpeech,
    BargeIn,
    CallerSpeech,
    Entry,
    GuardrailTrip,
    Handoff,
    Problem,
    ToolRun,
)
from stapes.cli.show.palette import ALERT, APPROVED, CALLER, QUIET, TOOL, Palette


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Signs; those of `PLAIN` are in every character set."""

    tool: str
    gives: str
    handoff: str
    stop: str
    yes: str
    no: str
    ask: str
    problem: str
    more: str
    live: str
    dot: str
    bars: str


FANCY: Final = Glyphs("⚙", "→", "⇄", "✂", "✓", "✗", "?", "⚠", "…", "●", "·", " ▁▂▃▄▅▆▇█")
PLAIN: Final = Glyphs("*", "->", "=>", "--", "ok", "x", "?", "!", "...", "o", "-", " .:-=+*#@")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the conversation: when, who, what, how fast."""

    at: float
    who: Text
    what: Text
    aside: str = ""


def rows_of(entry: Entry, now: float, palette: Palette, glyphs: Glyphs) -> list[Row]:
    """Write an entry as it stands at `now`."""
    match entry:
        case CallerSpeech():
            return [_caller(entry, glyphs)]
        case AgentSpeech():
            return [_agent(entry, now, palette, glyphs)]
        case BargeIn():
            what = Text(f"{glyphs.stop} the answer stops", ALERT)
            if entry.after is not None:
                what.append(f" {entry.after:.2f} s after the caller began")
            return [Row(entry.at, Text("barge-in", ALERT), what)]
        case ToolRun():
            return _tool(entry, glyphs)
        case Handoff():
            what = Text.assemble(
                (f"{glyphs.handoff} ", QUIET),
                (entry.source, palette.agent(entry.source)),
                (" hands over to ", QUIET),
                (entry.target, f"bold {palette.agent(entry.target)}"),
            )
            return [Row(entry.at, Text("handoff", QUIET), what)]
        case GuardrailTrip():
            what = Text(f'{glyphs.stop} "{entry.name}" stops the answer', ALERT)
            return [Row(entry.at, Text("guardrail", ALERT), what)]
        case Problem():
            return [Row(entry.at, Text("problem", ALERT), Text(entry.text, ALERT))]


def _caller(speech: CallerSpeech, glyphs: Glyphs) -> Row:
    what = Text(speech.text) if speech.text else Text(glyphs.more, QUIET)
    return Row(speech.at, Text("Caller", f"bold {CALLER}"), what)


def _agent(speech: AgentSpeech, now: float, palette: Palette, glyphs: Glyphs) -> Row:
    colour = palette.agent(speech.agent)
    what = Text(speech.said_by(min(now, speech.end)))
    over = speech.cut is not None or (speech.complete and now >= speech.end)
    if not over:
        what.append(f" {glyphs.more}" if what else glyphs.more, QUIET)
    aside = "" if speech.latency is None else f"{speech.latency:.2f} s"
    if speech.cut is not None:
        what.append(f" {glyphs.stop}", ALERT)
    return Row(speech.at, Text(speech.agent, f"bold {colour}"), what, aside)


def _tool(run: ToolRun, glyphs: Glyphs) -> list[Row]:
    what = Text.assemble((f"{glyphs.tool} ", TOOL), (run.name, f"bold {TOOL}"))
    what.append(f"({spell_arguments(run.arguments)})", TOOL)
    rows = []
    if (approval := run.approval) is not None:
        asking = Row(run.at, Text("approval", TOOL), Text.assemble(what.copy(), (" ?", TOOL)))
        if approval.approved is None:
            return [asking]
        rows.append(asking)
        given = approval.approved
        sign, verb = (glyphs.yes, "approved") if given else (glyphs.no, "rejected")
        verdict = Text(f"{sign} {verb} by {approval.by}", APPROVED if given else ALERT)
        rows.append(Row(approval.answered or run.at, Text(verb, verdict.style), verdict))
        if not given:
            return rows
    started = run.started if run.started is not None else run.at
    if run.result is not None:
        what.append(f" {glyphs.gives} ", QUIET).append(run.result)
    rows.append(Row(started, Text("tool", TOOL), what))
    return rows


def spell_arguments(arguments: str) -> str:
    """Write JSON arguments as Python would: `city="Paris", days=2`."""
    try:
        values = json.loads(arguments or "{}")
    except ValueError:
        return arguments
    if not isinstance(values, dict):
        return arguments
    return ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items()
    )
