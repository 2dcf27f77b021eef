"""The configuration file of a command: its options by their names, as defaults."""

from __future__ import annotations

import tomllib
from pathlib import Path  # noqa: TC003  (typer reads it)
from typing import Any

import typer

_NOT_IN_A_FILE = {"config", "help"}


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take the options that a TOML file names as defaults of the command; for `--config`.

    Raises:
        BadParameter: it cannot be read, or has what is no option; names it.
    """
    if path is None:
        return None
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} is not TOML: {error}") from None
    context.default_map = _defaults(context, given, path)
    return path


def _defaults(context: typer.Context, given: dict[str, Any], path: Path) -> dict[str, Any]:
    known = {
        option.removeprefix("--"): parameter
        for parameter in context.command.params
        if parameter.param_type_name == "option" and not getattr(parameter, "hidden", False)
        for option in parameter.opts
        if option.startswith("--")
    }
    known = {name: known[name] for name in sorted(known.keys() - _NOT_IN_A_FILE)}
    defaults: dict[str, Any] = {}
    for name, value in given.items():
        parameter = known.get(name)
        if parameter is None or parameter.name is None:
            raise typer.BadParameter(
                f"{path} has {name!r}, which is no option; the options are {', '.join(known)}. "
                "Secrets come from the environment."
            )
        if parameter.multiple != isinstance(value, list) or isinstance(value, dict):
            wanted = "a list of texts" if parameter.multiple else "one value"
            raise typer.BadParameter(f"{path}: {name} has to be {wanted}")
        defaults[parameter.name] = value
    return defaults
