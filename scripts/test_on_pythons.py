"""Builds one wheel and runs the tests with it on each of the interpreters named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
WHEELS = ROOT / "target" / "wheels"


def run(*command: str | Path, **environment: str) -> None:
    """Runs a command that must succeed."""
    subprocess.run(list(map(str, command)), check=True, cwd=ROOT, env=os.environ | environment)


def build() -> Path:
    """The wheel, of the same build that is developed with."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    maturin = Path(sys.executable).with_name("maturin")
    run(maturin, "build", "--quiet", "--profile", "dev", "--out", WHEELS)
    (wheel,) = WHEELS.glob("stapes-*-abi3-*.whl")
    return wheel


def test(python: str, wheel: Path) -> None:
    """Runs the suite in an environment of its own."""
    told = [python, "-c", "import platform; print(platform.python_version())"]
    version = subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()
    print(f"CPython {version} with {wheel.name}", flush=True)
    environment = ROOT / "target" / f"venv-{version}"
    if not environment.exists():
        run(python, "-m", "venv", environment)
    inside = environment / "bin" / "python"
    run(inside, ROOT / "scripts" / "install_extras.py", "test")
    pip = (inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--force-reinstall", "--no-deps", wheel)
    # What takes real time does not depend on the interpreter: once is enough.
    run(inside, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not real_time")


def main() -> None:
    """Tests on all of them, one after another."""
    pythons = sys.argv[1:]
    if not pythons:
        print("no other CPython from 3.11 up is here: the suite has run on this one only")
        return
    wheel = build()
    for python in pythons:
        test(python, wheel)


if __name__ == "__main__":
    main()
