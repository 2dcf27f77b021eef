"""One turn of a call to an agent: what the user said, and what came of it."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator

    from stapes.approvals import ToolApproval

__all__ = ["AgentTurn", "ToolUse", "parsed_arguments"]

_LABEL = len("guardrail:")
_LONGEST = 1_000


@dataclass(slots=True)
class ToolUse:
    """A tool that the agent used.

    Attributes:
        name: of the tool.
        arguments: that the model gave.
        output: what the model got; `None` while it is at work.
        agent: the name of the agent that used it.
        call_id: of the call.
        rejected: it needed approval and got none, by whatever decision: it did not run.
    """

    name: str
    arguments: dict[str, Any]
    output: str | None = None
    agent: str = ""
    call_id: str = ""
    rejected: bool = False

    def __str__(self) -> str:
        """As it would be written in Python."""
        return shown_call(self.name, self.arguments)


@dataclass(slots=True)
class _Answer:
    """One item that the model said."""

    said: str = ""
    heard: str | None = None


@dataclass(eq=False, slots=True, repr=False)
class AgentTurn:
    """One turn: what the user said, and all that the agent did until it waited for the user again.

    Awaited, it waits for that. `AgentCall.say` makes and returns it: its constructor is not for
    users.

    Attributes:
        user: what the user said, in words; empty where it is not known.
        tools: what the agent used, in order.
        handoffs: the names of the agents that took over, in order.
        approvals: calls that wait for a decision: by `AgentCall.approve` or `AgentCall.reject`, or
            by those of the session. One that is decided is in it no more.
        guardrails: the names of the guardrails that stopped an answer.
        errors: what went wrong meanwhile.
        interrupted: something of the answer was not heard: the user spoke, or a guardrail tripped
            before all was heard. In a test words mostly are heard first: see `guardrails`.
        agent: the name of the agent in charge at its end.
    """

    user: str
    user_is_heard: bool = False
    """`user` is what the server understood of speech, where the session has it transcribed."""
    tools: list[ToolUse] = field(default_factory=list)
    handoffs: list[str] = field(default_factory=list)
    approvals: list[ToolApproval] = field(default_factory=list)
    guardrails: list[str] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    interrupted: bool = False
    agent: str = ""
    ended_at: float | None = None
    """When the user had spoken: seconds of `time.perf_counter`."""
    first_audio_at: float | None = None
    """When the first sound of the answer came, likewise."""
    first_text_at: float | None = None
    """When its first words came, likewise."""
    task: asyncio.Task[None] | None = None
    """What waits for the end of the turn."""
    awaited: bool = False
    """Somebody has awaited the turn."""
    _answers: dict[str, _Answer] = field(default_factory=dict)

    def __await__(self) -> Generator[Any, None, AgentTurn]:
        """Wait until the agent waits for the user again."""
        __tracebackhide__ = True
        self.awaited = True
        if self.task is not None:
            yield from self.task.__await__()
        return self

    @property
    def done(self) -> bool:
        """Whether the agent waits for the user again."""
        return self.task is not None and self.task.done()

    def unnoticed(self) -> BaseException | None:
        """How the turn failed, where nobody awaited it."""
        if self.awaited or self.task is None or not self.task.done() or self.task.cancelled():
            return None
        return self.task.exception()

    @property
    def said(self) -> str:
        """All that the model said, spoken or written, whether it was heard or not."""
        return " ".join(filter(None, (answer.said.strip() for answer in self._answers.values())))

    @property
    def heard(self) -> str:
        """What the user heard: of an answer that was interrupted the words up to there."""
        answers = self._answers.values()
        heard = (answer.said if answer.heard is None else answer.heard for answer in answers)
        return " ".join(filter(None, map(str.strip, heard)))

    @property
    def latency(self) -> float:
        """Seconds from the end of the user's turn to the first sound, or else text, of an answer.

        Raises:
            AssertionError: there was no answer.
        """
        __tracebackhide__ = True
        first = self.first_text_at if self.first_audio_at is None else self.first_audio_at
        if first is None or self.ended_at is None:
            raise AssertionError(f"there is no latency: the agent has not answered{self.story()}")
        return max(0.0, first - self.ended_at)

    def expect_tool(self, name: str, /, **arguments: Any) -> ToolUse:
        """Return the agent's use of a tool with these arguments, and perhaps others.

        A compiled regular expression stands for a text in which it is found.

        Raises:
            AssertionError: there was none; the message shows the calls that were made.
        """
        __tracebackhide__ = True
        fitting = [
            use
            for use in self.tools
            if use.name == name
            and all(
                key in use.arguments and _fits(use.arguments[key], value)
                for key, value in arguments.items()
            )
        ]
        for use in fitting:
            if not use.rejected:
                return use
        wanted = shown_call(name, arguments)
        if fitting:
            raise AssertionError(
                f"{wanted} was called, but rejected: it did not run{self.story(name, arguments)}"
            )
        raise AssertionError(f"the agent did not call {wanted}{self.story(name, arguments)}")

    def expect_no_tool(self, name: str | None = None) -> None:
        """Check that the agent used no tool, or none of that name.

        Raises:
            AssertionError: it did.
        """
        __tracebackhide__ = True
        used = [use for use in self.tools if name in (None, use.name) and not use.rejected]
        if used:
            raise AssertionError(
                f"the agent should not have called {name or 'any tool'}{self.story()}"
            )

    def expect_handoff(self, agent: str) -> None:
        """Check that an agent of that name took over.

        Raises:
            AssertionError: none did.
        """
        __tracebackhide__ = True
        if agent not in self.handoffs:
            raise AssertionError(f"the agent did not hand off to {agent}{self.story()}")

    def add(self, item_id: str, text: str) -> None:
        """The model has said more of an item."""
        self._answers.setdefault(item_id, _Answer()).said += text

    def note_heard(self, heard: dict[str, str]) -> None:
        """Take over what was heard of items, as the history has it; of others nothing is known."""
        for item_id, answer in self._answers.items():
            if item_id in heard:
                answer.heard = heard[item_id]
            elif self.interrupted and answer.heard is None:
                answer.heard = ""

    def story(self, name: str | None = None, wanted: dict[str, Any] | None = None) -> str:
        """What happened, a line each, to end a message with.

        `name` and `wanted` are of a call that was expected: what differs is shown.
        """
        lines = [_line("user", self.user or "(speech)")]
        for use in self.tools:
            output = "" if use.output is None else f" -> {_short(use.output)}"
            differs = _differences(use, wanted or {}) if use.name == name else ""
            differs += "  (rejected)" if use.rejected else ""
            lines.append(_line("tool", f"{use}{output}{differs}"))
        if name is not None and not self.tools:
            lines.append(_line("tool", "none was called"))
        lines += [_line("handoff", f"to {agent}") for agent in self.handoffs]
        for ask in self.approvals:
            asked = shown_call(ask.tool_name, parsed_arguments(ask.arguments))
            lines.append(_line("approval", f"{asked} waits for call.approve() or call.reject()"))
        lines += [_line("guardrail", guardrail) for guardrail in self.guardrails]
        lines.append(_line("agent", self.said or "(nothing)"))
        if self.interrupted:
            lines.append(_line("heard", self.heard or "(nothing)"))
        lines += [_line("error", f"{type(error).__name__}: {error}") for error in self.errors]
        return "\n".join(["", *lines])

    def __str__(self) -> str:
        return self.story()[1:]

    def __repr__(self) -> str:
        happened = [*map(str, self.tools), repr(self.heard)]
        return f"<AgentTurn {self.user!r}: {', '.join(happened)}>"


def parsed_arguments(text: str) -> dict[str, Any]:
    """The arguments of a call; what is no JSON object stands under `arguments`."""
    try:
        arguments = json.loads(text or "{}")
    except ValueError:
        arguments = text
    return arguments if isinstance(arguments, dict) else {"arguments": arguments}


def shown_call(name: str, arguments: dict[str, Any]) -> str:
    """A call as it would be written in Python."""
    listed = (f"{key}={_shown(value)}" for key, value in arguments.items())
    return f"{name}({', '.join(listed)})"


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, re.Pattern):
        return isinstance(value, str) and wanted.search(value) is not None
    return bool(value == wanted)


def _differences(use: ToolUse, wanted: dict[str, Any]) -> str:
    """Say which arguments are others than those that were expected."""
    differ = [
        f"{key}={use.arguments[key]!r}, not {_shown(value)}"
        if key in use.arguments
        else f"there is no {key}"
        for key, value in wanted.items()
        if key not in use.arguments or not _fits(use.arguments[key], value)
    ]
    return f"  ({'; '.join(differ)})" if differ else ""


def _line(label: str, text: str) -> str:
    """A line of a story, wrapped; what is very long is cut in its middle."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} [...] {text[-_LONGEST // 2 :]}"
    first = f"  {label + ':':<{_LABEL}} "
    wrapped = textwrap.wrap(text, 100 - len(first), break_on_hyphens=False) or [""]
    return "\n".join([first + wrapped[0], *(" " * len(first) + line for line in wrapped[1:])])


def _shown(value: Any) -> str:
    return f"/{value.pattern}/" if isinstance(value, re.Pattern) else repr(value)


def _short(text: str, most: int = 80) -> str:
    return repr(text if len(text) <= most else text[: most - 3] + "...")
