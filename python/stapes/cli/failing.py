"""How a command ends that cannot do what it was asked for."""

from __future__ import annotations

from typing import NoReturn

import typer


def fail(message: str) -> NoReturn:
    """Say why, and end with exit code 1."""
    typer.echo(f"stapes: {message}", err=True)
    raise typer.Exit(1)
