"""Runs the code of one page, as a process of its own does it."""

from __future__ import annotations

import ast
import asyncio
import faulthandler
import linecache
import os
import re
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.pages import Block

__all__ = ["ENDED", "SECONDS", "run_page"]

SECONDS = 55
ENDED = "the page has run to its end"


def run_page(blocks: list[Block], folder: Path, environment: dict[str, str], said: Path) -> None:
    """Runs the blocks in order, in one namespace; what they print goes to a file.

    Args:
        blocks: those of the page.
        folder: to run in; files that blocks name are written there.
        environment: what is added to the environment.
        said: takes stdout and stderr, and at the end `ENDED` or what went wrong.
    """
    told = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(told, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(stream, mode, closefd=False) for stream, mode in enumerate("rww")
    )
    faulthandler.dump_traceback_later(SECONDS - 3, file=2)
    signal.signal(signal.SIGTERM, _terminated)
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        with asyncio.Runner() as runner:
            for block in blocks:
                begun = time.monotonic()
                _run_block(block, folder, names, runner)
                print(f"# line {block.line}: {time.monotonic() - begun:.2f} s", flush=True)
        _run_tests(folder)
        print(ENDED, flush=True)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    # What a page leaves running, such as a server's thread, does not hold up the tests.
    os._exit(0)


def _terminated(number: int, frame: object) -> None:
    raise SystemExit("SIGTERM, which nothing took")


def _run_block(block: Block, folder: Path, names: dict[str, Any], runner: asyncio.Runner) -> None:
    name = block.file
    if name is not None:
        (folder / name).write_text(block.code, "utf-8")
    if block.language != "python" or (name or "").startswith(("test_", "conftest")):
        return
    key, value = block.said or ("", "")
    if key == "not run":
        return
    if key == "called":
        from tests.docs.callers import called

        called(lambda: _execute(block, names, runner), value, names)
    elif key == "raises":
        try:
            _execute(block, names, runner)
        except BaseException as error:
            kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}
            if not any(kind.rpartition(".")[2] == value.rpartition(".")[2] for kind in kinds):
                raise
        else:
            raise AssertionError(f"line {block.line}: {value} was not raised")
    else:
        _execute(block, names, runner)


def _execute(block: Block, names: dict[str, Any], runner: asyncio.Runner) -> None:
    """Runs a block: as a program where it starts a loop, otherwise in the loop of the page."""
    path = f"{block.page}:{block.line}"
    linecache.cache[path] = (len(block.code), None, block.code.splitlines(keepends=True), path)
    code = compile(
        block.code, path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )

    async def inside() -> None:
        made = eval(code, names)
        if made is not None:
            await made

    if re.search(r"\b\w+\.run\(", block.code):
        eval(code, names)
    else:
        runner.run(inside())


def _run_tests(folder: Path) -> None:
    """Runs what the page calls tests."""
    tests = sorted(map(str, folder.glob("test_*.py")))
    if not tests:
        return
    import pytest

    options = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly")
    outcome = pytest.main([f"--rootdir={folder}", *options, *tests])
    assert outcome == 0, f"the tests of the page: {outcome!r}"
