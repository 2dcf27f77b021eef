"""How spoken words and their sound go out together."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stapes.devserver.audio.formats import BYTES_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stapes.devserver.audio.formats import AudioFormat


_SHORTEST_SENTENCE = 24
"""In characters."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is sent together.

    Attributes:
        words: the words that begin in this piece, each with the milliseconds since the start of the
            speech at which it has been said.
        pcm: the piece as the server keeps it.
        encoded: the piece as the client gets it.
        audio_ms: how long it plays.
    """

    words: list[tuple[str, float]]
    pcm: bytes
    encoded: bytes
    audio_ms: float


def sentences(words: Sequence[str]) -> Iterator[list[str]]:
    """Cut a text into its sentences; a very short one, such as "Dr.", stays with what follows."""
    sentence: list[str] = []
    for word in words:
        sentence.append(word)
        if word[-1] in ".!?" and sum(map(len, sentence)) >= _SHORTEST_SENTENCE:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def steps(words: Sequence[str], pcm: bytes, audio: AudioFormat, *, chunk_ms: int) -> Iterator[Step]:
    """Cut speech in pieces of `chunk_ms`, with the words spread over it by their length.

    All words and all sound come out, also where there is no sound to go with the words.
    """
    encoded = audio.encode(pcm)
    stored, sent = chunk_ms * BYTES_PER_MS, chunk_ms * audio.rate * audio.sample_bytes // 1000
    total_ms = len(pcm) / BYTES_PER_MS
    waiting = deque(_timed(words, total_ms))
    pieces = max(1, -(-len(pcm) // stored))
    for index in range(pieces):
        end_ms = total_ms if index == pieces - 1 else (index + 1) * chunk_ms
        begun = []
        while waiting and (waiting[0][1] < end_ms or index == pieces - 1):
            word, _, said_ms = waiting.popleft()
            begun.append((word, said_ms))
        yield Step(
            begun,
            pcm[index * stored : (index + 1) * stored],
            encoded[index * sent : (index + 1) * sent],
            end_ms - index * chunk_ms,
        )


def _timed(words: Sequence[str], total_ms: float) -> Iterator[tuple[str, float, float]]:
    """Give each word with the times at which it begins and has been said."""
    characters = sum(map(len, words))
    said = 0
    for word in words:
        begins = said
        said += len(word)
        yield word, begins * total_ms / characters, said * total_ms / characters
