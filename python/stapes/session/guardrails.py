"""Runs output guardrails on what the agent says, while it says it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from agents import OutputGuardrail, OutputGuardrailResult, OutputGuardrailTripwireTriggered

from stapes.events import Error, GuardrailTripped
from stapes.session.tool_result import tool_result_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stapes.session.session import RealtimeSession

__all__ = ["feedback_message", "run_guardrails"]


def _details(info: Any) -> str:
    info = {} if info is None else info
    try:
        return json.dumps(info, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError):
        return tool_result_text(info)


def feedback_message(result: OutputGuardrailResult) -> str:
    """What the model is told of the answer that was stopped: the reference's words."""
    hint = getattr(result.guardrail, "policy_hint", None) or result.guardrail.get_name()
    return (
        "⚠️ Your last answer was blocked. \n"
        f"Failed Guardrail Reason: {hint}. \n"
        f"Failure Details: {_details(result.output.output_info)}. \n"
        "Please respond again following policy. Apologize for not being able to answer the "
        "question (while avoiding the specific reason) and divert discussion back to an "
        "approved topic immediately and not invite more discussion."
    )


class GuardrailTripwire(OutputGuardrailTripwireTriggered):
    """`openai-agents`' exception, with what the guardrail said in its message."""

    def __init__(self, result: OutputGuardrailResult) -> None:
        super().__init__(result)
        self.message = f"Output guardrail triggered: {_details(result.output.output_info)}"
        self.args = (self.message,)


GuardrailTripwire.__name__ = OutputGuardrailTripwireTriggered.__name__
GuardrailTripwire.__qualname__ = OutputGuardrailTripwireTriggered.__qualname__


async def run_guardrails(
    session: RealtimeSession,
    guardrails: Sequence[OutputGuardrail[Any]],
    text: str,
    *,
    response_id: str | None,
    item_id: str,
    source: str,
    agent: Any,
    response_index: int,
    connection_id: int,
) -> None:
    """Runs all of them at once; the first in the list that trips stops the answer."""
    try:
        results = await asyncio.gather(
            *(guardrail.run(session.context, agent, text) for guardrail in guardrails)
        )
    except Exception as error:
        session._local(Error(error, context="output guardrail"))
        return
    tripped = next((result for result in results if result.output.tripwire_triggered), None)
    if tripped is None:
        return
    event = session._local_events.stage(
        GuardrailTripped(session.context, agent, GuardrailTripwire(tripped), item_id)
    )
    feedback = {
        "type": "conversation.item.create",
        "item": {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": feedback_message(tripped)}],
        },
    }
    if not session._core.guardrail_tripped(
        connection_id,
        response_index,
        response_id,
        source,
        event,
        json.dumps(feedback, ensure_ascii=False),
    ):
        session._local_events.discard(event)
