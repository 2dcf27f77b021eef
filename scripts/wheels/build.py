"""Builds what is published, checks it, and has each wheel that can run here hold a conversation.

    python scripts/wheels/build.py [--out dist] [--no-try] [PYTHON ...]

zig links, so that the wheel needs no newer glibc than 2.17 (manylinux2014), whatever this machine
has. Run it with the interpreter of an environment that has the extra `wheels`: `make wheels`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent

MOST_BYTES = 5_000_000
"""The largest wheel that is published."""

POLICY = "manylinux_2_17_x86_64"
"""The oldest systems that the wheel runs on (PEP 600)."""


def run(*command: str | Path) -> str:
    """Runs a tool of this environment; what it printed."""
    tools = Path(sys.executable).parent
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    words = [str(word) for word in command]
    environment = {**os.environ, "PATH": path}
    ran = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{ran.stdout}{ran.stderr}")
    return ran.stdout + ran.stderr


def check(wheel: Path) -> None:
    """Refuses a wheel that is not what it says, or not what is to be published."""
    if (size := wheel.stat().st_size) > MOST_BYTES:
        raise SystemExit(f"{wheel.name} has {size} bytes: at most {MOST_BYTES} are published")
    told = run("auditwheel", "show", wheel)
    policy = re.search(r'consistent with the following platform tag:\s*"([^"]+)"', told)
    if policy is None or policy[1] != POLICY:
        raise SystemExit(f"{wheel.name} is to be {POLICY}; auditwheel says:\n{told}")
    run("abi3audit", "--strict", wheel)
    names = zipfile.ZipFile(wheel).namelist()
    for needed in ("licenses/LICENSE", "THIRD_PARTY_LICENSES.txt", "sboms/", "py.typed"):
        if not any(needed in name for name in names):
            raise SystemExit(f"{wheel.name} lacks {needed}")


def try_on(python: str, wheel: Path) -> str:
    """Installs a wheel in a new environment of that interpreter, and holds a conversation."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        run(python, "-m", "venv", folder)
        own = Path(folder) / "bin" / "python"
        run(own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
        installed = time.monotonic()
        said = run(own, "-I", HERE / "conversation.py").strip()
        ended = time.monotonic()
    return f"{said}; installed in {installed - begun:.0f} s, spoken in {ended - installed:.0f} s"


def main() -> None:
    """Builds, checks and tries."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--no-try", action="store_true", help="install and run nothing")
    parser.add_argument("pythons", nargs="*", help="interpreters besides the one that runs this")
    options = parser.parse_args()
    out: Path = options.out
    run(sys.executable, HERE / "third_party.py")
    for old in out.glob("stapes-*"):
        old.unlink()
    run("maturin", "sdist", "--out", out)
    maturin = ("maturin", "build", "--profile", "dist", "--compression-level", "9")
    run(*maturin, "--zig", "--compatibility", "manylinux2014", "--out", out)
    wheels = sorted(out.glob("*.whl"))
    run("twine", "check", "--strict", *out.glob("stapes-*"))
    for made in sorted(out.glob("stapes-*")):
        print(f"{made.name}: {made.stat().st_size / 1e6:.2f} MB", flush=True)
    for wheel in wheels:
        check(wheel)
        for python in [] if options.no_try else [sys.executable, *options.pythons]:
            print(f"  {try_on(python, wheel)}", flush=True)


if __name__ == "__main__":
    main()
