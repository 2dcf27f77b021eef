"""What the server knows of a conversation, for tests of clients."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stapes.devserver.session.call import RealtimeCall
    from stapes.devserver.web.record import Record

__all__ = ["ConversationView", "ItemView"]


@dataclass(frozen=True, slots=True)
class ItemView:
    """One item, as the mind sees it.

    Attributes:
        id: its id.
        type: `message`, `function_call`, `function_call_output`, or another of the wire's.
        role: of a message.
        text: the words of a message, spoken or written; of a cut answer those before the cut.
        name: of the function that is called.
        arguments: of the call, as they were parsed; the text where they are no JSON.
        call_id: of a call, and of its output.
        output: of a function.
        images: how many pictures a message holds.
        status: `completed`, `in_progress` or `incomplete`.
    """

    id: str
    type: str
    role: str | None = None
    text: str = ""
    name: str | None = None
    arguments: Any = None
    call_id: str | None = None
    output: str | None = None
    images: int = 0
    status: str = "completed"

    @classmethod
    def of(cls, wire: dict[str, Any]) -> ItemView:
        """Read an item as the mind sees it."""
        content = wire.get("content", ())
        words = (part.get("text") or part.get("transcript") or "" for part in content)
        return cls(
            wire["id"],
            wire["type"],
            wire.get("role"),
            " ".join(filter(None, words)),
            wire.get("name"),
            _parsed(wire.get("arguments")),
            wire.get("call_id"),
            wire.get("output"),
            sum(part["type"] == "input_image" for part in content),
            wire["status"],
        )


class ConversationView:
    """The conversation of one call: its items, in order, and what was asked for.

    It is as the server has it now, also when the call is over.
    """

    def __init__(self, call: RealtimeCall, received: Record, sent: Record) -> None:
        self._call = call
        self._received = received
        self._sent = sent

    def __repr__(self) -> str:
        return f"<ConversationView {self.messages!r}>"

    @property
    def items(self) -> tuple[ItemView, ...]:
        """All items, in order."""
        return tuple(map(ItemView.of, self._call.items))

    @property
    def messages(self) -> list[tuple[str, str]]:
        """The role and the words of each message, in order."""
        return [(item.role or "", item.text) for item in self.items if item.type == "message"]

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """The name and the arguments of each function call, in order."""
        return [
            (item.name or "", item.arguments) for item in self.items if item.type == "function_call"
        ]

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs of functions, by the ids of their calls."""
        return {
            item.call_id or "": item.output or ""
            for item in self.items
            if item.type == "function_call_output"
        }

    @property
    def unanswered(self) -> list[str]:
        """The ids of the calls that have no output."""
        outputs = self.outputs
        return [
            item.call_id or ""
            for item in self.items
            if item.type == "function_call" and item.call_id not in outputs
        ]

    @property
    def responses_asked(self) -> list[dict[str, Any]]:
        """The settings of each response that the client asked for (of recorded calls only)."""
        asked = self._received.of("response.create")
        return [event.get("response") or {} for event in asked]

    @property
    def responses(self) -> list[tuple[str, str]]:
        """The id and the status of each response that has begun (of recorded calls only)."""
        begun = {event["response"]["id"]: "in_progress" for event in self._sent.of(_CREATED)}
        for event in self._sent.of("response.done"):
            begun[event["response"]["id"]] = event["response"]["status"]
        return list(begun.items())

    @property
    def session(self) -> dict[str, Any]:
        """The configuration in effect, as it is on the wire."""
        return self._call.session


_CREATED = "response.created"


def _parsed(arguments: str | None) -> Any:
    try:
        return None if arguments is None else json.loads(arguments)
    except ValueError:
        return arguments
