"""The page of the command line, from the commands themselves."""

from __future__ import annotations

from enum import EnumType
from typing import TYPE_CHECKING, Any

import typer.main

from stapes.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["page"]


def page() -> str:
    """Each command of `stapes` with its arguments and options."""
    return "\n".join(_page())


def _page() -> Iterator[str]:
    group: Any = typer.main.get_command(app)
    yield "# Command line\n"
    yield "`pip install stapes` brings the command `stapes`.\n"
    yield "`stapes COMMAND --help` shows what is on this page.\n"
    for name, command in group.commands.items():
        yield f"## `stapes {name}` {{#stapes-{name}}}\n"
        yield f"{_text(command.help)}\n"
        arguments = [it for it in command.params if it.param_type_name == "argument"]
        options = [it for it in command.params if it.param_type_name == "option"]
        words = " ".join(it.name.upper() for it in arguments)
        yield f"```console\n$ stapes {name}{f' {words}' if words else ''} [OPTIONS]\n```\n"
        if arguments:
            yield "**Arguments**\n"
            for it in arguments:
                yield f"- **`{it.name.upper()}`**{_said(it)}: {_text(it.help)}"
            yield ""
        shown = [it for it in options if not getattr(it, "hidden", False)]
        if shown:
            yield "**Options**\n"
            for it in shown:
                names = ", ".join(f"`{each}`" for each in (*it.opts, *it.secondary_opts))
                yield f"- **{names}**{_said(it)}: {_text(it.help)}"
            yield ""


def _text(said: str | None) -> str:
    return " ".join((said or "").replace("\b", "").split())


def _said(parameter: Any) -> str:
    """What stands in brackets: the values that may be given, and the default."""
    kind = parameter.type_descriptor.annotation
    choices: list[Any] = list(kind) if isinstance(kind, EnumType) else []
    said = [", ".join(f"`{it.value}`" for it in choices)] if choices else []
    value = parameter.default
    if not (callable(value) or value in (None, (), [], "", False) or parameter.required):
        said.append(f"default `{getattr(value, 'value', value)}`")
    return f" ({'; '.join(said)})" if said else ""
