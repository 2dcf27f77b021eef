"""Conversation items: what was said, called and answered, with its sound."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Literal

from stapes.devserver.audio.formats import BYTES_PER_MS, AudioFormat, to_pcm
from stapes.devserver.session.payload import decode_audio

Status = Literal["in_progress", "completed", "incomplete"]


@dataclass(slots=True)
class Part:
    """One content part of a message.

    Attributes:
        wire: the fields other than text, transcript and audio, `type` among them.
        text: the text of an `input_text` or `output_text` part.
        transcript: what clients are shown of an audio part; `None` while it is not known.
        heard: what the mind understood of an `input_audio` part; `None` while it is listening.
        unheard: why the mind had no time to listen to it: then no answer is made up.
        pcm: the sound of an audio part, PCM16 mono at 24,000 Hz.
        words: for each word of the transcript, the milliseconds at which it has been spoken and
            the length of the transcript with it.
        cut: the part was truncated and takes no more sound.
        wordless: clients get no transcript of the part any more.
    """

    wire: dict[str, Any]
    text: str = ""
    transcript: str | None = None
    heard: str | None = None
    unheard: Exception | None = None
    pcm: bytearray = field(default_factory=bytearray, repr=False)
    words: list[tuple[float, int]] = field(default_factory=list, repr=False)
    cut: bool = False
    wordless: bool = False

    @property
    def type(self) -> str:
        """The part's type, such as `input_audio`."""
        return str(self.wire["type"])

    @property
    def is_audio(self) -> bool:
        """Whether the part is sound."""
        return self.type.endswith("_audio")

    @property
    def audio_ms(self) -> int:
        """How much sound the part holds, in whole milliseconds."""
        return len(self.pcm) // BYTES_PER_MS

    def truncate(self, audio_end_ms: int) -> None:
        """Cut sound and transcript: only words that were wholly spoken by then remain."""
        spoken = [length for end, length in self.words if end <= audio_end_ms]
        if self.transcript is not None:
            self.transcript = self.transcript[: spoken[-1] if spoken else 0].rstrip()
        del self.pcm[audio_end_ms * BYTES_PER_MS :]
        del self.words[len(spoken) :]
        self.cut = True

    def to_wire(self, audio: AudioFormat | None) -> dict[str, Any]:
        """Return the part as clients see it, with its sound if a format is given."""
        wire = dict(self.wire)
        if self.is_audio:
            if not self.wordless:
                wire["transcript"] = self.transcript
            if audio is not None:
                wire["audio"] = base64.b64encode(audio.encode(bytes(self.pcm))).decode()
        elif self.type != "input_image":
            wire["text"] = self.text
        return wire

    def to_view(self) -> dict[str, Any]:
        """Return the part as the mind sees it."""
        wire = self.to_wire(None)
        if self.is_audio:
            wire["transcript"] = self.transcript if self.heard is None else self.heard
        return wire


@dataclass(slots=True)
class Item:
    """One conversation item.

    Attributes:
        wire: the fields other than `id`, `object`, `status` and `content`.
        parts: the content of a message; empty for other items.
    """

    id: str
    wire: dict[str, Any]
    status: Status = "completed"
    parts: list[Part] = field(default_factory=list)

    @property
    def type(self) -> str:
        """The item's type, such as `message`."""
        return str(self.wire["type"])

    @property
    def role(self) -> str | None:
        """The role of a message."""
        return self.wire.get("role")

    @property
    def text(self) -> str:
        """All that is known of the item in words, for counting tokens."""
        words = [part.text or part.heard or part.transcript or "" for part in self.parts]
        return " ".join([*words, str(self.wire.get("arguments") or self.wire.get("output") or "")])

    @property
    def audio_ms(self) -> int:
        """How much sound the item holds."""
        return sum(part.audio_ms for part in self.parts)

    def to_wire(self, audio: AudioFormat | None = None) -> dict[str, Any]:
        """Return the item as clients see it, with its sound if a format is given."""
        wire = {
            "id": self.id,
            "object": "realtime.item",
            "type": self.type,
            "status": self.status,
            **self.wire,
        }
        if self.type == "message":
            wire["content"] = [part.to_wire(audio) for part in self.parts]
        return wire

    def to_view(self) -> dict[str, Any]:
        """Return the item as the mind sees it."""
        wire = self.to_wire()
        if self.type == "message":
            wire["content"] = [part.to_view() for part in self.parts]
        return wire


def from_client(
    wire: dict[str, Any], *, item_id: str, call_id: str, input_format: AudioFormat, path: str
) -> Item:
    """Build the item of a validated client description.

    `item_id` and `call_id` are used where the client gave none.

    Raises:
        ProtocolError: an audio part is not base64 of whole samples.
    """
    kept = {
        name: value
        for name, value in wire.items()
        if name not in ("id", "object", "status", "content")
    }
    if wire["type"] == "function_call" and not kept.get("call_id"):
        kept["call_id"] = call_id
    parts = [
        _part(content, input_format, f"{path}.content[{index}]")
        for index, content in enumerate(wire.get("content", ()))
    ]
    return Item(wire.get("id") or item_id, kept, parts=parts)


def _part(content: dict[str, Any], input_format: AudioFormat, path: str) -> Part:
    kept = {
        name: value
        for name, value in content.items()
        if name not in ("text", "transcript", "audio")
    }
    part = Part(kept, text=content.get("text", ""), transcript=content.get("transcript"))
    if "audio" in content:
        samples = decode_audio(content["audio"], input_format, f"{path}.audio")
        part.pcm.extend(to_pcm(samples, input_format.rate))
        part.heard = part.transcript
    return part
