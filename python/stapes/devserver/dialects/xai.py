"""xAI's Voice Agent API: the GA protocol's names, a session of its own shape, and resumption.

Source: docs.x.ai (voice agent) as of 2026, and recorded conversations of July 2026. A binary frame
is sound of the session's format and nothing else, and the sound of an answer comes in no other
event. Opus and `force_message` are not here.
"""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from typing import TYPE_CHECKING, Any

from stapes.devserver.dialects.sound import NATIVE, EdgeSound
from stapes.devserver.dialects.xai_shapes import SHAPES
from stapes.devserver.session.dialect import Dialect, Event, Items

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stapes.devserver.dialects.resumption import Resumptions

_PCM: Event = {"type": "audio/pcm", "rate": 24_000}
_BEGINS: Event = {
    "type": "realtime",
    "instructions": "",
    "audio": {
        "input": {"turn_detection": None, "transcription": {"model": None}},
        "output": {"voice": "ara"},
    },
}
_UNSAID = frozenset({"conversation.item.done", "rate_limits.updated"})
_HEARD = "conversation.item.input_audio_transcription"
_AT_TOP = frozenset({"voice", "turn_detection", "audio"})
_OF_ITS_OWN = frozenset({"modalities", "reasoning", "resumption", "replace"})
_STREAMED = "grok-transcribe"
"""The model of transcripts that come while they are made."""


class XAI(Dialect):
    """One connection of xAI's Voice Agent API.

    `resumes` is the conversation that its URL names; `resumptions` are those that others left.
    """

    def __init__(self, resumes: str | None, resumptions: Resumptions) -> None:
        super().__init__()
        self.settings = _BEGINS
        self.ping_seconds = 10.0
        self._resumptions = resumptions
        left = None if resumes is None else resumptions.items(resumes)
        self._to_replay: list[Event] = _replay(left or [])
        self._replayed: set[str] = set()
        self.conversation_id = str(uuid.uuid4()) if left is None else resumes
        self._items: Items = list
        self._sound = EdgeSound()
        self._asked: Event = {}
        self._own: Event = {
            "turn_detection": {"type": None},
            "transports": {"input": "json", "output": "json"},
            "formats": {"input": _PCM, "output": _PCM},
            "transcription": None,
        }
        self._transcripts: dict[str, str] = {}
        self._audio_done: list[Event] = []

    def serves(self, items: Items) -> None:
        """Take note of the call that the connection carries."""
        self._items = items

    def ended(self) -> None:
        """Leave the conversation to another connection, if it may be resumed."""
        self._resumptions.settle(str(self.conversation_id), self._items)

    # --- what a client says ----------------------------------------------------------------------

    def read(self, event: Event) -> Iterable[Event]:
        """Return the GA events that a client event stands for.

        Raises:
            ProtocolError: the dialect does not know it so.
        """
        SHAPES(event, "")
        match event["type"]:
            case "session.update":
                return self._read_session(event)
            case "conversation.item.create":
                return [{**event, "item": self._read_item(event["item"])}]
            case "response.create" if event.get("response"):
                words = event["response"].get("instructions")
                return [{**event, "response": {} if words is None else {"instructions": words}}]
        return self._sound.read(event)

    def read_binary(self, frame: bytes) -> Iterable[Event]:
        """Return what a binary frame of the client stands for: sound, where it is sent so.

        Raises:
            ProtocolError: the session's transport is not `binary`, or it is no whole samples.
        """
        if self._own["transports"]["input"] != "binary":
            return super().read_binary(frame)
        audio = base64.b64encode(frame).decode()
        return self._sound.read({"type": "input_audio_buffer.append", "audio": audio})

    def _read_session(self, event: Event) -> list[Event]:
        asked = event["session"]
        self._asked = asked
        known = {n: v for n, v in asked.items() if n not in _AT_TOP and n not in _OF_ITS_OWN}
        heard, spoken = self._read_audio(asked)
        if "tools" in asked:
            known["tools"] = [tool for tool in asked["tools"] if tool["type"] == "function"]
        if asked.get("reasoning", {}).get("effort") == "high":
            known["reasoning"] = {"effort": "high"}
        audio = {"input": heard, "output": spoken}
        update = {**event, "session": {"type": "realtime", **known, "audio": audio}}
        if not asked.get("resumption", {}).get("enabled"):
            return [update]
        replayed, self._to_replay = self._to_replay, []
        self._replayed |= {item["id"] for item in replayed}
        return [*({"type": "conversation.item.create", "item": it} for it in replayed), update]

    def _read_audio(self, asked: Event) -> tuple[Event, Event]:
        heard: Event = {}
        spoken: Event = {}
        audio = asked.get("audio", {})
        for direction, settings in (("input", heard), ("output", spoken)):
            if "format" in audio.get(direction, {}):
                settings["format"] = _ga_format(audio[direction]["format"])
        if "transcription" in audio.get("input", {}):
            heard["transcription"] = _ga_transcription(audio["input"]["transcription"])
        if "speed" in audio.get("output", {}):
            spoken["speed"] = audio["output"]["speed"]
        if "voice" in asked:
            spoken["voice"] = asked["voice"]
        if "turn_detection" in asked:
            detection = asked["turn_detection"]
            is_off = detection is None or detection.get("type", "server_vad") is None
            heard["turn_detection"] = None if is_off else {**detection, "type": "server_vad"}
        return heard, spoken

    def _read_item(self, item: Event) -> Event:
        if "content" not in item:
            return item
        parts = []
        for index, part in enumerate(item["content"]):
            if part["type"] == "text":
                parts.append({**part, "type": "output_text"})
            elif "audio" in part:
                path = f"item.content[{index}].audio"
                parts.append({**part, "audio": self._sound.whole_in(part["audio"], path)})
            else:
                parts.append(part)
        return {**item, "content": parts}

    # --- what the server says --------------------------------------------------------------------

    def write(self, event: Event) -> Iterable[Event | bytes]:
        """Return what a GA server event is on this wire."""
        kind = event["type"]
        if kind in _UNSAID:
            return []
        told = [event]
        match kind:
            case "session.created":
                return [{**event, "session": self._first_session(event["session"])}, *self._begun()]
            case "session.updated":
                self._accept()
                told = [{**event, "session": self._session(event["session"])}]
            case "conversation.item.added":
                told = [{**event, "item": self._item(event["item"])}]
            case "response.output_item.added" | "response.output_item.done":
                told = [{**event, "item": _bare(event["item"])}]
            case "response.content_part.added":
                told = [{**event, "part": _part(event["part"]), "previous_item_id": "0"}]
            case "response.content_part.done":
                # The end of the sound comes after the end of the part.
                ended, self._audio_done = self._audio_done, []
                told = [_without(event, "part"), *ended]
            case "response.output_audio.delta":
                told = self._sound.said(event)
            case "response.output_audio.done":
                self._audio_done = [event]
                told = self._sound.rest(event)
            case "response.function_call_arguments.delta":
                told = [_without(event, "output_index")]
            case "response.created" | "response.done":
                told = [self._response(event)]
            case "conversation.item.input_audio_transcription.delta":
                told = self._transcript_so_far(event)
            case "conversation.item.input_audio_transcription.completed":
                self._transcripts.pop(event["item_id"], None)
                told = [_without(event, "usage")]
            case "conversation.item.input_audio_transcription.failed":
                self._transcripts.pop(event["item_id"], None)
        return [self._framed({"previous_item_id": None, **said}) for said in told]

    def _framed(self, event: Event) -> Event | bytes:
        binary = self._own["transports"]["output"] == "binary"
        if binary and event["type"] == "response.output_audio.delta":
            return base64.b64decode(event["delta"])
        return event

    def _begun(self) -> list[Event]:
        conversation = {"id": self.conversation_id, "object": "realtime.conversation"}
        stamp = int(time.time() * 1000)
        return [
            {"type": "conversation.created", **_new_event(), "conversation": conversation},
            {"type": "ping", **_new_event(), "timestamp": stamp},
        ]

    def _accept(self) -> None:
        """Take over what the session has accepted."""
        asked, own = self._asked, self._own
        own.update({name: asked[name] for name in ("reasoning", "voice", "tools") if name in asked})
        if "turn_detection" in asked:
            own["turn_detection"] = asked["turn_detection"] or {"type": None}
        for direction, settings in asked.get("audio", {}).items():
            for name, kept in (("format", "formats"), ("transport", "transports")):
                if name in settings:
                    own[kept] = {**own[kept], direction: settings[name]}
        if "transcription" in asked.get("audio", {}).get("input", {}):
            own["transcription"] = asked["audio"]["input"]["transcription"]
        self._sound.take(_rate(own["formats"]["input"]))
        self._sound.output_rate = _rate(own["formats"]["output"])
        if asked.get("resumption", {}).get("enabled"):
            self._resumptions.keep(str(self.conversation_id), self._items)

    def _first_session(self, session: Event) -> Event:
        return {
            "id": session["id"],
            "object": session["object"],
            "instructions": session["instructions"],
            "voice": session["audio"]["output"]["voice"],
            "modalities": ["audio"],
            "turn_detection": {"type": None},
            "tools": [],
            "model": session["model"],
        }

    def _session(self, session: Event) -> Event:
        own = self._own
        heard: Event = {"format": own["formats"]["input"], "transport": own["transports"]["input"]}
        if own["transcription"] is not None:
            heard["transcription"] = own["transcription"]
        output = own["formats"]["output"]
        spoken = {"format": output, "transport": own["transports"]["output"]}
        told: Event = {
            "instructions": session["instructions"],
            "enable_noise_suppression": True,
            "turn_detection": own["turn_detection"],
            "model": session["model"],
            "keep_context": False,
            "enable_phonetic_spelling": False,
            "input_audio_transcription": own["transcription"],
            "modalities": ["audio"],
            "input_audio_format": "not specified",
            "output_audio_format": "not specified",
            "tool_choice": session["tool_choice"],
            "temperature": -1.0,
            "max_response_output_tokens": "inf",
            "audio": {"input": heard, "output": spoken},
        }
        told |= {name: own[name] for name in ("reasoning", "voice") if name in own}
        if own.get("tools"):
            told["tools"] = [_nested(tool) for tool in own["tools"]]
        return told

    def _item(self, item: Event) -> Event:
        if item["id"] in self._replayed:
            self._replayed.discard(item["id"])
            parts = [{**part, "type": "text"} for part in item["content"]]
            return {**item, "content": parts} if item["role"] == "assistant" else item
        if item["type"] in ("function_call", "function_call_output"):
            return {**item, "role": "tool"}
        return {**item, "content": [_part(part) for part in item.get("content", ())]}

    def _response(self, event: Event) -> Event:
        response = event["response"]
        if event["type"] == "response.created":
            self._sound.answer_begins(response["id"], self._sound.output_rate or NATIVE)
        else:
            self._sound.answer_ends(response["id"])
        told = {
            "id": response["id"],
            "object": response["object"],
            "output": [self._whole(item) for item in response["output"]],
            "status": response["status"],
            "status_details": response["status_details"] or "unimplemented",
            "usage": {},
        }
        if event["type"] == "response.created":
            return {**event, "response": told}
        return {
            **event,
            "response": told,
            "response_id": response["id"],
            "usage": _usage(response["usage"]),
        }

    def _whole(self, item: Event) -> Event:
        if item["type"] != "message":
            return {**item, "role": "user"}
        return {**item, "content": [_part(part) for part in item["content"]]}

    def _transcript_so_far(self, event: Event) -> list[Event]:
        """Tell all that is known of a transcript each time, where it is asked for as it is made."""
        if (self._own["transcription"] or {}).get("model") != _STREAMED:
            return []
        item_id = event["item_id"]
        self._transcripts[item_id] = self._transcripts.get(item_id, "") + event["delta"]
        told = {"type": f"{_HEARD}.updated", "transcript": self._transcripts[item_id]}
        return [{**_without(event, "delta"), **told}]


def _replay(items: list[Event]) -> list[Event]:
    """Return the items that come back to a new connection, under new ids, as the session has them.

    In the recorded conversation the answers came back, as text, and what was typed did not.
    """
    replayed = []
    for item in items:
        parts = item.get("content", ()) if item["type"] == "message" else ()
        words = [part["transcript"] for part in parts if part.get("transcript")]
        if not words:
            continue
        kind = "output_text" if item["role"] == "assistant" else "input_text"
        content = [{"type": kind, "text": " ".join(words)}]
        item_id = secrets.token_hex(16)
        replayed.append(
            {"id": item_id, "type": "message", "role": item["role"], "content": content}
        )
    return replayed


def _ga_format(wire: Event) -> Event:
    return dict(_PCM) if wire["type"] == "audio/pcm" else {"type": wire["type"]}


def _ga_transcription(asked: Event | None) -> Event | None:
    if asked is None:
        return None
    names = {"model": "model", "language_hint": "language", "keyterms": "keywords"}
    return {names[name]: value for name, value in asked.items()}


def _rate(wire: Event) -> int | None:
    return wire.get("rate", 24_000) if wire["type"] == "audio/pcm" else NATIVE


def _part(part: Event) -> Event:
    """Return a part with the beta's name of spoken ones, as xAI has it."""
    return {**part, "type": "audio"} if part["type"] == "output_audio" else part


def _bare(item: Event) -> Event:
    """Return an item as the events of a response have it: without content."""
    return _without(item, "content") if item["type"] == "message" else {**item, "role": "user"}


def _nested(tool: Event) -> Event:
    if tool["type"] != "function":
        return tool
    return {"type": "function", "function": _without(tool, "type")}


def _usage(ga: Event) -> Event:
    told: Event = {
        name: ga[name] for name in ("input_tokens", "output_tokens", "total_tokens") if name in ga
    }
    for direction in ("input_token_details", "output_token_details"):
        counts = {name: ga[direction][name] for name in ("text_tokens", "audio_tokens")}
        told[direction] = {**counts, "grok_tokens": 0}
    return told


def _without(event: Event, name: str) -> Event:
    return {key: value for key, value in event.items() if key != name}


def _new_event() -> dict[str, Any]:
    return {"event_id": str(uuid.uuid4()), "previous_item_id": None}
