"""The command line: `stapes serve`, `stapes talk`, `stapes dev-server`, `stapes demo`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from stapes.cli.app import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("stapes"):
            raise
        sys.exit(f"stapes: the command line needs {error.name}: pip install stapes")
    app()
