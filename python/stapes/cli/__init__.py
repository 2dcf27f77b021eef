"""The command line: `stapes demo`, `stapes talk`, `stapes dev-server`."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from stapes.cli.app import app

    app()
