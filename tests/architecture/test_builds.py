"""Nothing is compiled twice, or for nothing; and all tests are run."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^\s*//[/!] ```(.*)\n(?:\s*//[/!].*\n)*?\s*//[/!] ```", re.MULTILINE)


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


def targets() -> Iterator[tuple[str, Path, bool, bool]]:
    """The libraries and programs of the workspace: name, folder, whether tests and examples run."""
    for manifest in [*ROOT.glob("rust/*/Cargo.toml"), *ROOT.glob("benches/*/rust/Cargo.toml")]:
        parsed = tomllib.loads(manifest.read_text("utf-8"))
        folder = manifest.parent / "src"
        if (library := parsed.get("lib")) is not None:
            examples = library.get("doctest", True)
            yield parsed["package"]["name"], folder, library.get("test", True), examples
        for program in parsed.get("bin", []):
            path = manifest.parent / program["path"]
            where = path.parent if path.name == "main.rs" else path
            yield program["name"], where, program.get("test", True), True


def sources(where: Path) -> list[str]:
    """The text of its files."""
    files = where.rglob("*.rs") if where.is_dir() else [where]
    return [file.read_text("utf-8") for file in files]


def test_what_cargo_is_told_to_leave_out_has_no_tests() -> None:
    told = list(targets())
    untested = {name: where for name, where, is_tested, _ in told if not is_tested}
    assert untested
    for name, where in untested.items():
        assert not any(re.search(r"#\[(tokio::)?test", text) for text in sources(where)), name
    without = {name: where for name, where, _, has_examples in told if not has_examples}
    for name, where in without.items():
        fences = {kind for text in sources(where) for kind in FENCE.findall(text)}
        assert fences <= {"text", "json"}, name
