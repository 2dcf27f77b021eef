"""Tests with the oldest version of `openai-agents` that the package's metadata allows.

The newest one is in `.venv`, where the whole suite runs. The oldest is installed beside it, into a
folder that is kept, and the tests of what stands on the SDK's own parts run with it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ("tests/agents_sdk", "tests/session/test_session_tools.py")


def oldest() -> str:
    """The version, as pyproject.toml has it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r"openai-agents>=([0-9.]+)", text)
    assert found is not None, "pyproject.toml names no least version of openai-agents"
    return found[1] if found[1].count(".") > 1 else f"{found[1]}.0"


def install(version: str) -> Path:
    """Installs that version into a folder of its own, once."""
    folder = ROOT / "target" / "openai-agents" / version
    if not (folder / "agents").is_dir():
        # What it needs is there: the newest one needs the same.
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        subprocess.run([*pip, str(folder), f"openai-agents=={version}"], check=True)
    return folder


def main() -> int:
    """Runs the tests; the arguments are pytest's."""
    version = oldest()
    path = os.pathsep.join([str(install(version)), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)}
    print(f"openai-agents {version}")
    pytest = [sys.executable, "-m", "pytest", *TESTS, *sys.argv[1:]]
    return subprocess.run(pytest, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
