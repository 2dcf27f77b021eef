"""The code on the pages runs, against the development server."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, Block, blocks, name_of
from tests.docs.running import ENDED, SECONDS, run_page

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext
    from pathlib import Path


def code_of(page: Path) -> list[Block]:
    """What is run of a page, and the files that its code needs."""
    return [block for block in blocks(page) if block.language == "python" or block.file]


WITH_CODE = [page for page in PAGES if code_of(page)]


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_the_code_of_a_page_runs(
    page: Path, forks: ForkServerContext, model: str, tmp_path: Path
) -> None:
    environment = {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": model, "COLUMNS": "100"}
    folder, said = tmp_path / "page", tmp_path / "said"
    folder.mkdir()
    process = forks.Process(target=run_page, args=(code_of(page), folder, environment, said))
    process.start()
    process.join(SECONDS)
    is_over = process.exitcode is not None
    process.kill()
    told = said.read_text("utf-8") if said.exists() else ""
    # Shown by `pytest -rP`: what each block took.
    print(told)
    assert is_over, f"{name_of(page)} has not ended after {SECONDS} s:\n{told}"
    assert told.rstrip().endswith(ENDED), f"{name_of(page)}:\n{told}"
    shutil.rmtree(folder)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_comments_of_blocks_are_understood(page: Path) -> None:
    """A misspelt comment would run, or not run, what it should not."""
    text = page.read_text("utf-8")
    for word in ("not run", "called", "raises"):
        known = sum(block.said is not None and block.said[0] == word for block in blocks(page))
        assert text.count(f"<!-- {word}") == known, f"{name_of(page)}: `<!-- {word}`"
