"""Runs the realtime tests of `openai-agents` with our model in place of theirs.

    export STAPES_AGENTS_SDK_TESTS=/somewhere/openai-agents-python
    .venv/bin/python scripts/run_sdk_tests.py

The folder is a checkout or an unpacked source distribution of `openai-agents`, of the version that
is installed. Nothing of it is copied. tests/agents_sdk/README.md says which tests apply, and why
the others do not; the last lines of the output count them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
VARIABLE = "STAPES_AGENTS_SDK_TESTS"


def command(folder: Path, arguments: list[str]) -> list[str]:
    """What runs the tests of a checkout."""
    tests = sorted((folder / "tests" / "realtime").glob("test_*.py"))
    # These are of their examples, and need what those do.
    of_model = [str(path) for path in tests if not path.name.startswith(("test_app_", "test_twi"))]
    settings = ("asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function", "addopts=")
    options = ["-p", "sdk_suite", "-q", *(text for one in settings for text in ("-o", one))]
    return [sys.executable, "-m", "pytest", f"--rootdir={folder}", *options, *arguments, *of_model]


def main() -> int:
    """Runs them; without the folder it says so and succeeds."""
    where = os.environ.get(VARIABLE)
    if not where:
        print(f"{VARIABLE} names no folder: the SDK's own tests are not run")
        return 0
    folder = Path(where).resolve()
    if not (folder / "tests" / "realtime").is_dir():
        print(f"{VARIABLE}: {folder} has no tests/realtime")
        return 2
    path = os.pathsep.join([str(ROOT / "tests" / "agents_sdk"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)}
    run = subprocess.run(command(folder, sys.argv[1:]), cwd=folder, env=environment, check=False)
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
