"""mypy accepts the code on the pages, whether it is run or not."""

from __future__ import annotations

import re
import subprocess
import sys
from textwrap import indent
from typing import TYPE_CHECKING

from tests.docs.pages import ROOT, blocks, name_of
from tests.docs.test_snippets import WITH_CODE

if TYPE_CHECKING:
    from pathlib import Path

# Not said of the pages: that they define names anew from block to block, leave out what is plain
# (`def answer(call)`), and import what the reader installs.
LENIENT = (
    "assignment",
    "import-not-found",
    "import-untyped",
    "no-redef",
    "no-untyped-call",
    "no-untyped-def",
    "type-arg",
    "untyped-decorator",
)


def source(page: Path) -> str:
    """The code of a page as one module, each line of it where the page has it.

    Where the page awaits outside functions, all of it stands in one.
    """
    code = [block for block in blocks(page) if block.language == "python"]
    awaits = any(re.search(r"^(async (with|for)|.*\bawait) ", it.code, re.M) for it in code)
    lines = [f'# mypy: check-untyped-defs, disable-error-code="{",".join(LENIENT)}"']
    for block in code:
        lines += [""] * (block.line - 1 - len(lines))
        if awaits and block is code[0]:
            lines[-1] = "async def page() -> None:"
        lines += indent(block.code, "    " if awaits else "").splitlines()
    return "\n".join(lines) + "\n"


def test_mypy_accepts_the_code_of_all_pages(tmp_path: Path) -> None:
    pages = {re.sub(r"\W", "_", name_of(page)) + ".py": page for page in WITH_CODE}
    for name, page in pages.items():
        (tmp_path / name).write_text(source(page), "utf-8")
    # With the project's own settings, so that what `make lint` has found out is used again.
    files = [str(tmp_path / name) for name in pages]
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--no-color-output", *files]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = told.stdout + told.stderr
    for name, page in pages.items():
        said = said.replace(str(tmp_path / name), name_of(page))
    assert told.returncode == 0, f"mypy says of the pages:\n{said}"
