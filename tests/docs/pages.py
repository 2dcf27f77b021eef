"""The pages of the documentation, and the code that stands in them.

A fenced block is told apart by its language, and by what the comment just above it says:

    <!-- not run: REASON -->       compiled and checked by mypy, not run
    <!-- called: twilio /path -->  a call comes in while it runs: see callers.py
    <!-- raises: NAME -->          ends with that exception

A block whose first line is a comment with the name of a file (`# test_desk.py`) is written to that
file as well. `<!-- hidden`, lines of Python, `-->` is run like a block, and not seen by readers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent

__all__ = ["DOCS", "PAGES", "ROOT", "Block", "blocks", "name_of"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(path for path in DOCS.rglob("*.md"))]

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>```+)(?P<language>[\w-]*)[^\n]*\n"
    r"(?P<code>.*?)^(?P=indent)(?P=ticks) *$"
    r"|^<!-- hidden\n(?P<hidden>.*?)^-->$",
    re.MULTILINE | re.DOTALL,
)
_SAID = re.compile(r"<!-- (?P<key>not run|called|raises): (?P<value>[^\n]+?) -->")
_FILE = re.compile(r"# ([\w./-]+\.\w+)\n")


@dataclass(frozen=True, slots=True)
class Block:
    """Code of a page.

    Attributes:
        page: where it stands.
        line: the line of the page on which the code begins, from 1.
        language: `python`, `console`, ...
        code: the code.
        said: what the comment above it says, as key and value.
    """

    page: Path
    line: int
    language: str
    code: str
    said: tuple[str, str] | None = None

    @property
    def file(self) -> str | None:
        """The name of the file that its first line names."""
        found = _FILE.match(self.code)
        return found[1] if found else None

    @property
    def is_run(self) -> bool:
        """Whether it is run, as far as its comment says."""
        return self.said is None or self.said[0] != "not run"


def name_of(page: Path) -> str:
    """The name of a page in reports."""
    return page.relative_to(ROOT).as_posix()


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """The blocks of a page, in order."""
    text = page.read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        group = "code" if match["hidden"] is None else "hidden"
        line = text.count("\n", 0, match.start(group)) + 1
        language = "python" if group == "hidden" else match["language"]
        above = text[: match.start()].rstrip("\n ").rpartition("\n")[2].strip()
        comment = _SAID.fullmatch(above)
        said = (comment["key"], comment["value"]) if comment else None
        found.append(Block(page, line, language, dedent(match[group]), said))
    return tuple(found)
