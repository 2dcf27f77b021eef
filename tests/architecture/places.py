"""Where the product's code is."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ROOT / "rust" / "core" / "src"
BINDINGS = ROOT / "rust" / "py" / "src"
PACKAGE = ROOT / "python" / "stapes"


def shown(path: Path) -> str:
    """The path as a reader of a failure knows it."""
    return path.relative_to(ROOT).as_posix()


def report(found: list[str]) -> str:
    """The text of a failure: one finding a line."""
    return "\n".join(["", *found])
