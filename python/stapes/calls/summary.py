"""What became of a call, in a line for a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents import Usage
    from agents.realtime import RealtimeAgent

    from stapes.calls.call import Call
    from stapes.events import AgentHandoff, AgentToolStart, GuardrailTripped, PlaybackEnded

__all__ = ["CallSummary", "one_line"]

_LONGEST = 120
"""Characters of a name or reason that came from outside."""


class _Session(Protocol):
    """What is read of a `RealtimeSession`."""

    @property
    def initial_agent(self) -> RealtimeAgent[Any]: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def on(self) -> Callable[..., Any]: ...


class CallSummary:
    """Counts what happens in a call and its session. Make it before the session connects.

        session = RealtimeSession(agent, call=call)
        summary = CallSummary(call, session)
        async with session:
            await call.ended()
        logger.info("%s", summary)

    Its text has no keys that the caller pressed and nothing that was said.
    """

    def __init__(self, call: Call, session: _Session) -> None:
        self._call = call
        self._session = session
        self.agents: list[str] = [session.initial_agent.name]
        """The names of the agents, in the order in which they were in charge."""
        self.tools: dict[str, int] = {}
        """How often each tool was called."""
        self.interruptions = 0
        """Answers that were cut while they were played: by the caller, or by the application."""
        self.guardrails = 0
        """Answers that a guardrail stopped."""
        self._stopped: str | None = None
        session.on("agent_handoff", self._handed_over)
        session.on("agent_tool_start", self._tool_called)
        session.on("playback_ended", self._playback_ended)
        session.on("guardrail_tripped", self._guardrail_tripped)

    @property
    def tokens(self) -> int:
        """Tokens of all responses and transcriptions so far."""
        return self._session.usage.total_tokens

    def _handed_over(self, event: AgentHandoff) -> None:
        self.agents.append(event.to_agent.name)

    def _tool_called(self, event: AgentToolStart) -> None:
        name = event.tool.name
        self.tools[name] = self.tools.get(name, 0) + 1

    def _playback_ended(self, event: PlaybackEnded) -> None:
        self.interruptions += event.interrupted and event.response_id != self._stopped

    def _guardrail_tripped(self, event: GuardrailTripped) -> None:
        self.guardrails += 1
        self._stopped = event.response_id

    def __str__(self) -> str:
        call, ended = self._call, self._call.ending
        tools = ", ".join(
            one_line(name) if count == 1 else f"{one_line(name)} x{count}"
            for name, count in self.tools.items()
        )
        parts = [
            f"{call.carrier} {one_line(call.id)}",
            "standing" if ended is None else f"{ended.duration:.1f} s",
            f"agents: {' > '.join(map(one_line, self.agents))}",
            f"tools: {tools or 'none'}",
            f"interruptions: {self.interruptions}",
            *([f"guardrails: {self.guardrails}"] if self.guardrails else []),
            f"tokens: {self.tokens}",
        ]
        if ended is not None:
            parts.append(f"ended by: {ended.by}, {one_line(ended.reason) or 'no reason given'}")
        return " | ".join(parts)


def one_line(text: str) -> str:
    """One line, and not too long, of a text that comes from the other end."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
