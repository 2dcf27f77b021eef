"""Listening to what the caller said: transcripts for the mind, and for the client if it asked."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from stapes.devserver.mind import MindOverloadedError
from stapes.devserver.session.text import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stapes.devserver.session.context import CallContext
    from stapes.devserver.session.items import Item, Part

logger = logging.getLogger(__name__)

_TRANSCRIPTION = "conversation.item.input_audio_transcription"


class Hearing:
    """Has the mind listen to the audio of user messages, each once."""

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def listen(self, item: Item) -> None:
        """Begin to listen to the audio parts of an item that nobody has listened to yet."""
        if item.id in self._under_way:
            return
        parts = [
            (index, part)
            for index, part in enumerate(item.parts)
            if part.type == "input_audio" and part.heard is None
        ]
        if not parts:
            return
        task = self._context.spawn(self._listen(item, parts))
        self._under_way[item.id] = task
        task.add_done_callback(lambda _: self._under_way.pop(item.id, None))

    async def settled(self, items: Iterable[Item]) -> None:
        """Wait until these items are understood and their transcripts are given out."""
        tasks = [self._under_way[item.id] for item in items if item.id in self._under_way]
        if tasks:
            await asyncio.wait(tasks)

    async def _listen(self, item: Item, parts: list[tuple[int, Part]]) -> None:
        context = self._context
        config = context.config
        for index, part in parts:
            where = {"item_id": item.id, "content_index": index}
            try:
                async with asyncio.timeout(context.options.mind_seconds):
                    heard = await context.mind.hear(
                        bytes(part.pcm), instructions=config.instructions, tools=config.tools
                    )
            except Exception as problem:
                if isinstance(problem, MindOverloadedError):
                    logger.warning("a turn was not heard: %s", problem)
                else:
                    logger.exception("the mind could not hear a turn")
                part.heard = ""
                if isinstance(problem, MindOverloadedError | TimeoutError):
                    part.unheard = problem
                if config.transcription is not None:
                    error = {
                        "type": "transcription_error",
                        "code": "audio_unintelligible",
                        "message": f"The audio could not be transcribed: {problem or 'timeout'}",
                        "param": None,
                    }
                    context.emit(f"{_TRANSCRIPTION}.failed", **where, error=error)
                continue
            part.heard = heard
            if config.transcription is None:
                continue
            part.transcript = heard
            words = words_of(heard)
            sure = [_sureness(word) for word in words] if config.wants_logprobs else None
            for index_of, word in enumerate(words):
                told = {} if sure is None else {"logprobs": [sure[index_of]]}
                context.emit(f"{_TRANSCRIPTION}.delta", **where, delta=word, **told)
            output, audio = len(words), max(1, part.audio_ms // 100)
            usage = {
                "type": "tokens",
                "total_tokens": audio + output,
                "input_tokens": audio,
                "input_token_details": {"text_tokens": 0, "audio_tokens": audio},
                "output_tokens": output,
            }
            told = {} if sure is None else {"logprobs": sure}
            context.emit(
                f"{_TRANSCRIPTION}.completed", **where, transcript=heard, usage=usage, **told
            )


def _sureness(word: str) -> dict[str, Any]:
    """How sure the server is of a word, as the provider tells it: as good as certain."""
    return {"token": word, "bytes": list(word.encode()), "logprob": -0.01}
