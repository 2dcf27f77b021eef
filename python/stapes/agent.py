"""An agent with a voice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

from agents import OutputGuardrail, TContext
from agents.realtime import RealtimeAgent as UpstreamRealtimeAgent

if TYPE_CHECKING:
    from stapes.config import CustomVoice

__all__ = ["RealtimeAgent", "RealtimeOutputGuardrail"]


@dataclass
class RealtimeAgent(UpstreamRealtimeAgent[TContext], Generic[TContext]):
    """An `agents.realtime.RealtimeAgent` with a `voice`.

    A plain `agents.realtime.RealtimeAgent` works in a session as well; it speaks with the voice of
    the session's configuration.

    Attributes:
        voice: the provider's name of a voice, such as `"marin"`, or `{"id": ...}` for one of your
            own. The provider does not change the voice once the session has spoken.
    """

    voice: str | CustomVoice | None = None


@dataclass
class RealtimeOutputGuardrail(OutputGuardrail[Any]):
    """An output guardrail that tells the model which policy it broke.

    Attributes:
        policy_hint: what the model reads when the guardrail trips; its name if not given.
    """

    policy_hint: str | None = None
