"""The core of stapes under the sessions of `openai-agents`.

`StapesRealtimeModel` is a model for their runner: `RealtimeRunner(agent, model=...)`. Their session
runs agents, tools, handoffs and guardrails; stapes carries the connection, knows what was heard,
and goes on over another connection when one is lost.
"""

from stapes.agents_sdk.model import StapesRealtimeModel

__all__ = ["StapesRealtimeModel"]
