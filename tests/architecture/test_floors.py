"""Who may import whom: the floors of the core, the bindings, the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.architecture.graph import Graph
from tests.architecture.places import BINDINGS, CORE, report, shown
from tests.architecture.python_source import package_files
from tests.architecture.rust_source import crate_files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.architecture.rust_source import RustFile

MAY_USE = {
    # The caller's end: coupled with a session.
    "calls": {"session", "conversation", "transport", "audio"},
    # Joins sessions with their delivery: neither of the two may know the other's messages.
    "dispatch": {"calls", "session", "conversation", "transport", "audio", "delivery"},
    "session": {"conversation", "transport", "audio", "delivery"},
    "conversation": {"audio"},
    "transport": {"audio"},
    "audio": set(),
    "delivery": set(),
}
"""The floors of the core, and what each may import."""
BASE_FILES = {"buffer_pool", "record"}
"""Files beside the floors that every floor may use and that use none."""

CLIENT_BASE = ("agent", "approvals", "config", "errors", "events", "items")
BELOW_SESSION = ("hub", "playback", "providers", "transport")
ABOVE_SESSION = ("agents_sdk", "calls", "cli", "devserver", "testing")


def test_the_core_has_its_floors_and_no_other() -> None:
    floors = {path.name for path in CORE.iterdir() if path.is_dir()}
    files = {path.stem for path in CORE.glob("*.rs")} - {"lib"}
    missing, unknown = set(MAY_USE) - floors, (floors - set(MAY_USE)) | (files - BASE_FILES)
    assert not missing, f"{shown(CORE)} has no folder for the floors {sorted(missing)}"
    assert not unknown, f"{shown(CORE)} has what belongs to no floor: {sorted(unknown)}"


def test_each_floor_of_the_core_imports_only_downward() -> None:
    found: list[str] = []
    for file in crate_files(CORE):
        if not file.module:
            continue
        floor = file.module[0]
        allowed = {floor, *BASE_FILES, *MAY_USE.get(floor, set())}
        found.extend(
            f"{shown(file.path)}:{use.line}: {floor} must not use crate::{'::'.join(use.path)}"
            for use in file.uses
            if use.path and use.path[0] in MAY_USE and use.path[0] not in allowed
        )
    assert not found, report(found)


def test_the_floors_of_the_core_do_not_use_its_root() -> None:
    """The root re-exports; a floor that used a name from there would hide where it comes from."""
    found = [
        f"{shown(file.path)}:{use.line}: crate::{'::'.join(use.path)} names no floor"
        for file in crate_files(CORE)
        if file.module
        for use in file.uses
        if use.path[:1] and use.path[0] not in {*MAY_USE, *BASE_FILES}
    ]
    assert not found, report(found)


def test_the_core_does_not_know_python() -> None:
    """Its root says so; nothing else says the word."""
    paths = [*sorted(CORE.rglob("*.rs")), CORE.parent / "Cargo.toml"]
    found = [
        f"{shown(path)}:{number}: {line.strip()}"
        for path in paths
        if path != CORE / "lib.rs"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "pyo3" in line.lower() or "python" in line.lower()
    ]
    assert not found, report(found)


def test_the_files_of_the_bindings_form_no_cycle() -> None:
    files = {file.module: file for file in crate_files(BINDINGS)}
    graph = Graph()
    for file in files.values():
        for use in file.uses:
            target = _file_of(use.path, files)
            graph.add(shown(file.path), shown(target.path), f"{shown(file.path)}:{use.line}")
    cycles = graph.cycles()
    assert not cycles, report(cycles)


def _file_of(path: tuple[str, ...], files: dict[tuple[str, ...], RustFile]) -> RustFile:
    """The file that has what is at this path of the crate."""
    while path and path not in files:
        path = path[:-1]
    return files[path]


@pytest.mark.parametrize("crate", [CORE, BINDINGS], ids=["core", "py"])
def test_the_folders_of_a_crate_form_no_cycle(crate: Path) -> None:
    """Folders that stand beside each other; a file may use its own parents."""
    graphs: dict[tuple[str, ...], Graph] = {}
    for file in crate_files(crate):
        folder = file.path.parent.relative_to(crate).parts
        for use in file.uses:
            pairs = enumerate(zip(folder, use.path, strict=False))
            fork = next((at for at, (ours, theirs) in pairs if ours != theirs), None)
            if fork is None or not crate.joinpath(*use.path[: fork + 1]).is_dir():
                continue
            source, target = folder[: fork + 1], use.path[: fork + 1]
            where = f"{shown(file.path)}:{use.line}"
            graphs.setdefault(folder[:fork], Graph()).add("/".join(source), "/".join(target), where)
    cycles = [cycle for graph in graphs.values() for cycle in graph.cycles()]
    assert not cycles, report(cycles)


def test_the_modules_of_the_package_form_no_cycle() -> None:
    """Imports in functions and for type checkers count: they are knowledge, too."""
    graph = Graph()
    for file in package_files():
        for one in file.imports:
            graph.add(file.module, one.module, f"{shown(file.path)}:{one.line}")
    cycles = graph.cycles()
    assert not cycles, report(cycles)


def _imports(importers: tuple[str, ...], forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{shown(file.path)}:{one.line}: {file.module} must not import {one.module}"
        for file in package_files()
        if _part(file.module) in importers
        for one in file.imports
        if _part(one.module) in forbidden
    ]


def _part(module: str) -> str:
    """The file or folder of the package that a module belongs to."""
    return [*module.split("."), ""][1]


def test_what_users_read_knows_no_session() -> None:
    above = ("session", *BELOW_SESSION, *ABOVE_SESSION)
    found = _imports(tuple(name for name in CLIENT_BASE if name != "agent"), above)
    assert not found, report(found)


def test_what_carries_a_session_does_not_know_it() -> None:
    found = _imports(BELOW_SESSION, ("session", *ABOVE_SESSION))
    assert not found, report(found)


def test_the_session_knows_nothing_of_what_stands_on_it() -> None:
    found = _imports(("session", "agent"), ABOVE_SESSION)
    assert not found, report(found)


def test_the_development_server_shares_no_code_with_the_client() -> None:
    """The page that it serves is the browser's code, which is no client of this language."""
    found = [
        f"{shown(file.path)}:{one.line}: {file.module} must not import {one.module}"
        for file in package_files()
        if _part(file.module) == "devserver"
        for one in file.imports
        if _part(one.module) not in ("devserver", "web")
    ]
    assert not found, report(found)


def test_what_a_browser_is_given_needs_nothing_of_the_package() -> None:
    found = [
        f"{shown(file.path)}:{one.line}: {file.module} must not import {one.module}"
        for file in package_files()
        if _part(file.module) == "web"
        for one in file.imports
        if _part(one.module) != "web"
    ]
    assert not found, report(found)
