"""The page on installing and the lines that the package prints know each extra that there is."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOR_DEVELOPMENT = {"dev", "test", "wheels"}


def test_the_page_states_what_each_extra_takes():
    stated = runpy.run_path(str(ROOT / "scripts" / "wheels" / "sizes.py"))["stated"]()
    assert set(stated) == {"", *PROJECT["optional-dependencies"]} - FOR_DEVELOPMENT
    base = stated.pop("")
    assert all(size >= base[0] and count > base[1] for size, count in stated.values())


def test_each_extra_that_a_message_names_exists():
    texts = [path.read_text() for path in (ROOT / "python" / "stapes").rglob("*.py")]
    named = {
        extra
        for text in texts
        for found in re.findall(r"stapes\[([a-z,]+)\]", text)
        for extra in found.split(",")
    }
    assert {"audio", "speech", "demo"} <= named
    assert named <= set(PROJECT["optional-dependencies"])
