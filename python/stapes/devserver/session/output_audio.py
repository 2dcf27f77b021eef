"""The output audio buffer of a call whose sound travels apart from its events, as over WebRTC.

Whoever plays the sound takes it in real time; so the server knows what has been played, and what an
interruption leaves unheard.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stapes.devserver.audio.formats import BYTES_PER_MS
from stapes.devserver.session.truncation import cut_off

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.devserver.options import Options
    from stapes.devserver.session.conversation import Conversation
    from stapes.devserver.session.items import Item


@dataclass(slots=True)
class _Speech:
    """The sound of one item: `put` bytes so far, of which `played` have been taken."""

    item: Item
    waiting: deque[bytes] = field(default_factory=deque)
    put: int = 0
    played: int = 0


@dataclass(slots=True)
class _Answer:
    """The sound of one response, item by item; `ended` once there comes no more."""

    speeches: list[_Speech] = field(default_factory=list)
    ended: bool = False

    def speech_of(self, item: Item) -> _Speech:
        for speech in self.speeches:
            if speech.item is item:
                return speech
        self.speeches.append(_Speech(item))
        return self.speeches[-1]


class OutputAudio:
    """Keeps spoken sound until it is played: one response after the other, never mixed.

    `on_stopped` is called whenever a response has been played to its end.
    """

    def __init__(
        self, options: Options, conversation: Conversation, emit: Callable[..., None]
    ) -> None:
        self.on_stopped: Callable[[], None] | None = None
        self._options = options
        self._conversation = conversation
        self._emit = emit
        self._answers: dict[str, _Answer] = {}
        self._cleared: set[str] = set()
        self._under_way: set[str] = set()
        self._playing: str | None = None
        self._waiting = 0
        self._most = int(options.max_output_seconds * 1000) * BYTES_PER_MS
        self._room = asyncio.Event()
        self._room.set()

    def begin(self, response_id: str) -> None:
        """A response has begun, which may come to speak."""
        self._under_way.add(response_id)

    def put(self, response_id: str, item: Item, pcm: bytes) -> None:
        """Add sound of an item; that of a response which was cut off is dropped."""
        if response_id in self._cleared:
            return
        speech = self._answers.setdefault(response_id, _Answer()).speech_of(item)
        speech.waiting.append(pcm)
        speech.put += len(pcm)
        self._count(len(pcm))

    async def room(self) -> None:
        """Wait while more sound waits to be played than the options allow."""
        await self._room.wait()

    def end(self, response_id: str) -> None:
        """A response is over: no more sound of it will come."""
        self._under_way.discard(response_id)
        self._cleared.discard(response_id)
        if response_id in self._answers:
            self._answers[response_id].ended = True

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes to be played, fewer where there is no more."""
        taken = bytearray()
        while len(taken) < size and self._answers:
            response_id, answer = next(iter(self._answers.items()))
            speech = next((speech for speech in answer.speeches if speech.waiting), None)
            if speech is None:
                if not answer.ended:
                    break
                self._stop(response_id)
                continue
            self._start(response_id)
            piece = speech.waiting.popleft()
            part = piece[: size - len(taken)]
            if len(part) < len(piece):
                speech.waiting.appendleft(piece[len(part) :])
            speech.played += len(part)
            self._count(-len(part))
            taken += part
        return bytes(taken)

    def clear(self, event: dict[str, Any] | None = None) -> None:
        """Play no more of what has been said, and make the conversation remember what was played.

        Further sound of responses that are still under way is dropped.
        """
        answers, self._answers = self._answers, {}
        self._playing = None
        self._count(-self._waiting)
        for response_id, answer in answers.items():
            if response_id in self._under_way:
                self._cleared.add(response_id)
            for speech in answer.speeches:
                if speech.waiting or not answer.ended:
                    self._forget_unheard(speech)
            self._emit("output_audio_buffer.cleared", response_id=response_id)

    def _forget_unheard(self, speech: _Speech) -> None:
        index = next(i for i, part in enumerate(speech.item.parts) if part.is_audio)
        if speech.item.parts[index].cut:
            return
        if self._conversation.get(speech.item.id) is speech.item:
            end_ms = speech.played // BYTES_PER_MS
            cut_off(self._emit, self._options, speech.item, index, end_ms)

    def _start(self, response_id: str) -> None:
        if self._playing != response_id:
            self._playing = response_id
            self._emit("output_audio_buffer.started", response_id=response_id)

    def _stop(self, response_id: str) -> None:
        del self._answers[response_id]
        if self._playing == response_id:
            self._playing = None
            self._emit("output_audio_buffer.stopped", response_id=response_id)
        if self.on_stopped is not None:
            self.on_stopped()

    def _count(self, change: int) -> None:
        self._waiting += change
        if self._waiting < self._most:
            self._room.set()
        else:
            self._room.clear()
