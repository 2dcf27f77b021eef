"""Reads Python sources as far as these tests need it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, NamedTuple

from tests.architecture.places import PACKAGE

if TYPE_CHECKING:
    from pathlib import Path


class Import(NamedTuple):
    """A module that another one names, wherever in the file."""

    module: str
    line: int


class Declaration(NamedTuple):
    """A name that the file gives to something."""

    name: str
    line: int


@dataclass(frozen=True)
class PythonFile:
    """A source file of the package."""

    path: Path

    @property
    def module(self) -> str:
        """Its dotted name."""
        parts = self.path.relative_to(PACKAGE.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return ast.parse(self.path.read_text(), self.path.name)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All of its nodes."""
        return list(ast.walk(self.tree))

    @cached_property
    def imports(self) -> list[Import]:
        """What it imports of the package: at the top, in functions and for type checkers alike."""
        found: list[Import] = []
        for node in self.nodes:
            if isinstance(node, ast.Import):
                found.extend(Import(alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                for alias in node.names:
                    inner = f"{base}.{alias.name}"
                    found.append(Import(inner if inner in modules() else base, node.lineno))
        return [one for one in found if one.module.split(".")[0] == PACKAGE.name]

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.module.split(".")
        if self.path.name != "__init__.py":
            package.pop()
        package = package[: len(package) - node.level + 1]
        return ".".join([*package, node.module] if node.module else package)

    @cached_property
    def declarations(self) -> list[Declaration]:
        """Classes, functions, parameters, variables and attributes."""
        found = [Declaration(self.module.split(".")[-1], 1)]
        for node in self.nodes:
            match node:
                case (
                    ast.ClassDef(name=name)
                    | ast.FunctionDef(name=name)
                    | ast.AsyncFunctionDef(name=name)
                    | ast.arg(arg=name)
                    | ast.Name(id=name, ctx=ast.Store())
                    | ast.Attribute(attr=name, ctx=ast.Store())
                    | ast.alias(asname=str(name))
                ):
                    found.append(Declaration(name, node.lineno))
        return found


@cache
def package_files() -> tuple[PythonFile, ...]:
    """All sources of the package, in order."""
    return tuple(PythonFile(path) for path in sorted(PACKAGE.rglob("*.py")))


@cache
def stub_files() -> tuple[PythonFile, ...]:
    """The stubs of the extension module."""
    return tuple(PythonFile(path) for path in sorted(PACKAGE.rglob("*.pyi")))


@cache
def modules() -> frozenset[str]:
    """The dotted names of all modules and packages, the extension's among them."""
    return frozenset(file.module for file in (*package_files(), *stub_files()))
