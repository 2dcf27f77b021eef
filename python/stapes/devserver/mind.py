"""What a development server thinks and speaks with: the interfaces of a mind and of a voice.

The server owns the protocol; a mind owns the answers. A mind is asked in two places: to hear what a
caller said, and to answer at the current point of a conversation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Say:
    """The mind says this text: spoken by the voice, or written in text modality."""

    text: str
    """The words."""


@dataclass(frozen=True, slots=True)
class Call:
    """The mind calls a function tool, with its arguments as a mapping or as JSON text."""

    name: str
    """The tool's name."""
    arguments: Mapping[str, Any] | str
    """A mapping, or JSON text."""


@dataclass(frozen=True, slots=True)
class View:
    """What the mind sees of a conversation when it must answer.

    `items` are wire-shaped conversation items in order, without audio. Audio that a caller said has
    its transcript, whether or not the session asked for input transcription.
    """

    instructions: str
    """Those of the session, or of the response."""
    tools: Sequence[Mapping[str, Any]]
    """As the client declared them."""
    items: Sequence[Mapping[str, Any]]
    """The conversation, in order."""
    metadata: Mapping[str, Any] | None
    """Of the response that was asked for."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Sound of a voice: PCM16 little endian mono at 24,000 Hz."""

    pcm: bytes
    """The samples."""


class MindOverloadedError(RuntimeError):
    """A mind cannot hear so many calls at once. The message says how many it can."""


class Mind(Protocol):
    """Understands what was said and decides what to answer."""

    async def hear(
        self, pcm: bytes, *, instructions: str, tools: Sequence[Mapping[str, Any]]
    ) -> str:
        """Return the transcript of PCM16 mono at 24,000 Hz; an empty string if nothing was said.

        Where it raises, nothing was heard; where it raises `MindOverloadedError` or is too late,
        the answer to that turn fails, and says why.
        """
        ...

    def answer(self, view: View) -> AsyncIterator[Say | Call]:
        """Say and call what is due at this point of the conversation, in order."""
        ...


@runtime_checkable
class MindPerCall(Protocol):
    """A mind that keeps state for each call offers a fresh one when a call begins."""

    def for_call(self) -> Mind:
        """Return the mind of one new call."""
        ...


@runtime_checkable
class MindThatPrepares(Protocol):
    """A mind that wants to know whom it will speak for before it has to hear or answer."""

    def prepare(self, *, instructions: str, tools: Sequence[Mapping[str, Any]]) -> None:
        """Get ready, without keeping anybody waiting: a session begins or was updated."""
        ...


class Voice(Protocol):
    """Turns text into sound."""

    async def speak(self, text: str, *, voice: str, speed: float) -> Speech:
        """Speak `text` with the named voice, `speed` times the usual pace (0.25 to 1.5)."""
        ...


def mind_for_call(mind: Mind) -> Mind:
    """Return the mind that one call talks to: its own where `mind` offers one, else `mind`."""
    return mind.for_call() if isinstance(mind, MindPerCall) else mind
