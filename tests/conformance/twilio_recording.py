"""The trace of a phone call in the making: that of its session, and Twilio's side beside it.

How sound is cut into messages says nothing: pieces of one chunk that follow each other are shown as
one, and silence in place of what is missing apart from the packet behind it, as the reference cuts
them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.conformance import normalise
from tests.conformance.far_end import BYTES_PER_MS, payload_of
from tests.conformance.recording import Recording

if TYPE_CHECKING:
    import stapes
    from tests.conformance.far_end import Phone, SentMark, TwilioSocket

# Before what stands at a place itself; behind it, and what it caused.
_BEFORE, _CAUSED, _SETTLED = -1, 1, 2

_OF_SOUND = {"audio_start", "audio"}
_OF_CLEAR = {"audio_interrupted", "response.cancel", "conversation.item.truncate"}


@dataclass(slots=True)
class TwilioRecording(Recording):
    """Gathers what passes between Twilio and the call, too."""

    hears_twilio: bool = False
    """Whether Twilio's messages are among the events: once the session was connected."""
    packet: bytes | None = None
    """The sound that Twilio sent in this step."""
    twilio_messages: list[dict[str, Any]] = field(default_factory=list)
    phone: Phone | None = None
    socket: TwilioSocket | None = None
    _sent: list[dict[str, Any]] = field(default_factory=list)
    """Entries of this step whose place is found at its end."""
    _chunk: bytes = b""
    """The sound of the last entry, if that is one."""

    # What Twilio sends

    def _now(self) -> int:
        return 0 if self.session is None else self.session.probe.sequence

    def from_twilio(self, text: str, ordinal: int | None = None) -> None:
        """Twilio sends a frame: whoever has the WebSocket sees it before the call does."""
        try:
            message = json.loads(text)
        except ValueError:
            return
        name = message.get("event") if isinstance(message, dict) else None
        if name == "media" and isinstance(message.get("media"), dict):
            payload = message["media"].get("payload")
            try:
                self.packet = base64.b64decode(payload, validate=True)
            except (TypeError, ValueError):
                self.packet = None
        if not self.hears_twilio:
            return
        shown = {"event": "transport_event", "type": "twilio_message", "twilio_event": name}
        if ordinal is not None:
            shown["ordinal"] = ordinal
        self.events.append(shown | {"equals_raw": True})
        entry = {"k": "event", "i": len(self.events) - 1, "event": "transport_event"}
        self._new.append((self._now(), _SETTLED, entry))

    def call_event(self, event: Any) -> None:
        """The call tells something: no counterpart there, and not compared."""
        shown = {"k": "call_event", "event": event.type}
        if (reason := getattr(event, "reason", None)) is not None:
            shown["reason"] = reason
        self._new.append((self._place(), _CAUSED, shown))

    # What it is sent

    def sound(self, message: dict[str, Any], item_id: str | None) -> None:
        """Sound for the phone."""
        data = payload_of(message)
        last = next((e for e in reversed(self._sent) if e.get("event") != "mark"), None)
        if last is not None and last.get("event") == "media" and last["item_id"] == item_id:
            self._chunk += data
        else:
            self._chunk = data
            self.twilio_messages.append({})
            number = len(self.twilio_messages) - 1
            last = {"k": "twilio", "i": number, "event": "media", "item_id": item_id}
            self._sent.append(last)
        self.twilio_messages[last["i"]] = {
            "event": "media",
            "streamSid": message.get("streamSid"),
            "media": {"bytes": len(self._chunk), "sha1": normalise.sha1(self._chunk)},
        }

    def mark(self, message: dict[str, Any], mark: SentMark) -> None:
        """A mark for the phone."""
        shown = {"ordinal": mark.ordinal, "kind": "audio", "ms": mark.at // BYTES_PER_MS}
        self._message({"event": "mark", "streamSid": message.get("streamSid"), "mark": shown})

    def other(self, message: dict[str, Any]) -> None:
        """Any other message."""
        self._message(message)

    def _message(self, message: dict[str, Any]) -> None:
        self.twilio_messages.append(message)
        number = len(self.twilio_messages) - 1
        self._sent.append({"k": "twilio", "i": number, "event": message["event"]})

    def cleared(self, at_ms: float, dropped: int) -> None:
        """What the phone has played when it is told to drop the rest."""
        if self.phone is not None:
            entry = {"k": "phone", "at_ms": at_ms, "heard_ms": self._heard(self.phone)}
            self._sent.append(entry | {"dropped_ms": dropped // BYTES_PER_MS})

    def socket_ended(self, code: int) -> None:
        """Twilio's connection is over."""
        entry = {"k": "twilio_socket", "event": "close", "code": code}
        self._new.append((self._now(), _SETTLED, entry))

    def _heard(self, phone: Phone) -> dict[str, int]:
        return {item: length // BYTES_PER_MS for item, length in phone.heard.items()}

    # The trace

    def _state(self, session: stapes.RealtimeSession[Any]) -> dict[str, Any]:
        state = normalise.snapshot(session)
        return {key: state[key] for key in ("transport_status", "history", "current_agent")}

    def _final(self) -> dict[str, Any]:
        if self.phone is None or self.socket is None:
            return {}
        final = {} if self.session is None else self._state(self.session)
        final["twilio_socket"] = "open" if self.socket.is_open else "closed"
        final["marks_not_returned"] = len(self.phone.open_marks())
        if self.phone.plays:
            final["phone"] = {
                "heard_ms": self._heard(self.phone),
                "still_to_play_ms": self.phone.still_to_play // BYTES_PER_MS,
                "ignored_bytes": self.phone.ignored_bytes,
            }
        return final

    def _shown(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        if message["type"] != "input_audio_buffer.append":
            return [message]
        sound = base64.b64decode(message["audio"])
        pieces = [sound]
        if self.packet and sound.endswith(self.packet) and len(sound) > len(self.packet):
            before = len(sound) - len(self.packet)
            pieces = [sound[:before], sound[before:]]
        return [message | {"audio": _audio(piece)} for piece in pieces]

    def step(self, index: int, step: dict[str, Any]) -> None:
        """The step is over: what is new belongs to it."""
        for entry in self._sent:
            entry.pop("item_id", None)
            self._new.append((*self._place_of(entry), entry))
        self._sent.clear()
        # slots=True makes another class of this one, which a bare super() does not know.
        Recording.step(self, index, step)
        self.packet = None

    def _place_of(self, entry: dict[str, Any]) -> tuple[int, int]:
        """Where a frame for Twilio stands.

        The session hands on what is for the caller before all else that a transaction makes
        (`Session::announce`): before its messages, and before anybody sees its events.
        """
        is_sound = entry.get("event") in ("media", "mark")
        wanted = _OF_SOUND if is_sound else _OF_CLEAR
        places = [place for place, _, new in self._new if new.get("event") in wanted]
        if not is_sound:
            places += [
                place
                for place, text in self._messages.messages[self._messages_taken :]
                if json.loads(text)["type"] in wanted
            ]
        return (min(places), _BEFORE) if places else (self._now(), _SETTLED)

    def trace(self, name: str) -> dict[str, Any]:
        """The whole, as `compare.py` reads it."""
        # slots=True makes another class of this one, which a bare super() does not know.
        return Recording.trace(self, name) | {"twilio_messages": self.twilio_messages}


def _audio(sound: bytes) -> dict[str, Any]:
    shown: dict[str, Any] = {"bytes": len(sound), "sha1": normalise.sha1(sound)}
    if sound and not sound.strip(b"\xff"):
        shown["silence"] = True
    return {"$audio": shown}
