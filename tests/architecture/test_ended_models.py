"""No default, document, example or benchmark names a model that shuts down soon.

Source: OpenAI's page of deprecations, as of November 2026.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.architecture.places import ROOT, report, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDED = (
    # 2027-01-20
    r"gpt-realtime",
    r"gpt-realtime-2025-08-28",
    r"gpt-realtime-mini(?:-\d{4}-\d\d-\d\d)?",
    r"gpt-4o(?:-mini)?-realtime-preview(?:-\d{4}-\d\d-\d\d)?",
    # 2027-02-26
    r"whisper-1",
    r"gpt-4o(?:-mini)?-transcribe(?:-[a-z0-9-]+)?",
)
NAME = re.compile(rf"(?<![\w.-])(?:{'|'.join(ENDED)})(?![\w.-]*\w)")
FOLDERS = ("python", "docs", "examples", "benches", "rust")
SUFFIXES = {".py", ".pyi", ".rs", ".js", ".mjs", ".md", ".html", ".toml"}
MAY_NAME = {
    # What the reference does, and which models refuse what.
    "docs/how-to/agents-sdk.md",
    "docs/differences.md",
    "docs/how-to/transcription.md",
    "python/stapes/transcription/models.py",
    # Azure serves these itself, and retires them by its own dates. The demo's server is ours.
    "python/stapes/cli/demo/profiles.py",
    "python/stapes/providers/azure.py",
    "python/stapes/providers/named.py",
}


def texts() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and not {"node_modules", "target"} & set(path.parts):
                yield path


def test_no_model_is_named_that_shuts_down() -> None:
    found = [
        f"{shown(path)}: {name}"
        for path in texts()
        if shown(path) not in MAY_NAME
        for name in NAME.findall(path.read_text(encoding="utf-8"))
    ]
    assert not found, report(found)


def test_the_names_are_matched_whole() -> None:
    assert NAME.findall("gpt-realtime-2.1 gpt-realtime-whisper gpt-transcribe") == []
    ended = ["gpt-realtime", "gpt-realtime-mini", "whisper-1", "gpt-4o-mini-transcribe"]
    assert NAME.findall(", ".join(ended)) == ended
    assert NAME.findall("?model=gpt-realtime&mode=x") == ["gpt-realtime"]
