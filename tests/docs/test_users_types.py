"""pyright, as strict as it can be, knows the type of all that is public.

It checks the same files of users' code as mypy does (`tests/typing`), and one in which each public
name, field and method stands.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT

sys.path.append(str(ROOT / "scripts"))

from docs_site.api import names_by_path
from docs_site.rendering import members

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def each_name() -> Iterator[str]:
    """A module that uses everything there is."""
    names = [name for name, _ in names_by_path().values() if "pytest_plugin" not in name.module]
    yield "from typing import Any\n"
    for module in sorted({name.module for name in names}):
        yield f"import {module}\n"
    for number, name in enumerate(names):
        full = f"{name.module}.{name.name}"
        bases = [] if name.target is None or not name.target.is_class else name.target.bases
        kind = f"{full}[Any]" if any("Generic[" in str(base) for base in bases) else full
        shown = [f"x.{member}" for member in members(name)]
        if any(str(base) == "TypedDict" for base in bases):
            shown = ["x"]
        argument = f"x: {kind}" if shown else ""
        yield f"\n\ndef use_{number}({argument}) -> list[object]:\n"
        yield f"    return [{', '.join([full, *shown])}]\n"


@pytest.fixture(scope="module")
def pyright() -> list[str]:
    """The command. Its program comes from a registry when it is first run."""
    command = [sys.executable, "-m", "pyright"]
    told = subprocess.run([*command, "--version"], capture_output=True, text=True)
    if told.returncode:
        pytest.skip(f"pyright cannot be run: {(told.stderr or told.stdout).strip()[-200:]}")
    return command


def test_pyright_accepts_users_code(pyright: list[str], tmp_path: Path) -> None:
    for path in (ROOT / "tests" / "typing").glob("*.py"):
        shutil.copy(path, tmp_path)
    (tmp_path / "each_name.py").write_text("".join(each_name()), "utf-8")
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "include": ["."]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    command = [*pyright, "--pythonpath", sys.executable, "--project", str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert told.returncode == 0, told.stdout[-6000:] + told.stderr[-2000:]
    assert "0 errors" in told.stdout
