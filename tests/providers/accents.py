"""How the servers of providers speak, and which keys of a session they know.

Written from recorded conversations and the providers' references, not from the client.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Event = dict[str, Any]

GA_KEYS = frozenset(
    {
        "type",
        "model",
        "instructions",
        "output_modalities",
        "audio.input.format",
        "audio.input.noise_reduction",
        "audio.input.transcription",
        "audio.input.turn_detection",
        "audio.output.format",
        "audio.output.voice",
        "audio.output.speed",
        "tools",
        "tool_choice",
        "tracing",
        "parallel_tool_calls",
        "reasoning",
        "max_output_tokens",
        "truncation",
        "include",
        "prompt",
    }
)
XAI_KEYS = frozenset(
    {
        "instructions",
        "voice",
        "turn_detection",
        "audio.input.format",
        "audio.input.transcription",
        "audio.output.format",
        "tools",
        "tool_choice",
        "reasoning",
        "resumption",
    }
)
_BETA_KEYS = frozenset(
    {
        "instructions",
        "modalities",
        "voice",
        "input_audio_format",
        "output_audio_format",
        "input_audio_transcription",
        "input_audio_noise_reduction",
        "turn_detection",
        "tools",
        "tool_choice",
        "temperature",
        "max_response_output_tokens",
    }
)
BETA_KEYS = _BETA_KEYS | {"speed"}
VOICE_LIVE_KEYS = _BETA_KEYS | {"input_audio_sampling_rate"}
QWEN_KEYS = frozenset(
    {
        "instructions",
        "modalities",
        "voice",
        "input_audio_format",
        "output_audio_format",
        "input_audio_transcription",
        "turn_detection",
        "tools",
        "enable_search",
        "search_options",
        "smooth_output",
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "repetition_penalty",
        "presence_penalty",
        "seed",
    }
)


def paths(session: Mapping[str, Any]) -> set[str]:
    """The settings that a session names, as paths; a part of `audio` counts by itself."""
    found = {key for key in session if key != "audio"}
    for direction, part in session.get("audio", {}).items():
        found |= {f"audio.{direction}.{key}" for key in part}
    return found


@dataclass(frozen=True)
class Accent:
    """How a server speaks: the names of its events, and what its items have.

    Attributes:
        keys: settings of a session that it knows.
        beta: it has the beta's names, and one event for an item that was created.
        bare: its items have no content until the response has ended, nothing confirms an item for
            the last time, and usage stands beside the response (xAI).
        nested_tools: its functions are nested.
        pcm: its name of PCM, where formats are names.
        first: the session that it states at first, besides its id.
        binary: sound travels in binary frames.
    """

    keys: frozenset[str]
    beta: bool = False
    bare: bool = False
    nested_tools: bool = False
    pcm: str | None = None
    first: Mapping[str, Any] | None = None
    binary: bool = False

    def name(self, kind: str) -> str:
        """Its name of an event of the GA protocol."""
        return kind.replace("response.output_audio", "response.audio") if self.beta else kind

    def begins(self) -> Event:
        """What comes first over a connection."""
        return {"type": "session.created", "session": {"id": "sess_1", **(self.first or {})}}

    def follows(self, conversation_id: str = "conv_1") -> list[Event]:
        """What comes after that, unasked."""
        if not self.bare:
            return []
        conversation = {"id": conversation_id, "object": "realtime.conversation"}
        return [
            {"type": "conversation.created", "conversation": conversation},
            {"type": "ping", "timestamp": 1785214092700},
        ]

    def item(self, item: Event, previous: str | None) -> list[Event]:
        """An item is in the conversation."""
        kinds = ["added"] if self.bare else ["added", "done"]
        kinds = ["created"] if self.beta else kinds
        return [
            {"type": f"conversation.item.{kind}", "previous_item_id": previous, "item": item}
            for kind in kinds
        ]

    def user(self, item_id: str, words: str, previous: str | None) -> list[Event]:
        """The user has spoken."""
        part = {"type": "input_audio", "transcript": None}
        item = {
            "id": item_id,
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [part],
        }
        heard = "conversation.item.input_audio_transcription"
        of = {"item_id": item_id, "content_index": 0}
        return [
            {"type": "input_audio_buffer.speech_started", "item_id": item_id, "audio_start_ms": 0},
            {"type": "input_audio_buffer.speech_stopped", "item_id": item_id, "audio_end_ms": 900},
            {"type": "input_audio_buffer.committed", "item_id": item_id},
            *self.item(item, previous),
            *([{"type": f"{heard}.updated", "transcript": words, **of}] if self.bare else ()),
            {"type": f"{heard}.completed", "transcript": words, **of},
        ]

    def starts(self, response: str) -> Event:
        """A response begins."""
        return {"type": "response.created", "response": {"id": response, "output": []}}

    def speaks(self, response: str, item_id: str, words: str, sound: bytes) -> list[Event | bytes]:
        """An answer begins, and all of its sound comes at once."""
        message: Event = {
            "id": item_id,
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
        }
        if not self.bare:
            message["content"] = []
        of = {"response_id": response, "item_id": item_id, "content_index": 0}
        audio = "response.output_audio"
        return [
            {"type": "response.output_item.added", "response_id": response, "item": message},
            *([*self.item(message, None)][:1]),
            {"type": self.name(f"{audio}_transcript.delta"), "delta": words, **of},
            sound
            if self.binary
            else {
                "type": self.name(f"{audio}.delta"),
                "delta": base64.b64encode(sound).decode(),
                **of,
            },
            {"type": self.name(f"{audio}.done"), **of},
        ]

    def has_spoken(
        self, response: str, item_id: str, words: str, status: str = "completed"
    ) -> list[Event]:
        """The answer ends."""
        part = {"type": "audio" if self.beta or self.bare else "output_audio", "transcript": words}
        item = {"id": item_id, "type": "message", "role": "assistant", "status": "completed"}
        whole = {**item, "content": [part]}
        told = item if self.bare else whole
        return [
            {"type": "response.output_item.done", "response_id": response, "item": told},
            self.ends(response, [whole], status),
        ]

    def calls(self, response: str, item_id: str, name: str, arguments: str) -> list[Event]:
        """The model calls a function, and the response ends."""
        call = {
            "id": item_id,
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{item_id}",
            "name": name,
            "arguments": arguments,
        }
        given = {key: call[key] for key in ("call_id", "name", "arguments")}
        return [
            {
                "type": "response.function_call_arguments.done",
                "response_id": response,
                "item_id": item_id,
                "output_index": 0,
                **given,
            },
            {"type": "response.output_item.done", "response_id": response, "item": call},
            self.ends(response, [call], "completed"),
        ]

    def ends(self, response: str, output: list[Event], status: str) -> Event:
        """A response ends."""
        usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
        done = {"id": response, "status": status, "output": output}
        if self.bare:
            return {"type": "response.done", "response": {**done, "usage": {}}, "usage": usage}
        return {"type": "response.done", "response": {**done, "usage": usage}}


GA = Accent(keys=GA_KEYS, first={"type": "realtime"})
BETA = Accent(keys=BETA_KEYS, beta=True, first={"input_audio_format": "pcm16"})
VOICE_LIVE = Accent(
    keys=VOICE_LIVE_KEYS,
    beta=True,
    first={
        "modalities": ["audio"],
        "input_audio_format": "pcm16",
        "output_audio_format": None,
        "voice": {"name": "alloy", "type": "openai"},
    },
)
XAI = Accent(
    keys=XAI_KEYS, bare=True, first={"voice": "ara", "turn_detection": {"type": None}, "tools": []}
)
XAI_BINARY = replace(
    XAI, keys=XAI_KEYS | {"audio.input.transport", "audio.output.transport"}, binary=True
)
QWEN = Accent(
    keys=QWEN_KEYS,
    beta=True,
    nested_tools=True,
    pcm="pcm",
    first={"modalities": ["text", "audio"], "input_audio_format": "pcm", "voice": "Cherry"},
)
