"""What a call leaves behind: recording, picture, transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stapes.cli.show.timeline import draw_timeline
from stapes.cli.show.transcript import write_json, write_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from stapes.cli.call.recording import Recording
    from stapes.cli.show.story import Story

KEEPSAKES: Final[Mapping[str, str]] = {
    "conversation.wav": "the call as it was heard: caller left, agent right",
    "timeline.png": "the picture of it",
    "conversation.md": "the transcript",
    "conversation.json": "everything with its times",
}
"""File names, and what they are."""


def keep(story: Story, recording: Recording, out: Path, extra: Mapping[str, Any]) -> None:
    """Write all files of a call into a directory that is there.

    Raises:
        TimelineError: matplotlib is not installed.
        OSError: a file cannot be written.
    """
    recording.write(out / "conversation.wav")
    write_markdown(out / "conversation.md", story)
    write_json(out / "conversation.json", story, extra)
    draw_timeline(story, out / "timeline.png")
