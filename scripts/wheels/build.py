"""Builds what is published, checks it, and has each wheel that can run here hold a conversation.

    python scripts/wheels/build.py [--out dist] [--no-try] [--vendored] [PYTHON ...]
    python scripts/wheels/build.py --target aarch64-unknown-linux-gnu --foreign-python COMMAND
    python scripts/wheels/build.py --abi3t --foreign-python COMMAND

zig links, so that the wheel needs no newer glibc than 2.17 (manylinux2014), whatever this machine
has. Run it with the interpreter of an environment that has the extra `wheels`: `make wheels`.

An interpreter without a GIL gets a wheel of its own; `cpython.sh` builds one.

The second form makes the wheel for a machine of another kind. It is tried where a command is given
that runs a Python of that kind, such as `qemu-aarch64-static -L ROOT ROOT/usr/bin/python3.11`.
`debian_arm64.sh` has what it takes on Debian.

The third makes the wheel for CPython 3.15 and later, with a GIL and without one (PEP 803). COMMAND
runs such a Python, for instance `chroot ROOT /usr/bin/python3.15`.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from recompress import recompress
from vendored import vendor

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent

MOST_BYTES = 5_000_000
"""The largest wheel that is published."""

HOST = "x86_64-unknown-linux-gnu"
GLIBC = "manylinux_2_17"
"""The oldest systems that a wheel runs on (PEP 600)."""

ABI3T = ("--interpreter", "python3.15", "--features", "pyo3/abi3t-py315")
"""What maturin is told for the stable ABI with and without a GIL. `abi3audit` does not know it."""

OTHERS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
"""What the packages that stapes needs may be made for."""


def run(*command: str | Path, **more: str) -> str:
    """Runs a tool of this environment, with more in its variables; what it printed."""
    tools = Path(sys.executable).parent
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    words = [str(word) for word in command]
    environment = {**os.environ, "PATH": path, **more}
    ran = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{ran.stdout}{ran.stderr}")
    return ran.stdout + ran.stderr


def check(wheel: Path, machine: str) -> None:
    """Refuses a wheel that is not what it says, or not what is to be published."""
    if (size := wheel.stat().st_size) > MOST_BYTES:
        raise SystemExit(f"{wheel.name} has {size} bytes: at most {MOST_BYTES} are published")
    told = run("auditwheel", "show", wheel)
    policy = re.search(r'consistent with the following platform tag:\s*"([^"]+)"', told)
    if policy is None or policy[1] != f"{GLIBC}_{machine}":
        raise SystemExit(f"{wheel.name} is to be {GLIBC}_{machine}; auditwheel says:\n{told}")
    if "-abi3-" in wheel.name:
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


def try_on_foreign(python: str, wheel: Path, machine: str) -> str:
    """Has a Python of another kind of machine, which `python` runs, hold a conversation."""
    words = shlex.split(python)
    told = "import sys; print(*sys.version_info[:2], sep='.')"
    version = run(*words, "-c", told).strip()
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pip += ["--target", folder, "--only-binary=:all:"]
        pip += ["--python-version", version, "--implementation", "cp"]
        for abi in (f"cp{version.replace('.', '')}", "abi3", "abi3t", "none"):
            pip += ["--abi", abi]
        for system in OTHERS:
            pip += ["--platform", f"{system}_{machine}"]
        run(*pip, wheel)
        begun = time.monotonic()
        said = run(*words, HERE / "conversation.py", PYTHONPATH=folder).strip()
    return f"{machine}, {said}; spoken in {time.monotonic() - begun:.0f} s"


def is_free_threaded(python: str) -> bool:
    """Whether an interpreter has no GIL."""
    told = "import sysconfig; print(bool(sysconfig.get_config_var('Py_GIL_DISABLED')))"
    return run(python, "-c", told).strip() == "True"


def build(out: Path, target: str, *more: str) -> Path:
    """Builds the wheel for a kind of machine, with more arguments for maturin."""
    machine = target.partition("-")[0]
    run(sys.executable, HERE / "third_party.py", target)
    maturin = ["maturin", "build", "--profile", "dist", "--compression-level", "9"]
    if target != HOST:
        maturin += ["--target", target]
    maturin += more
    with tempfile.TemporaryDirectory() as made:
        run(*maturin, "--zig", "--compatibility", "manylinux2014", "--out", made)
        (wheel,) = Path(made).glob(f"stapes-*{machine}.whl")
        recompress(wheel)
        out.mkdir(exist_ok=True)
        return Path(shutil.move(wheel, out / wheel.name))


def build_sources(out: Path, is_vendored: bool) -> None:
    """Builds the source distribution, and on demand that which needs no network."""
    for old in out.glob("stapes-*.tar.*"):
        old.unlink()
    run("maturin", "sdist", "--out", out)
    (sdist,) = out.glob("stapes-*.tar.gz")
    if is_vendored:
        vendor(sdist)


def main() -> None:
    """Builds, checks and tries."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--no-try", action="store_true", help="install and run nothing")
    parser.add_argument("--vendored", action="store_true", help="an sdist with all crates, too")
    parser.add_argument("--target", default=HOST, help="the machine, in Rust's name for it")
    parser.add_argument("--abi3t", action="store_true", help="for CPython 3.15 and later alone")
    parser.add_argument("--foreign-python", help="the command that runs a Python for the wheel")
    parser.add_argument("pythons", nargs="*", help="interpreters besides the one that runs this")
    options = parser.parse_args()
    out: Path = options.out
    is_foreign = options.abi3t or options.target != HOST
    if not is_foreign:
        build_sources(out, options.vendored)
    machine = options.target.partition("-")[0]
    for old in out.glob(f"stapes-*{machine}.whl"):
        if options.abi3t == (".abi3t-" in old.name):
            old.unlink()
    pythons = [] if is_foreign else [sys.executable, *options.pythons]
    free = [python for python in pythons if is_free_threaded(python)]
    # Before CPython 3.15 there is no stable ABI without a GIL: each has a wheel of its own.
    wheels = {
        build(out, options.target, *(ABI3T if options.abi3t else ())): [
            python for python in pythons if python not in free
        ],
        **{build(out, options.target, "--interpreter", python): [python] for python in free},
    }
    made = [*wheels] if is_foreign else [*sorted(out.glob("stapes-*.tar.*")), *wheels]
    run("twine", "check", "--strict", *(it for it in made if it.suffix != ".xz"))
    for each in made:
        print(f"{each.name}: {each.stat().st_size / 1e6:.2f} MB", flush=True)
    for wheel, takers in wheels.items():
        check(wheel, machine)
        if options.no_try:
            continue
        if is_foreign and options.foreign_python:
            print(f"  {try_on_foreign(options.foreign_python, wheel, machine)}", flush=True)
        for python in takers:
            print(f"  {try_on(python, wheel)}", flush=True)


if __name__ == "__main__":
    main()
