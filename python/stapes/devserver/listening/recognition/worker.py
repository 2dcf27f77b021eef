"""The recogniser's process: `python -m stapes.devserver.listening.recognition.worker`.

PocketSphinx holds the GIL while it searches, so it has an interpreter of its own. Requests come on
standard input and answers go to standard output, both framed by `frames`. The process ends when
its input does, so it cannot outlive the server.
"""

from __future__ import annotations

import json
import os
import sys
from functools import lru_cache
from typing import BinaryIO

from stapes.devserver.listening.recognition.decoder import AgentDecoder, general_english
from stapes.devserver.listening.recognition.frames import read_frame, write_frame

_AGENTS_KEPT = 16
"""Decoders of the last agents, a few megabytes each."""


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    general_english()  # Loaded now, while nobody waits.
    decoder_of = lru_cache(_AGENTS_KEPT)(_decoder)
    while (request := read_frame(requests)) is not None:
        header, pcm = request
        try:
            decoder = decoder_of(header["agent"])
            write_frame(answers, {"transcript": decoder.transcribe(pcm)})
        except Exception as error:  # The server tells its client; the next utterance may do.
            write_frame(answers, {"error": f"{type(error).__name__}: {error}"})


def _decoder(agent: str) -> AgentDecoder:
    described = json.loads(agent)
    return AgentDecoder(described["instructions"], described["tools"])


def main() -> None:
    """Serve on standard input and output."""
    # Whatever prints to the old standard output must not come between the frames.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
