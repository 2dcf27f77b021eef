"""The stubs document what the module documents."""

from __future__ import annotations

import ast
import inspect
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from stapes._core import audio, calls

if TYPE_CHECKING:
    from types import ModuleType

Documented = ast.ClassDef | ast.FunctionDef


def documented(body: list[ast.stmt], owner: Any) -> dict[str, tuple[str | None, str | None]]:
    """Give the docstrings in the stub and at run time of what a body defines, by its full name."""
    found: dict[str, tuple[str | None, str | None]] = {}
    for node in body:
        if not isinstance(node, Documented) or node.name.startswith("__"):
            continue
        value = inspect.getattr_static(owner, node.name)
        # Of overloads the first one has the docstring.
        found.setdefault(node.name, (ast.get_docstring(node), inspect.getdoc(value)))
        if isinstance(node, ast.ClassDef):
            for name, docstrings in documented(node.body, value).items():
                found[f"{node.name}.{name}"] = docstrings
    return found


@pytest.mark.parametrize("module", [audio, calls], ids=["audio", "calls"])
def test_the_stubs_have_the_docstrings_of_the_module(module: ModuleType):
    name = module.__name__.rpartition(".")[2]
    stub = files("stapes").joinpath(f"_core/{name}.pyi").read_text()
    docstrings = documented(ast.parse(stub).body, module)
    values = vars(module).items()
    public = {name for name, value in values if not name.startswith("_") and callable(value)}
    assert public <= docstrings.keys()
    for name, (in_stub, at_run_time) in docstrings.items():
        assert at_run_time, f"{name} is not documented"
        assert in_stub == at_run_time, name
