"""Runs output guardrails on an answer, while the agent still speaks."""

from __future__ import annotations

import asyncio
import functools
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

    from stapes.session.agents.roster import Roster
    from stapes.session.scope import Scope

__all__ = ["OutputGuardrails", "feedback_message"]


def _details(info: Any) -> str:
    info = {} if info is None else info
    try:
        return json.dumps(info, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError):
        return tool_result_text(info)


def feedback_message(result: OutputGuardrailResult) -> str:
    """The message to the model about the answer that was stopped, in the reference's words."""
    hint = getattr(result.guardrail, "policy_hint", None) or result.guardrail.get_name()
    return (
        "⚠️ Your last answer was blocked. \n"
        f"Failed Guardrail Reason: {hint}. \n"
        f"Failure Details: {_details(result.output.output_info)}. \n"
        "Please respond again following policy. Apologize for not being able to answer the "
        "question (while avoiding the specific reason) and divert discussion back to an "
        "approved topic immediately and not invite more discussion."
    )


logger = logging.getLogger("stapes")


class GuardrailTripwire(OutputGuardrailTripwireTriggered):
    """`openai-agents`' exception, with what the guardrail said in its message."""

    def __init__(self, result: OutputGuardrailResult) -> None:
        super().__init__(result)
        self.message = f"Output guardrail triggered: {_details(result.output.output_info)}"
        self.args = (self.message,)


GuardrailTripwire.__name__ = OutputGuardrailTripwireTriggered.__name__
GuardrailTripwire.__qualname__ = OutputGuardrailTripwireTriggered.__qualname__


class OutputGuardrails:
    """The checks of one session on what its agents say.

    Args:
        scope: the session's.
        roster: its agents, which have guardrails of their own.
        guardrails: those of the session.
    """

    __slots__ = ("_guardrails", "_roster", "_scope")

    def __init__(
        self, scope: Scope, roster: Roster, guardrails: tuple[OutputGuardrail[Any], ...]
    ) -> None:
        self._scope = scope
        self._roster = roster
        self._guardrails = guardrails

    def check(
        self,
        agent_version: int,
        text: str,
        *,
        response_id: str | None,
        item_id: str,
        source: str,
        response_index: int,
        connection_id: int,
    ) -> None:
        """Begins to check a text that the agent of that agent_version has said so far."""
        agent = self._roster.agent(agent_version)
        guardrails = (*self._guardrails, *agent.output_guardrails)
        if not guardrails:
            return
        refuse = functools.partial(
            self._scope.core.guardrail_tripped, connection_id, response_index, response_id, source
        )
        work = self._run(guardrails, agent, text, item_id, connection_id, refuse)
        self._scope.tasks.invoke(work)

    async def _run(
        self,
        guardrails: Sequence[OutputGuardrail[Any]],
        agent: Any,
        text: str,
        item_id: str,
        connection_id: int,
        refuse: Callable[[int, str], bool],
    ) -> None:
        """Runs all of them at once; the first in the list that trips stops the answer."""
        context, local_events = self._scope.context, self._scope.local_events
        results = await asyncio.gather(
            *(self._tripped(one, agent, text, connection_id) for one in guardrails)
        )
        if (tripped := next((result for result in results if result is not None), None)) is None:
            return
        event = GuardrailTripped(context, agent, GuardrailTripwire(tripped), item_id)
        feedback = message_event(feedback_message(tripped), None)
        local_events.transact([event], lambda tokens: refuse(tokens[0], feedback))

    async def _tripped(
        self, guardrail: OutputGuardrail[Any], agent: Any, text: str, connection_id: int
    ) -> OutputGuardrailResult | None:
        """What a guardrail says that trips. Where one fails, the others count all the same."""
        try:
            result = await guardrail.run(self._scope.context, agent, text)
            return result if result.output.tripwire_triggered else None
        except BaseException as error:
            if ends_more(error):
                raise
            core = self._scope.core
            if core.is_standing and core.connection_id == connection_id:
                report_failure(self._scope.local_events, error, "output guardrail")
            else:
                # As for a tool: after the end of its connection nobody waits for an event.
                logger.error("an output guardrail failed after its connection", exc_info=error)
            return None
