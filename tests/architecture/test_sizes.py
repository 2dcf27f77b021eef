"""How large things may be."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.places import BINDINGS, CORE, PACKAGE, report, shown
from tests.architecture.python_source import PythonFile, package_files
from tests.architecture.rust_source import crate_files

MOST_LINES = 500
MOST_SESSION_LINES = 550
MOST_BINDING_LINES = 2_300
MOST_CALLS_BINDING_LINES = 900
MOST_SCOPE_FIELDS = 5

SESSION = PACKAGE / "session" / "session.py"
SCOPE = PACKAGE / "session" / "scope.py"


def _scope() -> ast.ClassDef:
    assert SCOPE.exists(), f"{shown(SCOPE)} is missing: it has the class Scope"
    classes = [node for node in PythonFile(SCOPE).tree.body if isinstance(node, ast.ClassDef)]
    found = [node for node in classes if node.name == "Scope"]
    assert found, f"{shown(SCOPE)} has no class Scope"
    return found[0]


def test_the_scope_is_frozen() -> None:
    scope = _scope()
    arguments = {
        keyword.arg: ast.unparse(keyword.value)
        for decorator in scope.decorator_list
        if isinstance(decorator, ast.Call) and "dataclass" in ast.unparse(decorator.func)
        for keyword in decorator.keywords
    }
    where = f"{shown(SCOPE)}:{scope.lineno}"
    assert arguments.get("frozen") == "True", f"{where}: Scope is no frozen dataclass"


def test_the_scope_has_few_fields_and_no_behaviour() -> None:
    scope = _scope()
    fields = [node for node in scope.body if isinstance(node, ast.AnnAssign)]
    methods = [
        f"{shown(SCOPE)}:{node.lineno}: Scope.{node.name}: Scope has fields only"
        for node in scope.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert not methods, report(methods)
    where = f"{shown(SCOPE)}:{scope.lineno}"
    assert len(fields) <= MOST_SCOPE_FIELDS, (
        f"{where}: Scope has {len(fields)} fields, at most {MOST_SCOPE_FIELDS} are allowed: a part "
        "that needs more takes it as an argument of its own"
    )


def test_the_session_class_is_its_public_face_alone() -> None:
    lines = SESSION.read_text().count("\n")
    assert lines <= MOST_SESSION_LINES, (
        f"{shown(SESSION)}: {lines} lines, at most {MOST_SESSION_LINES} are allowed"
    )


def test_no_file_is_too_long() -> None:
    """Tests within a Rust file do not count. Stubs mirror one extension module each."""
    sizes = {
        shown(file.path): file.lines_without_tests()
        for file in (*crate_files(CORE), *crate_files(BINDINGS))
        if not file.is_test
    } | {
        shown(file.path): file.path.read_text().count("\n")
        for file in package_files()
        if file.path != SESSION
    }
    found = [
        f"{path}: {lines} lines, at most {MOST_LINES} are allowed"
        for path, lines in sizes.items()
        if lines > MOST_LINES
    ]
    assert not found, report(found)


@pytest.mark.parametrize(
    ("calls", "most"), [(False, MOST_BINDING_LINES), (True, MOST_CALLS_BINDING_LINES)]
)
def test_the_bindings_stay_small(*, calls: bool, most: int) -> None:
    """They convert; what does more belongs to the core."""
    sizes = {
        shown(file.path): file.lines_without_tests()
        for file in crate_files(BINDINGS)
        if file.module[:1] != ("audio",) and (file.module[:1] == ("calls",)) == calls
    }
    total = sum(sizes.values())
    largest = [f"  {lines:5} {path}" for path, lines in sizes.items()]
    which = "of calls/" if calls else "without audio/ and calls/"
    assert total <= most, report(
        [
            f"{shown(BINDINGS)} {which}: {total} lines, at most {most} are allowed",
            *sorted(largest, reverse=True),
        ]
    )
