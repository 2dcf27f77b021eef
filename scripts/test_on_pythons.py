"""Builds one wheel and runs the tests with it on each of the interpreters named.

`--prepare` only makes their environments, which needs no wheel and so can be done meanwhile.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
WHEELS = ROOT / "target" / "wheels"
INSTALL = ROOT / "scripts" / "install_extras.py"

# What an interpreter may do in its own way is tested on each: the bindings, objects and types,
# event loops, signals, forks and exits. These folders test what does not depend on it, or what the
# tests of sessions use on each interpreter as well (the development server): the interpreter of
# the development environment is enough for them. What takes real time is tested there alone, too.
TESTED_ONCE = (
    "architecture",
    "benches",
    "cli",
    "devserver",
    "docs",
    "examples",
    "far",
    "listening",
    "webrtc",
)
# Of these, what imports and runs each part of the package once.
TESTED_EVERYWHERE = (
    "cli/test_help.py",
    "cli/test_load_agent.py",
    "listening/test_over_the_wire.py",
    "webrtc/test_webrtc_sessions.py",
)
# These hold conversations with what the others test on each interpreter, and add what a provider,
# a recording or chance does: between the oldest interpreter and the newest they say nothing new.
TESTED_AT_THE_ENDS = (
    "agents_sdk",
    "conformance",
    "providers",
    "random_conversations",
    "recordings",
    "transcription",
)


def run(*command: str | Path, **environment: str) -> None:
    """Runs a command that must succeed."""
    subprocess.run(list(map(str, command)), check=True, cwd=ROOT, env=os.environ | environment)


def build(python: str | None = None) -> Path:
    """The wheel, of the same build that is developed with; for one interpreter, if it is named.

    Before CPython 3.15 there is no stable ABI without a GIL: such an interpreter has to be named.
    """
    out = WHEELS / ("any" if python is None else "named")
    shutil.rmtree(out, ignore_errors=True)
    maturin = Path(sys.executable).with_name("maturin")
    options = ("--profile", "dev", "--features", "stapes-py/workspace", "--out", out)
    named = () if python is None else ("--interpreter", python)
    run(maturin, "build", "--quiet", *options, *named)
    (wheel,) = out.glob("stapes-*.whl")
    return wheel


def version_of(python: str) -> str:
    """Its version, with a `t` where it has no GIL."""
    code = (
        "import platform, sysconfig; free = sysconfig.get_config_var('Py_GIL_DISABLED');"
        "print(platform.python_version() + 't' * bool(free))"
    )
    told = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def environment(python: str) -> tuple[str, Path]:
    """The interpreter's version, and its own environment with all that the tests need."""
    version = version_of(python)
    made = ROOT / "target" / f"venv-{version}"
    inside, installed = made / "bin" / "python", made / ".test"
    wanted = (ROOT / "pyproject.toml").stat().st_mtime
    if not installed.exists() or installed.stat().st_mtime < wanted:
        run(python, "-m", "venv", "--without-pip", made)
        run(inside, INSTALL, "test")
        installed.touch()
    return version, inside


def tests(*, is_end: bool) -> list[str]:
    """The tests that depend on the interpreter; a new folder is one of them."""
    folders = sorted({path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")})
    left_out = {*TESTED_ONCE, *(() if is_end else TESTED_AT_THE_ENDS)}
    unknown = left_out - set(folders)
    if unknown:
        raise SystemExit(f"folders that are named here are not there: {unknown}")
    chosen = [name for name in folders if name not in left_out]
    return [f"tests/{name}" for name in (*chosen, *TESTED_EVERYWHERE)]


def test(version: str, inside: Path, wheel: Path, *, is_end: bool) -> None:
    """Runs the tests in an environment of its own."""
    print(f"CPython {version} with {wheel.name}", flush=True)
    run(inside, INSTALL, wheel)
    options = ("-p", "no:cacheprovider", "--numprocesses=4", "--dist=loadfile")
    run(inside, "-m", "pytest", *options, "-m", "not real_time", *tests(is_end=is_end))


def main() -> None:
    """Tests on all of them, one after another."""
    pythons = sys.argv[1:]
    prepares = "--prepare" in pythons
    pythons = [python for python in pythons if python != "--prepare"]
    if prepares:
        for python in pythons:
            environment(python)
        return
    if not pythons:
        print("no other CPython from 3.11 up is here: the suite has run on this one only")
        return
    shared = build()
    environments = dict(environment(python) for python in pythons)
    minors = {version: int(version.split(".")[1]) for version in environments}
    known = {sys.version_info.minor, *minors.values()}
    for version, inside in environments.items():
        wheel = build(str(inside)) if version.endswith("t") else shared
        test(version, inside, wheel, is_end=minors[version] in {min(known), max(known)})


if __name__ == "__main__":
    main()
