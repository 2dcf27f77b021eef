"""A call as text: for people, and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any

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
from stapes.cli.show.rows import spell_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from stapes.cli.show.story import Story


def write_json(path: Path, story: Story, extra: Mapping[str, Any]) -> None:
    """Write all that is known of a call. Times are seconds since it began."""
    document = {
        "title": story.title,
        "seconds": round(story.seconds, 3),
        "latency_seconds": _latency(story.latencies),
        "entries": [_plain(entry) for entry in story.entries],
        **extra,
    }
    path.write_text(
        json.dumps(document, indent=2, ensure_ascii=False, default=_rest) + "\n", "utf-8"
    )


def write_markdown(path: Path, story: Story) -> None:
    """Write what was said and done, for people."""
    lines = [f"# {story.title}", ""]
    lines += [line for entry in story.entries for line in _lines(entry)]
    if story.latencies:
        numbers = _latency(story.latencies)
        lines += ["", f"Answers came after {numbers['median']} s (median), {numbers['slowest']} s"]
        lines[-1] += " (slowest)."
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _latency(latencies: Sequence[float]) -> dict[str, float]:
    if not latencies:
        return {}
    return {"median": round(median(latencies), 3), "slowest": round(max(latencies), 3)}


def _plain(entry: Entry) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": entry.kind, **asdict(entry)}
    if isinstance(entry, AgentSpeech):
        plain |= {"latency": entry.latency, "heard": entry.heard, "generated": entry.text}
    rounded = _rounded(plain)
    assert isinstance(rounded, dict)
    return rounded


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, 3)
        case dict():
            return {key: _rounded(inner) for key, inner in value.items()}
        case list():
            return [_rounded(inner) for inner in value]
        case _:
            return value


def _rest(value: Any) -> Any:
    return str(value)


def _lines(entry: Entry) -> list[str]:
    clock = f"`{int(entry.at) // 60}:{int(entry.at) % 60:02}`"
    match entry:
        case CallerSpeech():
            return [f"- {clock} **Caller:** {entry.text}"]
        case AgentSpeech():
            aside = "" if entry.latency is None else f" *(after {entry.latency:.2f} s)*"
            line = f"- {clock} **{entry.agent}:** {entry.heard}{aside}"
            if entry.cut is None:
                return [line]
            unheard = entry.text.removeprefix(entry.heard).strip()
            why = "interrupted" if entry.cut == "interrupted" else "stopped by a guardrail"
            return [f"{line} *({why}; not heard: ~~{unheard}~~)*"]
        case BargeIn(after=after):
            when = "" if after is None else f" {after:.2f} s after they began"
            return [f"- {clock} *the caller talks over the answer; it stops{when}*"]
        case ToolRun():
            call = f"`{entry.name}({spell_arguments(entry.arguments)})`"
            lines = []
            if (approval := entry.approval) is not None:
                verb = {True: "approved", False: "rejected", None: "not answered"}
                by = f" by {approval.by}" if approval.by else ""
                lines.append(
                    f"- {clock} *approval asked for {call}: {verb[approval.approved]}{by}*"
                )
            if entry.result is not None:
                lines.append(f"- {clock} *tool {call}: {entry.result}*")
            return lines
        case Handoff():
            return [f"- {clock} *{entry.source} hands over to {entry.target}*"]
        case GuardrailTrip():
            return [f'- {clock} *guardrail "{entry.name}" stops the answer*']
        case Problem():
            return [f"- {clock} *problem: {entry.text}*"]
