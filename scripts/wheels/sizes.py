"""Measures what the package and each of its extras take once they are installed.

    python scripts/wheels/sizes.py dist/stapes-1.0.0-cp311-abi3-manylinux2014_x86_64.whl [--check]

Each is installed into a new environment of the interpreter that runs this, from wheels alone: what
would have to be compiled is an error. `--check` holds what it measures against docs/install.md.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "docs" / "install.md"
EXTRAS = ("", "audio", "speech", "demo")
TOLERANCE = 0.15
"""Packages of others grow: the page is right as long as it is this near."""


def installed(wheel: Path, extra: str) -> tuple[float, int]:
    """How many MB the wheel takes with that extra, and how many distributions it is then."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pip += ["--no-compile", "--only-binary=:all:", "--target", folder]
        what = f"{wheel}[{extra}]" if extra else str(wheel)
        subprocess.run([*pip, what], check=True)
        files = (path for path in Path(folder).rglob("*") if path.is_file())
        size = sum(path.lstat().st_size for path in files)
        return size / 1e6, len(list(distributions(path=[folder])))


def stated() -> dict[str, tuple[float, int]]:
    """What the page says of each: MB and distributions, those of the package itself included."""
    row = r"^\| `stapes(?:\[(\w+)\])?` \|.*\| ([\d,]+) MB, (\d+) packages \|$"
    found = re.findall(row, PAGE.read_text(), re.MULTILINE)
    return {extra: (float(size.replace(",", "")), int(count)) for extra, size, count in found}


def main() -> None:
    """Measures, and says where the page is wrong."""
    wheel, is_checked = Path(sys.argv[1]).resolve(), "--check" in sys.argv
    said, wrong = stated(), []
    for extra in EXTRAS:
        size, count = installed(wheel, extra)
        print(f"stapes[{extra}]: {size:.0f} MB, {count} packages", flush=True)
        if extra not in said or abs(said[extra][0] - size) > TOLERANCE * size:
            wrong.append(f"stapes[{extra}]: {said.get(extra, 'nothing')}")
    if is_checked and wrong:
        raise SystemExit(f"{PAGE.name} says otherwise: {'; '.join(wrong)}")


if __name__ == "__main__":
    main()
