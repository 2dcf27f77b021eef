"""A model server within the process: it keeps to the protocol, and is at random otherwise."""

from __future__ import annotations

import base64
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

Event = dict[str, Any]

_KINDS = {"function_call": "call", "function_call_output": "output"}

_MS = 48
"""Bytes of a millisecond of sound."""


@dataclass(slots=True)
class Persona:
    """What servers may differ in."""

    says_audio_done: bool = True
    links_errors: bool = True
    interrupts: bool = True
    """It cancels its answer itself when the user speaks."""
    answers_speech: bool = True

    @classmethod
    def drawn(cls, rng: random.Random) -> Persona:
        return cls(
            says_audio_done=rng.random() < 0.75,
            links_errors=rng.random() < 0.6,
            interrupts=rng.random() < 0.6,
            answers_speech=rng.random() < 0.7,
        )


@dataclass(slots=True)
class Item:
    """An item of the server's conversation."""

    kind: str
    """user, answer, call, output or system."""
    added: int = 0
    status: str = "in_progress"
    parts: list[str] = field(default_factory=list)
    """Transcripts."""
    name: str = ""
    """Of a call's tool."""
    call_id: str = ""
    told: bool = False
    """The client has created it: an answer or a call then tells of an earlier connection."""


@dataclass(slots=True)
class Response:
    """An answer on its way: what it will still do."""

    id: str
    script: deque[tuple[Any, ...]]
    output: list[str] = field(default_factory=list)
    open: str | None = None
    """The item that has begun and not ended."""


class ModelServer:
    """The server's end of one connection.

    Attributes:
        down: events for the client.
        received: the client's messages.
        order: the ids of the conversation's items.
        calls: how often each call was answered, by call id.
        tick: counts what happens.
        last_answer: when the last response began.
    """

    def __init__(self, persona: Persona, ids: Any, tools: tuple[str, ...]) -> None:
        self.persona = persona
        self.down: deque[Event] = deque()
        self.received: list[Event] = []
        self.order: list[str] = []
        self.items: dict[str, Item] = {}
        self.running: list[Response] = []
        self.calls: dict[str, list[int]] = {}
        self.tools = tools
        self.tick = 0
        self.last_answer = 0
        self.refused = 0
        self.is_calm = False
        """Whether responses that begin now make no calls."""
        self._ids = ids
        self._speaking = False
        self._configured = False
        self.say("session.created", session=self._session())

    def say(self, kind: str, **fields: Any) -> None:
        self.down.append({"type": kind, **fields})

    def _new(self, what: str) -> str:
        return f"{what}_{next(self._ids)}"

    def _session(self) -> Event:
        detection = {
            "type": "server_vad",
            "create_response": self.persona.answers_speech,
            "interrupt_response": self.persona.interrupts,
        }
        return {
            "type": "realtime",
            "audio": {
                "input": {"turn_detection": detection},
                "output": {"format": {"type": "audio/pcm", "rate": 24_000}},
            },
        }

    # What the client says

    def hear(self, message: Event, rng: random.Random) -> None:
        self.received.append(message)
        match message["type"]:
            case "session.update":
                self._configured = True
                self.say("session.updated", session=self._session())
            case "conversation.item.create":
                self._create_item(message)
            case "conversation.item.delete":
                if message["item_id"] in self.order:
                    self.order.remove(message["item_id"])
                    self.say("conversation.item.deleted", item_id=message["item_id"])
                else:
                    self._refuse("item_delete_invalid_item_id", message)
            case "conversation.item.retrieve":
                if message["item_id"] in self.order:
                    item = self._json(message["item_id"])
                    self.say("conversation.item.retrieved", item=item)
                else:
                    self._refuse("item_retrieve_invalid_item_id", message)
            case "conversation.item.truncate":
                fields = {key: message[key] for key in ("item_id", "content_index", "audio_end_ms")}
                self.say("conversation.item.truncated", **fields)
            case "input_audio_buffer.commit":
                self._commit()
            case "response.create":
                if self.running:
                    self.refused += 1
                    self._refuse("conversation_already_has_active_response", message)
                else:
                    self._begin(rng)
            case "response.cancel":
                named = message.get("response_id")
                found = [r for r in self.running if named in (None, r.id)]
                if found:
                    self._cancel(found[0], rng)
                else:
                    self._refuse("response_cancel_not_active", message)

    def _refuse(self, code: str, message: Event) -> None:
        event_id = message.get("event_id") if self.persona.links_errors else None
        error = {"type": "invalid_request_error", "code": code, "message": code}
        self.say("error", error={**error, "event_id": event_id})

    def _create_item(self, message: Event) -> None:
        item = message["item"]
        item_id = item.get("id") or self._new("item")
        made = Item(_KINDS.get(item["type"], "user"), status="completed", told=True)
        if item["type"] == "function_call_output":
            self.calls.setdefault(item["call_id"], []).append(self.tick + 1)
        elif item["type"] == "function_call":
            made.name, made.call_id = item["name"], item["call_id"]
            self.calls.setdefault(item["call_id"], [])
        elif item["role"] in ("assistant", "system"):
            made.kind = "answer" if item["role"] == "assistant" else "system"
            made.parts = ["".join(part["text"] for part in item["content"])]
        self.items[item_id] = made
        previous = message.get("previous_item_id")
        at = len(self.order)
        if previous == "root":
            at = 0
        elif previous in self.order:
            at = self.order.index(previous) + 1
        self._add(item_id, at)
        self._finish(item_id)

    # What happens at the server

    def speech(self, rng: random.Random) -> None:
        """The user begins to speak, or ends."""
        if not self._configured:
            return
        if not self._speaking:
            self._speaking = True
            self.say("input_audio_buffer.speech_started", audio_start_ms=0, item_id="x")
            if self.persona.interrupts and self.running:
                self._cancel(self.running[0], rng)
            return
        self.end_speech(rng)

    def end_speech(self, rng: random.Random) -> None:
        if not self._speaking:
            return
        self._speaking = False
        self.say("input_audio_buffer.speech_stopped", audio_end_ms=0, item_id="x")
        self._commit()
        if self.persona.answers_speech and not self.running:
            self._begin(rng)

    def _commit(self) -> None:
        item_id = self._new("item")
        self.items[item_id] = Item("user", status="completed")
        self.say("input_audio_buffer.committed", item_id=item_id)
        self._add(item_id, len(self.order))
        self._finish(item_id)

    def _begin(self, rng: random.Random) -> None:
        self.tick += 1
        self.last_answer = self.tick
        script = deque(self._plan(rng))
        response = Response(self._new("resp"), script)
        self.running.append(response)
        self.say("response.created", response=self._response(response, "in_progress"))

    def _plan(self, rng: random.Random) -> list[tuple[Any, ...]]:
        kinds = ["spoken", "spoken", "written", "two"]
        if not self.is_calm:
            kinds += ["calls", "calls", "preamble"]
        kind = rng.choice(kinds)
        script: list[tuple[Any, ...]] = []
        for _ in range({"spoken": 1, "two": 2, "preamble": 1}.get(kind, 0)):
            item = self._new("item")
            script.append(("add", item))
            for chunk in range(rng.randrange(1, 5)):
                script.append(("words", item, f"word{chunk} "))
                script.append(("sound", item, 10 * rng.randrange(1, 40)))
            script.append(("end", item))
        if kind == "written":
            item = self._new("item")
            script += [("add", item), ("text", item, "some text"), ("end", item)]
        if kind in ("calls", "preamble"):
            names = rng.choices(self.tools, k=rng.choice([1, 1, 2, 3]))
            script += [("call", self._new("item"), name) for name in names]
        return [*script, ("done", "failed" if rng.random() < 0.03 else "completed")]

    def go(self, at: int, count: int) -> None:
        """Lets a response say up to `count` things."""
        if not self.running:
            return
        response = self.running[at % len(self.running)]
        for _ in range(count):
            if not response.script:
                return
            act, *rest = response.script.popleft()
            getattr(self, f"_act_{act}")(response, *rest)

    def finish(self) -> bool:
        """Lets all responses come to their end; whether there were any."""
        any_ran = bool(self.running)
        while self.running:
            self.go(0, 10_000)
        return any_ran

    def _cancel(self, response: Response, rng: random.Random) -> None:
        late = []
        for act in list(response.script)[: rng.randrange(4)]:
            if act[0] not in ("words", "sound"):
                break
            late.append(act)
        end = [("end", response.open)] if response.open else []
        response.script = deque([*late, *end, ("done", "cancelled")])

    def _of(self, response: Response, item: str) -> Event:
        ids = {"response_id": response.id, "item_id": item}
        return {**ids, "output_index": 0, "content_index": 0}

    def _act_add(self, response: Response, item: str) -> None:
        self.items[item] = Item("answer")
        response.output.append(item)
        response.open = item
        self._output(response, "added", item)
        self._add(item, len(self.order))
        part = {"type": "audio"}
        self.say("response.content_part.added", **self._of(response, item), part=part)

    def _act_words(self, response: Response, item: str, text: str) -> None:
        self.items[item].parts = ["".join(self.items[item].parts) + text]
        kind = "response.output_audio_transcript.delta"
        self.say(kind, **self._of(response, item), delta=text)

    def _act_text(self, response: Response, item: str, text: str) -> None:
        self.say("response.output_text.delta", **self._of(response, item), delta=text)

    def _act_sound(self, response: Response, item: str, ms: int) -> None:
        delta = base64.b64encode(bytes(_MS * ms)).decode()
        self.say("response.output_audio.delta", **self._of(response, item), delta=delta)

    def _act_end(self, response: Response, item: str) -> None:
        response.open = None
        cancelled = response.script and response.script[0] == ("done", "cancelled")
        self.items[item].status = "incomplete" if cancelled else "completed"
        if self.items[item].parts and self.persona.says_audio_done:
            self.say("response.output_audio.done", **self._of(response, item))
        self.say("response.content_part.done", **self._of(response, item), part={"type": "audio"})
        self._output(response, "done", item)
        self._finish(item)

    def _act_call(self, response: Response, item: str, name: str) -> None:
        self.items[item] = Item("call", name=name, call_id=item)
        response.output.append(item)
        self._output(response, "added", item)
        self._add(item, len(self.order))
        self.items[item].status = "completed"
        self.calls.setdefault(item, [])
        self._output(response, "done", item)
        self._finish(item)

    def _act_done(self, response: Response, status: str) -> None:
        self.running.remove(response)
        self.say("response.done", response=self._response(response, status))

    def _response(self, response: Response, status: str) -> Event:
        output = [self._json(item) for item in response.output] if status != "in_progress" else []
        return {
            "id": response.id,
            "object": "realtime.response",
            "status": status,
            "status_details": {"type": "failed", "error": {"code": "e", "message": "m"}}
            if status == "failed"
            else None,
            "conversation_id": "conv_1",
            "output": output,
        }

    # Items

    def _json(self, item_id: str) -> Event:
        item = self.items[item_id]
        about: Event = {"id": item_id, "status": item.status}
        if item.kind == "call":
            arguments = "{}" if item.status == "completed" else ""
            call = {"call_id": item.call_id, "name": item.name, "arguments": arguments}
            return {**about, "type": "function_call", **call}
        if item.kind == "output":
            return {**about, "type": "function_call_output", "call_id": "c", "output": "o"}
        if item.kind == "user":
            content: list[Event] = [{"type": "input_text", "text": "hello"}]
            return {**about, "type": "message", "role": "user", "content": content}
        if item.kind == "system":
            content = [{"type": "input_text", "text": item.parts[0]}]
            return {**about, "type": "message", "role": "system", "content": content}
        content = []
        if item.told:
            content = [{"type": "output_text", "text": item.parts[0]}]
        elif item.status != "in_progress":
            content = [{"type": "output_audio", "transcript": text} for text in item.parts]
            content = content or [{"type": "output_text", "text": "some text"}]
        return {**about, "type": "message", "role": "assistant", "content": content}

    def _output(self, response: Response, what: str, item: str) -> None:
        kind = f"response.output_item.{what}"
        self.say(kind, response_id=response.id, output_index=0, item=self._json(item))

    def _add(self, item_id: str, at: int) -> None:
        self.tick += 1
        self.items[item_id].added = self.tick
        self.order.insert(at, item_id)
        previous = self.order[at - 1] if at else None
        item = self._json(item_id)
        self.say("conversation.item.added", previous_item_id=previous, item=item)

    def _finish(self, item_id: str) -> None:
        if item_id in self.order:
            at = self.order.index(item_id)
            previous = self.order[at - 1] if at else None
            item = self._json(item_id)
            self.say("conversation.item.done", previous_item_id=previous, item=item)
