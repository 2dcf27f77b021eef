"""The responses of a call: one at a time in the conversation, others beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes.devserver.session.errors import ProtocolError
from stapes.devserver.session.requests import ResponseRequest
from stapes.devserver.session.response import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.devserver.session.context import CallContext
    from stapes.devserver.session.hearing import Hearing


class Responses:
    """Answers `response.*` client events, and begins responses when a turn ends.

    `on_answered` is told how much sound a finished response of the conversation held.
    """

    def __init__(self, context: CallContext, hearing: Hearing) -> None:
        self.on_answered: Callable[[int], None] | None = None
        self._context = context
        self._hearing = hearing
        self._under_way: dict[str, Response] = {}
        self._in_conversation: Response | None = None
        self._cached = 0

    @property
    def active(self) -> bool:
        """Whether a response of the conversation is under way."""
        return self._in_conversation is not None

    def create(self, event: dict[str, Any]) -> None:
        """Begin the response that the client asks for."""
        self._begin(event.get("response") or {})

    def create_for_turn(self) -> None:
        """Begin the response to a turn of the caller; a refusal becomes an `error` event."""
        try:
            self._begin({})
        except ProtocolError as error:
            self._context.refuse(error)

    def cancel(self, event: dict[str, Any]) -> None:
        """Cancel the response that is named, else the conversation's."""
        named = event.get("response_id")
        response = self._in_conversation if named is None else self._under_way.get(named)
        if response is None:
            raise ProtocolError(
                "Cancellation failed: no active response found", "response_cancel_not_active"
            )
        response.cancel("client_cancelled")

    def interrupt(self) -> None:
        """Cancel the conversation's response, and its sound, because the caller talks."""
        if self._in_conversation is not None:
            self._in_conversation.cancel("turn_detected")
        if self._context.output_audio is not None:
            self._context.output_audio.clear()

    def _begin(self, overrides: dict[str, Any]) -> None:
        request = ResponseRequest.of(self._context, overrides)
        if request.in_conversation and self._in_conversation is not None:
            raise ProtocolError(
                "Conversation already has an active response in progress: "
                f"{self._in_conversation.id}. Wait until the response is finished before creating "
                "a new one.",
                "conversation_already_has_active_response",
            )
        most = self._context.options.max_parallel_responses
        if len(self._under_way) >= most:
            raise ProtocolError(f"{most} responses are under way already.", "rate_limit_exceeded")
        response = Response(
            self._context, self._hearing, request, cached=self._cached, on_end=self._ended
        )
        self._under_way[response.id] = response
        if request.in_conversation:
            self._in_conversation = response

    def _ended(self, response: Response) -> None:
        del self._under_way[response.id]
        if response is not self._in_conversation:
            return
        self._in_conversation = None
        self._cached = response.read_tokens
        if self.on_answered is not None:
            self.on_answered(response.audio_ms)
