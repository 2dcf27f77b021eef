"""What must come of what the caller says. Each expectation looks at the entries of one turn."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from stapes.cli.call.entries import (
    AgentSpeech,
    BargeIn,
    Entry,
    GuardrailTrip,
    Handoff,
    Problem,
    ToolRun,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_Kind = TypeVar("_Kind", bound=Entry)


class Expectation(Protocol):
    """Something that must happen in a turn."""

    def __str__(self) -> str:
        """Say what is expected."""
        ...

    def missing(self, turn: Sequence[Entry]) -> str | None:
        """Return `None` where it happened, or else what was there instead."""
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """An agent answers, to the end."""

    holding: str = ""
    """A regular expression that the words heard must hold."""

    def __str__(self) -> str:
        return "an answer is heard" + (f' with "{self.holding}"' if self.holding else "")

    def missing(self, turn: Sequence[Entry]) -> str | None:
        """Look for words heard to the end."""
        heard = " ".join(speech.heard for speech in _of(AgentSpeech, turn) if speech.cut is None)
        if not heard:
            return "nothing was heard to its end"
        return None if re.search(self.holding, heard, re.I) else f"heard was: {heard}"


@dataclass(frozen=True, slots=True)
class Called:
    """A tool runs with these arguments and returns."""

    name: str
    arguments: Mapping[str, object]

    def __str__(self) -> str:
        wanted = ", ".join(f"{name}={json.dumps(value)}" for name, value in self.arguments.items())
        return f"{self.name}({wanted}) is called"

    def missing(self, turn: Sequence[Entry]) -> str | None:
        """Look for the call."""
        runs = [run for run in _of(ToolRun, turn) if run.result is not None]
        if any(run.name == self.name and _values(run) == self.arguments for run in runs):
            return None
        return "called was: " + (", ".join(f"{r.name}({r.arguments})" for r in runs) or "nothing")


@dataclass(frozen=True, slots=True)
class CutShort:
    """The answer is interrupted before its end."""

    def __str__(self) -> str:
        return "the answer is cut where the caller talks over it"

    def missing(self, turn: Sequence[Entry]) -> str | None:
        """Look for an answer that was cut, with words that were not heard."""
        cut = [speech for speech in _of(AgentSpeech, turn) if speech.cut == "interrupted"]
        if not cut:
            return "no answer was interrupted"
        whole = all(speech.heard == speech.text for speech in cut)
        return "all of it had been heard" if whole else None


@dataclass(frozen=True, slots=True)
class BargesIn:
    """The caller talks over the answer before and it falls silent soon."""

    within_s: float = 1.0

    def __str__(self) -> str:
        return f"the answer stops within {self.within_s:g} s after the caller began"

    def missing(self, turn: Sequence[Entry]) -> str | None:
        """Look for the barge-in, and how fast it was."""
        for barge_in in _of(BargeIn, turn):
            if barge_in.after is not None and barge_in.after <= self.within_s:
                return None
            return f"it stopped {barge_in.after} s after the caller began"
        return "nothing was interrupted"


@dataclass(frozen=True, slots=True)
class Blocked:
    """A guardrail stops an answer before something is heard."""

    name: str
    unheard: str

    def __str__(self) -> str:
        return f'the guardrail "{self.name}" stops an answer'

    def missing(self, turn: Sequence[Entry]) -> str | None:
        """Look for the guardrail, and for what must not have been heard."""
        if all(trip.name != self.name for trip in _of(GuardrailTrip, turn)):
            return "it did not trip"
        for speech in _of(AgentSpeech, turn):
            if self.unheard in re.sub(r"\D", "", speech.heard):
                return f"{self.unheard} was heard"
        return None


@dataclass(frozen=True, slots=True)
class HandedOver:
    """One agent hands over to another, which then speaks."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source} hands over to {self.target}"

    def missing(self, turn: Sequence[Entry]) -> str | None:
        """Look for the handoff and for the new agent's voice."""
        if Handoff not in map(type, turn):
            return "there was no handoff"
        found = any((h.source, h.target) == (self.source, self.target) for h in _of(Handoff, turn))
        spoke = any(speech.agent == self.target for speech in _of(AgentSpeech, turn))
        return None if found and spoke else f"{self.target} did not speak"


@dataclass(frozen=True, slots=True)
class Approved:
    """A tool waits for approval, gets it, and only then runs."""

    name: str

    def __str__(self) -> str:
        return f"{self.name} waits for approval, and gets it"

    def missing(self, turn: Sequence[Entry]) -> str | None:
        """Look for the approval, and that the tool did not run before."""
        for run in _of(ToolRun, turn):
            if run.name == self.name and (approval := run.approval) is not None:
                if approval.answered is None or run.started is None:
                    return "it never ran"
                return None if run.started >= approval.answered else "it ran before it was approved"
        return "no approval was asked for"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether one thing happened."""

    text: str
    failure: str | None


def judge(turns: Sequence[tuple[Sequence[Expectation], Sequence[Entry]]]) -> list[Outcome]:
    """Look for all that was expected, turn by turn, and for problems."""
    outcomes = [
        Outcome(str(expectation), expectation.missing(entries))
        for expectations, entries in turns
        for expectation in expectations
    ]
    problems = [p.text for _, entries in turns for p in _of(Problem, entries)]
    outcomes.append(Outcome("no errors", "; ".join(problems) or None))
    return outcomes


def _of(kind: type[_Kind], turn: Sequence[Entry]) -> list[_Kind]:
    return [entry for entry in turn if isinstance(entry, kind)]


def _values(run: ToolRun) -> object:
    try:
        return json.loads(run.arguments)
    except ValueError:
        return None
