"""What can happen in a call. All times are seconds since the call began, as it was heard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias


@dataclass(slots=True)
class Word:
    """A piece of what was said, and when it was heard."""

    text: str
    at: float


@dataclass(slots=True)
class CallerSpeech:
    """The caller says something; the words come only afterwards.

    Attributes:
        understood: whether all words are there.
    """

    at: float
    item_id: str
    end: float | None = None
    text: str = ""
    understood: bool = False
    kind: Literal["caller"] = "caller"


@dataclass(slots=True)
class AgentSpeech:
    """An agent says something.

    Attributes:
        end: where its sound ends, or was cut.
        voiced: where a voice is heard in it; sound may begin with silence.
        complete: whether all of it has been generated.
        asked: where the caller's voice ended, if this is the first answer to it.
        waited: seconds of that silence in which a person was asked for approval.
        cut: why it was not heard to its end.
    """

    at: float
    agent: str
    item_id: str
    response_id: str
    end: float
    words: list[Word] = field(default_factory=list)
    complete: bool = False
    voiced: float | None = None
    asked: float | None = None
    waited: float = 0.0
    cut: Literal["interrupted", "guardrail"] | None = None
    kind: Literal["agent"] = "agent"

    @property
    def latency(self) -> float | None:
        """Seconds of silence between the caller's voice and this one, without `waited`."""
        if self.asked is None or self.voiced is None:
            return None
        return max(0.0, self.voiced - self.asked - self.waited)

    @property
    def text(self) -> str:
        """All that was generated."""
        return "".join(word.text for word in self.words).strip()

    @property
    def heard(self) -> str:
        """The words that began before it ended."""
        return self.said_by(self.end)

    def said_by(self, moment: float) -> str:
        """Return the words that began before `moment`."""
        return "".join(word.text for word in self.words if word.at < moment).strip()


@dataclass(slots=True)
class BargeIn:
    """The caller talks over an answer, and it stops.

    Attributes:
        after: seconds from the beginning of the caller's voice to silence; `None` where no voice
            was heard.
    """

    at: float
    item_id: str
    after: float | None
    kind: Literal["barge_in"] = "barge_in"


@dataclass(slots=True)
class Approval:
    """A person's decision on a call of a tool."""

    asked: float
    answered: float | None = None
    approved: bool | None = None
    by: str = ""


@dataclass(slots=True)
class ToolRun:
    """A tool is called; `result` is what the model gets."""

    at: float
    agent: str
    name: str
    arguments: str
    call_id: str
    started: float | None = None
    end: float | None = None
    result: str | None = None
    approval: Approval | None = None
    kind: Literal["tool"] = "tool"


@dataclass(slots=True)
class Handoff:
    """Another agent takes over."""

    at: float
    source: str
    target: str
    kind: Literal["handoff"] = "handoff"


@dataclass(slots=True)
class GuardrailTrip:
    """A guardrail stops an answer."""

    at: float
    name: str
    item_id: str
    kind: Literal["guardrail"] = "guardrail"


@dataclass(slots=True)
class Problem:
    """Something went wrong, or the connection was lost."""

    at: float
    text: str
    kind: Literal["problem"] = "problem"


Entry: TypeAlias = (
    CallerSpeech | AgentSpeech | BargeIn | ToolRun | Handoff | GuardrailTrip | Problem
)
