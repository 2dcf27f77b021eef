"""Copies the front desk's agent and questions into the package, for `stapes demo`.

    python scripts/pack_front_desk.py

`examples/front_desk` is where they are written and spoken. The recordings become Opus, a sixteenth
of their size. The copies are part of the repository; run this after a change of the example.
"""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

from stapes.cli.call.speech_file import read_speech
from stapes.cli.demo import scenes
from stapes.cli.packed_speech import encode, pack

EXAMPLE = Path(__file__).parents[1] / "examples" / "front_desk"


def main() -> None:
    """Writes the files."""
    for name in (scenes.AGENT, scenes.SCRIPT):
        shutil.copyfile(EXAMPLE / name, scenes.FRONT_DESK / name)
    script = tomllib.loads((EXAMPLE / scenes.SCRIPT).read_text("utf-8"))
    recorded = {
        question["file"]: encode(
            read_speech(EXAMPLE / "questions" / question["file"], scenes.RATE), scenes.RATE
        )
        for question in script["question"]
    }
    data = pack(recorded)
    (scenes.FRONT_DESK / scenes.RECORDINGS).write_bytes(data)
    print(f"{scenes.FRONT_DESK}: {len(recorded)} questions, {len(data)} bytes")


if __name__ == "__main__":
    main()
