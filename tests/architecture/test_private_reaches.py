"""No module uses another object's private names.

ruff's SLF says the same, but a comment can silence it.
"""

from __future__ import annotations

import ast

from tests.architecture.places import report, shown
from tests.architecture.python_source import package_files

PUBLIC_IN_SPITE_OF_THEIR_NAME = {"_asdict", "_core", "_exit", "_fields", "_replace"}
"""Documented names of the standard library, and the extension module."""


def test_no_private_attribute_is_used_from_outside() -> None:
    found = [
        f"{shown(file.path)}:{node.lineno}: {ast.unparse(node)}"
        for file in package_files()
        for node in file.nodes
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in PUBLIC_IN_SPITE_OF_THEIR_NAME
        and not _is_own(node.value)
    ]
    assert not found, report([f"{len(found)} uses of another object's privates", *found])


def test_no_private_name_is_imported_from_another_module() -> None:
    found = [
        f"{shown(file.path)}:{node.lineno}: from {node.module} import {alias.name}"
        for file in package_files()
        for node in file.nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name.startswith("_") and alias.name != "_core" and not alias.name.startswith("__")
    ]
    assert not found, report(found)


def _is_own(value: ast.expr) -> bool:
    """Whether it is the object itself, its class, or its base."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id in {"super", "type"}
    return isinstance(value, ast.Name) and value.id in {"self", "cls"}
