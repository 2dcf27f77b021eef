"""The extension module for development and the Rust tests are made of the same compiled parts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def parts(*selection: str) -> set[str]:
    """The crates of a build, each with its features."""
    command = ["cargo", "tree", "--offline", "--prefix", "none", "--format", "{p} [{f}]"]
    told = subprocess.run([*command, *selection], cwd=ROOT, capture_output=True, text=True)
    if told.returncode:
        pytest.skip(f"cargo tree: {told.stderr.strip()[-200:]}")
    return {line.removesuffix(" (*)") for line in told.stdout.splitlines() if line}


@pytest.mark.skipif(shutil.which("cargo") is None, reason="needs cargo")
def test_nothing_is_compiled_twice() -> None:
    feature = ("--features", "stapes-py/workspace")
    module = parts("--package", "stapes-py", *feature, "--edges", "normal,build")
    tests = parts("--workspace", *feature, "--edges", "normal,build,dev")
    others = sorted(part for part in module - tests if not part.startswith("stapes-py "))
    assert not others, (
        "the tests have these crates with other features: name those in the feature `workspace` of "
        f"rust/py/Cargo.toml: {others}"
    )
