"""What the dialects have in common that come from the beta: flat sessions, and its names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from stapes.devserver.dialects.sound import NATIVE, EdgeSound
from stapes.devserver.session.dialect import Dialect, Event
from stapes.devserver.session.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stapes.devserver.session.schema import Check

PART_TYPES = {"output_text": "text", "output_audio": "audio"}
_OLD_NAMES = {
    "conversation.item.added": "conversation.item.created",
    **{
        f"response.output_{kind}.{step}": f"response.{kind}.{step}"
        for kind in ("audio", "audio_transcript", "text")
        for step in ("delta", "done")
    },
}
_RENAMED = {
    "modalities": "output_modalities",
    "max_response_output_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
}
_AUDIO = {
    "voice": ("output", "voice"),
    "speed": ("output", "speed"),
    "input_audio_format": ("input", "format"),
    "output_audio_format": ("output", "format"),
    "input_audio_transcription": ("input", "transcription"),
    "input_audio_noise_reduction": ("input", "noise_reduction"),
    "turn_detection": ("input", "turn_detection"),
}


class FlatDialect(Dialect):
    """A session without `audio`, and events and parts with the beta's names.

    Attributes:
        formats: what a name of a format is in the GA protocol.
        unsaid: types of GA events that have no counterpart.
        also_ga: settings of its own that the GA protocol has as well, in another form.
        own: settings that the GA protocol has not in this form, as they are in effect.
        asked: those that the client's last `session.update` asked for.
        sound: the sound of other rates than the session's.
    """

    formats: ClassVar[Mapping[str, Event]]
    unsaid: ClassVar[frozenset[str]] = frozenset()
    also_ga: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        shapes: Check,
        settings: Event,
        own: Mapping[str, Any],
        hidden: frozenset[str] = frozenset(),
    ) -> None:
        """Begin to speak.

        Args:
            shapes: what a client may send.
            settings: what a session begins with.
            own: settings that the GA protocol has not in this form, and what they are at first.
            hidden: settings that are accepted and not told of.
        """
        super().__init__()
        self.settings = settings
        self._shapes = shapes
        self.own = dict(own)
        self.asked: Event = {}
        self._hidden = hidden
        self.sound = EdgeSound()
        self._answers_natively = False

    # --- what a client says ----------------------------------------------------------------------

    def read(self, event: Event) -> Iterable[Event]:
        """Return the GA events that a client event stands for.

        Raises:
            ProtocolError: the dialect does not know it so.
        """
        self._shapes(event, "")
        match event["type"]:
            case "session.update":
                return self._read_session(event)
            case "conversation.item.create":
                return [{**event, "item": self.read_item(event["item"], "item")}]
            case "response.create":
                return self._read_response(event)
        return self.sound.read(event)

    def read_setting(self, name: str, value: Any) -> Any:
        """Return the value of a setting as the GA protocol has it."""
        match name:
            case "modalities":
                return ["audio"] if "audio" in value else ["text"]
            case "input_audio_format" | "output_audio_format":
                return self.formats[value]
            case "tools":
                return [self.read_tool(tool) for tool in value]
            case _:
                return value

    def read_tool(self, tool: Event) -> Event:
        """Return a tool as the GA protocol has it."""
        return tool

    def read_item(self, item: Event, path: str) -> Event:
        """Return an item of the client's as the GA protocol has it.

        Raises:
            ProtocolError: its sound cannot be read.
        """
        if "content" not in item:
            return item
        parts = [
            self.read_part(part, f"{path}.content[{index}]")
            for index, part in enumerate(item["content"])
        ]
        return {**item, "content": parts}

    def read_part(self, part: Event, path: str) -> Event:
        """Return a part of a message as the GA protocol has it.

        Raises:
            ProtocolError: its sound cannot be read.
        """
        if part["type"] == "text":
            return {**part, "type": "output_text"}
        if "audio" in part:
            return {**part, "audio": self.sound.whole_in(part["audio"], f"{path}.audio")}
        return part

    def read_response(self, asked: Event) -> Event:
        """Return the settings of a response as a session of this dialect names them."""
        return asked

    def _read_session(self, event: Event) -> list[Event]:
        asked = event["session"]
        said = {name: value for name, value in asked.items() if name not in self._hidden}
        self.asked = {name: value for name, value in asked.items() if name in self.own}
        return [{**event, "session": {"type": "realtime", **self._read_settings(said)}}]

    def _read_response(self, event: Event) -> list[Event]:
        asked = event.get("response")
        if asked is None:
            return [event]
        asked = self.read_response({n: v for n, v in asked.items() if v is not None})
        settings = self._read_settings(asked)
        self._answers_natively = "output_audio_format" in asked
        if "input" in settings:
            settings["input"] = [
                self.read_item(item, f"response.input[{index}]")
                for index, item in enumerate(settings["input"])
            ]
        return [{**event, "response": settings}]

    def _read_settings(self, asked: Event) -> Event:
        settings: Event = {}
        for name, value in asked.items():
            if name in self.own and name not in self.also_ga:
                continue
            if name in _AUDIO:
                direction, ga_name = _AUDIO[name]
                part = settings.setdefault("audio", {}).setdefault(direction, {})
                part[ga_name] = None if value is None else self.read_setting(name, value)
            else:
                settings[_RENAMED.get(name, name)] = self.read_setting(name, value)
        return settings

    # --- what the server says --------------------------------------------------------------------

    def write(self, event: Event) -> Iterable[Event | bytes]:
        """Return what a GA server event is on this wire."""
        kind = event["type"]
        if kind in self.unsaid:
            return []
        told = _renamed(event)
        match kind:
            case "session.created" | "session.updated":
                if kind == "session.updated":
                    self.accept(self.asked)
                told["session"] = self.write_session(event["session"])
            case "response.created" | "response.done":
                told["response"] = self.write_response(event["response"])
                self._mind_rates(kind, event["response"]["id"])
            case "response.output_audio.delta":
                return [_renamed(said) for said in self.sound.said(event)]
            case "response.output_audio.done":
                return [*map(_renamed, self.sound.rest(event)), told]
            case "conversation.item.retrieved":
                told["item"] = self.write_item(self._with_sound(event["item"]))
            case _ if "item" in event:
                told["item"] = self.write_item(event["item"])
            case _ if "part" in event:
                told["part"] = self.write_part(event["part"])
        return [told]

    def accept(self, asked: Event) -> None:
        """Take over settings of the dialect's own that the session has accepted."""
        self.own.update(asked)

    def write_session(self, session: Event) -> Event:
        """Return the effective configuration as this dialect has it."""
        raise NotImplementedError

    def write_response(self, response: Event) -> Event:
        """Return a response as this dialect has it."""
        raise NotImplementedError

    def write_item(self, item: Event) -> Event:
        """Return an item as this dialect has it."""
        if "content" not in item:
            return item
        return {**item, "content": [self.write_part(part) for part in item["content"]]}

    def write_part(self, part: Event) -> Event:
        """Return a part of a message as this dialect has it."""
        return {**part, "type": PART_TYPES.get(part["type"], part["type"])}

    def format_name(self, wire: Event) -> str:
        """Return the name of a format of the session's."""
        return next(name for name, ga in self.formats.items() if ga["type"] == wire["type"])

    def _mind_rates(self, kind: str, response_id: str) -> None:
        if kind == "response.created":
            rate = NATIVE if self._answers_natively else self.sound.output_rate
            self.sound.answer_begins(response_id, rate)
            self._answers_natively = False
        else:
            self.sound.answer_ends(response_id)

    def _with_sound(self, item: Event) -> Event:
        """Give the sound of an item in the rate that the client takes."""
        by_user = item.get("role") != "assistant"
        parts = [
            {**part, "audio": self.sound.whole_out(part["audio"], spoken_by_user=by_user)}
            if "audio" in part
            else part
            for part in item.get("content", ())
        ]
        return {**item, "content": parts} if "content" in item else item


def _renamed(event: Event) -> Event:
    return {**event, "type": _OLD_NAMES.get(event["type"], event["type"])}


def modalities_of(ga: Event) -> list[str]:
    """Return the modalities of a GA session or response in the beta's form."""
    return ["text", "audio"] if ga["output_modalities"] == ["audio"] else ["text"]


def require_modalities(value: Any, path: str) -> None:
    """Accept text alone, or text and audio.

    Raises:
        ProtocolError: it is another combination, in the words of the beta.
    """
    if not isinstance(value, list) or sorted(map(str, value)) not in (["text"], ["audio", "text"]):
        raise ProtocolError(
            f"Invalid modalities: {value}. Supported combinations are: ['text'] and "
            "['audio', 'text'].",
            "invalid_value",
            path,
        )
