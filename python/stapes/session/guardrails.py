"""Runs output guardrails on an answer, while the agent still speaks."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

from agents import OutputGuardrail, OutputGuardrailResult, OutputGuardrailTripwireTriggered

from stapes.events import GuardrailTripped
from stapes.session.failures import ends_more, report_failure
from stapes.session.history import message_event
from stapes.session.tool_calls.tool_result import tool_result_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stapes.session.dispatch import messages
    from stapes.session.scope import Scope

__all__ = ["OutputCheck", "feedback_message", "guardrail_name"]

logger = logging.getLogger("stapes")


def _said(text: Callable[[], object], otherwise: str) -> str:
    """What a guardrail's own objects say. An answer is stopped even where these raise.

    Args:
        text: gets it from users' code.
        otherwise: is said where that fails.
    """
    try:
        return str(text())
    except BaseException as error:
        if ends_more(error):
            raise
        logger.exception("a guardrail tripped, and what it says cannot be written as text")
        return otherwise


def _details(info: Any) -> str:
    info = {} if info is None else info

    def written() -> str:
        if isinstance(info, str):
            return json.dumps(info, ensure_ascii=False)
        return tool_result_text(info)

    return _said(written, f"the output_info, {type(info).__name__}, cannot be written as text")


def guardrail_name(guardrail: OutputGuardrail[Any]) -> str:
    """The name of a guardrail; `get_name()` raises where the function has none, as a partial."""
    try:
        return guardrail.get_name()
    except AttributeError:
        return type(guardrail.guardrail_function).__name__


def feedback_message(result: OutputGuardrailResult) -> str:
    """The message to the model about the answer that was stopped, in the reference's words."""
    guardrail = result.guardrail
    hint = _said(
        lambda: getattr(guardrail, "policy_hint", None) or guardrail.get_name(),
        "the answer is against a policy",
    )
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


class OutputCheck:
    """A check of what an agent has said so far.

    Args:
        scope: the session's.
        agent: the one that speaks.
        guardrails: the session's, and the agent's own.
        message: says how much was said, and in which response.
    """

    __slots__ = ("_agent", "_guardrails", "_message", "_scope")

    def __init__(
        self,
        scope: Scope,
        agent: Any,
        guardrails: Sequence[OutputGuardrail[Any]],
        message: messages.GuardrailDue | messages.ResponseEnded,
    ) -> None:
        self._scope = scope
        self._agent = agent
        self._guardrails = guardrails
        self._message = message

    async def run(self, text: str) -> None:
        """Runs all of them at once; the first in the list that trips stops the answer."""
        context, core, message = self._scope.context, self._scope.core, self._message
        results = await asyncio.gather(*(self._tripped(one, text) for one in self._guardrails))
        if (tripped := next((result for result in results if result is not None), None)) is None:
            return
        tripwire = GuardrailTripwire(tripped)
        item_id, response_id = message.item_id or "", message.response_id or ""
        event = GuardrailTripped(context, self._agent, tripwire, item_id, response_id)
        feedback = message_event(feedback_message(tripped), None)
        self._scope.local_events.transact(
            [event],
            lambda tokens: core.guardrail_tripped(
                message.connection_id,
                message.response_index,
                message.response_id,
                message.source,
                tokens[0],
                feedback,
            ),
        )

    async def _tripped(
        self, guardrail: OutputGuardrail[Any], text: str
    ) -> OutputGuardrailResult | None:
        """What a guardrail says that trips. Where one fails, the others count all the same."""
        try:
            result = await guardrail.run(self._scope.context, self._agent, text)
            return result if result.output.tripwire_triggered else None
        except BaseException as error:
            if ends_more(error):
                raise
            core = self._scope.core
            if core.is_standing and core.connection_id == self._message.connection_id:
                report_failure(self._scope.local_events, error, "output guardrail")
            else:
                # As for a tool: after the end of its connection nobody waits for an event.
                logger.error("an output guardrail failed after its connection", exc_info=error)
            return None
