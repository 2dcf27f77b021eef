"""Commands on the pages name what `stapes` has."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pytest
import typer.main

from stapes.cli.app import app
from tests.docs.pages import PAGES, Block, blocks, name_of

if TYPE_CHECKING:
    from pathlib import Path


def commands(page: Path) -> list[tuple[Block, list[str]]]:
    """The words of each `stapes ...` in the `console` blocks of a page, without `stapes`."""
    found = []
    for block in blocks(page):
        if block.language != "console":
            continue
        for line in block.code.replace("\\\n", " ").splitlines():
            if not line.startswith("$ "):
                continue
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words and "=" in words[0]:
                words = words[1:]
            if words[:1] == ["stapes"]:
                found.append((block, words[1:]))
    return found


def options_of(command: Any) -> dict[str, Any]:
    """The options of a command, by each of their names."""
    return {
        name: parameter
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("-")
    }


WITH_COMMANDS = [page for page in PAGES if commands(page)]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_commands_and_their_options_exist(page: Path) -> None:
    group: Any = typer.main.get_command(app)
    for block, words in commands(page):
        where = f"{name_of(page)}:{block.line}: stapes {' '.join(words)}"
        command = group
        if words and not words[0].startswith("-"):
            assert words[0] in group.commands, where
            command = group.commands[words[0]]
            words = words[1:]
        known = options_of(command)
        for word in words:
            name = word.partition("=")[0]
            if name.startswith("-") and name not in ("-", "--help"):
                assert name in known, f"{where}: {name} is none of {sorted(known)}"


def test_there_are_commands_to_check() -> None:
    assert WITH_COMMANDS
