"""Speaks the sentences of the built-in model into a file of Opus packets.

    python scripts/make_builtin_speech.py

It needs `stapes[speech]`: the voice is hibari's, of which `LICENSE-speech.md` tells. The file is
part of the repository; run this after a change of `stapes/cli/builtin/texts.py`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from stapes.cli.builtin import texts, voice
from stapes.cli.packed_speech import encode, pack
from stapes.devserver.voices.hibari import HibariVoice

OUT = Path(voice.__file__).parent / voice.FILE
VOICE = "marin"
MOST_BYTES = 150_000


async def main() -> None:
    """Writes the file."""
    speaker = HibariVoice()
    recorded: dict[str, list[bytes]] = {}
    seconds = 0.0
    for text in texts.TEXTS:
        for sentence in voice.split(text):
            spoken = (await speaker.speak(sentence, voice=VOICE, speed=1.0)).pcm
            seconds += len(spoken) / 2 / voice.SAMPLE_RATE
            recorded[sentence] = encode(spoken, voice.SAMPLE_RATE)
    data = pack(recorded)
    if len(data) > MOST_BYTES:
        raise SystemExit(f"{len(data)} bytes, and {MOST_BYTES} are allowed: say less")
    OUT.write_bytes(data)
    print(f"{OUT}: {len(recorded)} sentences, {seconds:.1f} s, {len(data)} bytes")


if __name__ == "__main__":
    asyncio.run(main())
