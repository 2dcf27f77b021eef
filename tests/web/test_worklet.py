"""The audio thread's part of stapes.js, by node: worklet.test.mjs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node")


def _runs_tests() -> bool:
    if NODE is None:
        return False
    version = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=False)
    return int(version.stdout.strip("v\n").partition(".")[0] or 0) >= 18


@pytest.mark.skipif(not _runs_tests(), reason="the worklet is not tested: there is no node 18")
def test_the_worklet():
    tests = Path(__file__).parent / "worklet.test.mjs"
    ran = subprocess.run(
        [str(NODE), "--test", str(tests)], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
