"""Prints the other CPythons from 3.11 up that this machine has, one of each minor version."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
NEWEST = (3, 20)


def candidates() -> list[str]:
    """Interpreters on the path, then those of pyenv."""
    minors = range(OLDEST[1], NEWEST[1])
    found = [shutil.which(f"python3.{minor}") or "" for minor in minors]
    found += map(str, sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3")))
    return [path for path in found if path]


def version(path: str) -> tuple[int, int] | None:
    """The minor version of a CPython that works; `None` for anything else."""
    code = (
        "import sys, sysconfig; free = sysconfig.get_config_var('Py_GIL_DISABLED');"
        "print(sys.implementation.name if not free else 'free', *sys.version_info[:2])"
    )
    try:
        told = subprocess.run([path, "-c", code], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match told.stdout.split():
        case ["cpython", major, minor]:
            return int(major), int(minor)
        case _:
            return None


def main() -> None:
    """Prints them."""
    known: set[tuple[int, int] | None] = {None, sys.version_info[:2]}
    for path in candidates():
        found = version(path)
        if found not in known and found is not None and found >= OLDEST:
            known.add(found)
            print(path)


if __name__ == "__main__":
    main()
