"""A trace in the making: what happened, in the session's one order."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stapes.testing import ClientMessages, ScriptedServer, place_of_cause
from tests.conformance import normalise

if TYPE_CHECKING:
    import stapes

# At one place of the order: what stands there itself, then the user's code that it caused, then
# the calls that were over by then.
_ITSELF, _CAUSED, _SETTLED = range(3)


@dataclass(slots=True)
class Recording:
    """Gathers entries; `step` takes those that are new, in order."""

    server: ScriptedServer
    keeps_audio: bool = False
    session: stapes.RealtimeSession[Any] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    approvals: list[stapes.ToolApproval] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    _messages: ClientMessages = field(default_factory=ClientMessages)
    _messages_taken: int = 0
    _client_messages: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    _raw_seen: int = 0
    _new: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)

    def follow(self, session: stapes.RealtimeSession[Any]) -> None:
        """Records what happens in this session."""
        self.session = session
        self._messages = ClientMessages.of(session)
        session.on("*", self._event)
        session.on("transport_event", self._transport_event)

    def _place(self) -> int:
        return 0 if self.session is None else self.session.dispatched

    def _event(self, event: stapes.SessionEvent) -> None:
        self._put_event(self._shape(normalise.event(event, self.approvals)))

    def _shape(self, shown: dict[str, Any]) -> dict[str, Any]:
        if not self.keeps_audio:
            return shown
        return dict(normalise.without_unstated_audio(shown))

    def _transport_event(self, event: stapes.TransportEvent) -> None:
        shown: dict[str, Any] = {"event": "transport_event", "type": event.event["type"]}
        if "event_id" in event.event:
            shown["event_id"] = event.event["event_id"]
        self._put_event(shown | {"equals_raw": self._equals_raw(event.event)})

    def _equals_raw(self, event: dict[str, Any]) -> bool:
        """Whether it is the next frame of the server that is an event at all."""
        for at in range(self._raw_seen, len(self.server.sent)):
            try:
                if json.loads(self.server.sent[at]) == event:
                    self._raw_seen = at + 1
                    return True
            except ValueError:
                pass
        return False

    def _put_event(self, shown: dict[str, Any]) -> None:
        self.events.append(shown)
        entry = {"k": "event", "i": len(self.events) - 1, "event": shown["event"]}
        self._new.append((self._place(), _ITSELF, entry))

    def user_code(self, kind: str, **details: Any) -> None:
        """A tool or guardrail was called."""
        self._new.append((place_of_cause(), _CAUSED, {"k": kind, **details}))

    def settled(self, method: str, error: BaseException | None) -> None:
        """A call is over; what it did has its place already."""
        place = 0 if self.session is None else self.session.probe.sequence
        entry: dict[str, Any] = {"k": "call_settled", "method": method}
        if error is None:
            entry |= {"outcome": "returned"}
        else:
            entry |= {"outcome": "raised", "error": normalise.error(error)}
        self._new.append((place, _SETTLED, entry))

    def snapshot(self) -> None:
        """What the session knows now."""
        if self.session is not None:
            entry = {"k": "snapshot", **self._state(self.session)}
            self._new.append((self.session.probe.sequence, _SETTLED, entry))

    def _state(self, session: stapes.RealtimeSession[Any]) -> dict[str, Any]:
        return self._shape(normalise.snapshot(session))

    def _final(self) -> dict[str, Any]:
        return {} if self.session is None else self._state(self.session)

    def _shown(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        """A message of the client's as the traces have it."""
        return [message]

    def has_event(self, subset: dict[str, Any], after: int) -> int | None:
        """Where an event that matches stands, from `after` on."""
        return _find(self.events, subset, after)

    def has_message(self, subset: dict[str, Any], after: int) -> int | None:
        """Where a client message that matches stands, from `after` on."""
        return _find(self.server.received, subset, after)

    def step(self, index: int, step: dict[str, Any]) -> None:
        """The step is over: what is new belongs to it."""
        for place, text in self._messages.messages[self._messages_taken :]:
            for message in self._shown(json.loads(text)):
                entry = {"k": "client", "i": len(self._client_messages), "type": message["type"]}
                self._new.append((place, _ITSELF, entry))
                self._client_messages.append((self._messages_taken, message))
            self._messages_taken += 1
        # Python's sort keeps what stands at one place in the order in which it was recorded.
        self._new.sort(key=lambda entry: entry[:2])
        timeline = [entry for _, _, entry in self._new]
        self._new.clear()
        self.steps.append({"i": index, "step": step, "timeline": timeline})

    def trace(self, name: str) -> dict[str, Any]:
        """The whole, as `compare.py` reads it."""
        return {
            "scenario": name,
            "handshakes": [
                {"path": shake.path, "authorization": shake.authorization}
                for shake in self.server.handshakes
            ],
            "events": self.events,
            # Those that have arrived: the last ones may not.
            "client_messages": [
                message
                for number, message in self._client_messages
                if number < len(self.server.received)
            ],
            "steps": self.steps,
            "final": self._final(),
        }


def _find(values: list[Any], subset: Any, after: int) -> int | None:
    return next((at for at in range(after, len(values)) if _matches(subset, values[at])), None)


def _matches(subset: Any, value: Any) -> bool:
    match subset:
        case dict():
            return isinstance(value, dict) and all(
                key in value and _matches(inner, value[key]) for key, inner in subset.items()
            )
        case list():
            return (
                isinstance(value, list)
                and len(subset) == len(value)
                and all(map(_matches, subset, value))
            )
        case _:
            return bool(subset == value)
