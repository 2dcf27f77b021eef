"""One response: from `response.created` to `response.done`."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal

from stapes.devserver.audio.formats import BYTES_PER_MS
from stapes.devserver.mind import Call, MindOverloadedError, Say
from stapes.devserver.session import usage
from stapes.devserver.session.items import Item
from stapes.devserver.session.pacing import Pacer
from stapes.devserver.session.speaking import sentences, steps
from stapes.devserver.session.writers import CallWriter, MessageWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.devserver.mind import View
    from stapes.devserver.session.context import CallContext
    from stapes.devserver.session.hearing import Hearing
    from stapes.devserver.session.requests import ResponseRequest

logger = logging.getLogger(__name__)

Reason = Literal["turn_detected", "client_cancelled", "max_output_tokens"]
_ARGUMENT_PIECE = 16
_RATE_LIMIT_TOKENS = 15_000_000


class _OutOfTokensError(Exception):
    """The response may say no more."""


class _UnheardError(Exception):
    """The turn to answer could not be heard, for this reason."""

    def __init__(self, problem: Exception) -> None:
        self.problem = problem


def _require_heard(items: Sequence[Item]) -> None:
    """Refuse to answer a turn that nobody had time for, rather than take it for silence."""
    said = next((item for item in reversed(items) if item.role == "user"), None)
    for part in said.parts if said is not None else ():
        if part.unheard is not None:
            raise _UnheardError(part.unheard)


class Response:
    """Asks the mind, and tells of its answer while it is given.

    `cancel` may come at any time; after it nothing more is emitted.
    """

    def __init__(
        self,
        context: CallContext,
        hearing: Hearing,
        request: ResponseRequest,
        *,
        cached: int,
        on_end: Callable[[Response], None],
    ) -> None:
        self.id = context.ids.new("resp")
        self.request = request
        self.output: list[Item] = []
        self.read_tokens = 0
        self._context = context
        self._hearing = hearing
        self._cached = cached
        self._on_end = on_end
        self._pacer = Pacer(context.options.pace)
        self._writer: MessageWriter | CallWriter | None = None
        self._read = {"text_tokens": 0, "audio_tokens": 0}
        self._over = False
        context.emit("response.created", response=self._wire("in_progress"))
        if context.output_audio is not None:
            context.output_audio.begin(self.id)
        self._task = context.spawn(self._run())

    @property
    def audio_ms(self) -> int:
        """How much sound the response holds."""
        return sum(item.audio_ms for item in self.output)

    def cancel(self, reason: Reason) -> None:
        """End the response before it is whole."""
        self._end("cancelled", {"type": "cancelled", "reason": reason})
        self._task.cancel()

    async def _run(self) -> None:
        try:
            items = self.request.reads(self._context)
            for item in items:
                self._hearing.listen(item)
            await self._hearing.settled(items)
            _require_heard(items)
            self._read = usage.input_tokens(self.request.instructions, self.request.tools, items)
            async with aclosing(self._moves(self.request.view(items))) as moves:
                async for move in moves:
                    match move:
                        case Say(text=text):
                            await self._say(text)
                        case Call():
                            await self._call(move)
        except _OutOfTokensError:
            self._end("incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
        except _UnheardError as unheard:
            self._end("failed", {"type": "failed", "error": self._failure(unheard.problem, "hear")})
        except Exception as problem:
            logger.exception("the mind could not answer")
            self._end("failed", {"type": "failed", "error": self._failure(problem, "answer")})
        else:
            self._end("completed", None)

    def _failure(self, problem: Exception, verb: str) -> dict[str, Any]:
        if isinstance(problem, MindOverloadedError):
            return {"type": "server_error", "code": "overloaded", "message": str(problem)}
        late = f"it took longer than {self._context.options.mind_seconds:g} seconds"
        why = late if isinstance(problem, TimeoutError) else f"{problem!r}"
        message = f"The mind could not {verb}: {why}."
        return {"type": "server_error", "code": "mind_failed", "message": message}

    async def _moves(self, view: View) -> AsyncGenerator[Say | Call]:
        """Give the mind's moves, no more of them and no later than the options allow."""
        options = self._context.options
        moves = self._context.mind.answer(view)
        made = 0
        try:
            while True:
                async with asyncio.timeout(options.mind_seconds):
                    move = await anext(moves, None)
                if move is None:
                    return
                made += 1
                if made > options.max_outputs:
                    raise RuntimeError(
                        f"it made more than {options.max_outputs} moves in one answer"
                    )
                yield move
        finally:
            if isinstance(moves, AsyncGenerator):
                await moves.aclose()

    async def _say(self, text: str) -> None:
        words = re.findall(r"\s*\S+", text.strip())
        if not words:
            return
        if not self.request.spoken:
            self._writer = writer = self._message()
            for word in words:
                await self._context.room()
                self._spend()
                writer.words(word)
                await asyncio.sleep(0)
        else:
            # Sentence by sentence, so that the first is heard while the voice works on the others.
            spoken: MessageWriter | None = None
            for sentence in sentences(words):
                sound = await self._voiced("".join(sentence))
                if spoken is None:
                    self._writer = spoken = self._message()
                await self._speak(spoken, sentence, sound)
        self._close_writer()

    async def _voiced(self, text: str) -> bytes:
        async with asyncio.timeout(self._context.options.mind_seconds):
            speech = await self._context.voice.speak(
                text, voice=self.request.voice, speed=self.request.speed
            )
        return speech.pcm

    async def _speak(self, writer: MessageWriter, words: list[str], pcm: bytes) -> None:
        chunk_ms = self._context.options.audio_chunk_ms
        spoken_ms = len(writer.part.pcm) / BYTES_PER_MS
        for step in steps(words, pcm, self.request.format, chunk_ms=chunk_ms):
            await self._context.room()
            if self._context.output_audio is not None:
                await self._context.output_audio.room()
            for word, said_ms in step.words:
                self._spend()
                writer.words(word, spoken_at_ms=spoken_ms + said_ms)
            self._spend()
            if step.encoded:
                writer.sound(step.pcm, step.encoded)
            await self._pacer.wait(step.audio_ms)

    async def _call(self, call: Call) -> None:
        arguments = (
            call.arguments if isinstance(call.arguments, str) else json.dumps(dict(call.arguments))
        )
        wire = {
            "type": "function_call",
            "name": call.name,
            "call_id": self._context.ids.new("call"),
            "arguments": "",
        }
        item = Item(self._context.ids.new("item"), wire)
        self._writer = writer = CallWriter(self._context, item, **self._next_place(item))
        for start in range(0, len(arguments), _ARGUMENT_PIECE):
            await self._context.room()
            self._spend()
            writer.arguments(arguments[start : start + _ARGUMENT_PIECE])
            await asyncio.sleep(0)
        self._close_writer()

    def _message(self) -> MessageWriter:
        item = Item(self._context.ids.new("item"), {"type": "message", "role": "assistant"})
        return MessageWriter(
            self._context, item, spoken=self.request.spoken, **self._next_place(item)
        )

    def _next_place(self, item: Item) -> dict[str, Any]:
        self.output.append(item)
        return {
            "response_id": self.id,
            "output_index": len(self.output) - 1,
            "in_conversation": self.request.in_conversation,
        }

    def _spend(self) -> None:
        """Stop before the response says more than it may."""
        limit = self.request.max_tokens
        if limit is not None and sum(usage.output_tokens(self.output).values()) >= limit:
            raise _OutOfTokensError

    def _close_writer(self, *, whole: bool = True) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.end("completed" if whole else "incomplete")

    def _end(self, status: str, details: dict[str, Any] | None) -> None:
        if self._over:
            return
        self._over = True
        self._close_writer(whole=False)
        wrote = usage.output_tokens(self.output)
        self.read_tokens = sum(self._read.values())
        wire = self._wire(status)
        wire["status_details"] = details
        wire["usage"] = usage.usage(self._read, self._cached, wrote)
        self._on_end(self)
        self._context.emit("response.done", response=wire)
        if self._context.output_audio is not None:
            self._context.output_audio.end(self.id)
        left = _RATE_LIMIT_TOKENS - wire["usage"]["total_tokens"]
        limits = {"name": "tokens", "limit": _RATE_LIMIT_TOKENS, "remaining": left}
        self._context.emit("rate_limits.updated", rate_limits=[{**limits, "reset_seconds": 0.001}])

    def _wire(self, status: str) -> dict[str, Any]:
        request = self.request
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": None,
            "output": [item.to_wire() for item in self.output],
            "conversation_id": self._context.conversation.id if request.in_conversation else None,
            "output_modalities": ["audio" if request.spoken else "text"],
            "max_output_tokens": "inf" if request.max_tokens is None else request.max_tokens,
            "audio": request.wire_audio,
            "usage": None,
            "metadata": request.metadata,
        }
