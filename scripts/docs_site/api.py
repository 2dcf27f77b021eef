"""The public names of the package, as its source states them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import griffe

from docs_site.chapters import CHAPTERS, INTERNAL, MODULES, Chapter, Section

__all__ = ["Name", "chapter_names", "names_by_path", "public_names"]

ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Name:
    """A public name.

    Attributes:
        name: as it is imported.
        path: of what it names, which two names may share.
        module: from where it is imported.
        other_modules: from where it can be imported, too.
        target: griffe's object.
        overloads: the signatures of a function that has several.
    """

    name: str
    path: str
    module: str
    target: Any
    overloads: list[Any] = field(default_factory=list)
    other_modules: list[str] = field(default_factory=list)

    def is_public(self, member: str) -> bool:
        """Whether a member of the class is for users."""
        return not member.startswith("_") and f"{self.anchor}.{member}" not in INTERNAL

    @property
    def anchor(self) -> str:
        """The id of its heading."""
        return f"{self.module}.{self.name.strip('_')}"


@cache
def package() -> Any:
    """The package, read from its source and its stubs."""
    logging.getLogger("griffe").setLevel(logging.ERROR)
    return griffe.load(
        "stapes",
        search_paths=[str(ROOT / "python")],
        docstring_parser="google",
        allow_inspection=False,
        resolve_aliases=True,
        resolve_external=False,
    )


def _module(path: str) -> Any:
    return package() if path == "stapes" else package()[path.removeprefix("stapes.")]


def _exports(module: str) -> list[str]:
    """The names that a module is for; where it does not say, what it defines itself."""
    found = _module(module)
    if found.exports is not None:
        # `__all__ += events.__all__` is resolved by griffe, names and all.
        return [name if isinstance(name, str) else name.name for name in found.exports]
    own = ("class", "function", "attribute")
    return [
        name
        for name, member in found.members.items()
        if not member.is_alias and not name.startswith("_") and member.kind.value in own
    ]


def _resolved(module: str, name: str) -> tuple[str, Any, list[Any]]:
    """The path, griffe's object and the overloads of a name."""
    member = _module(module)[name] if name in _module(module).members else None
    if member is None:
        raise LookupError(f"{module}.{name} is exported and not there")
    while member.is_alias:
        path = member.target_path
        parent, _, last = path.rpartition(".")
        if parent not in ("", "stapes") and not parent.startswith("stapes."):
            return path, None, []
        holder = _module(parent)
        if last in holder.members:
            member = holder.members[last]
        else:
            # A stub of overloads alone.
            overloads = list(holder.overloads[last])
            return path, overloads[0], overloads
    if member.is_module:
        # A function that is called as its module is.
        member = member.members[name]
    overloads = list(getattr(member, "overloads", None) or [])
    return member.path, member, overloads


@cache
def public_names() -> tuple[tuple[str, str, str], ...]:
    """Each module's public names, as module, name and path of what is named."""
    found = []
    for module in MODULES:
        for name in _exports(module):
            if f"{module}.{name}" in INTERNAL:
                continue
            path = _resolved(module, name)[0] if name != "__version__" else "stapes.__version__"
            found.append((module, name, path))
    return tuple(found)


@cache
def chapter_names() -> tuple[tuple[Chapter, tuple[tuple[Section, tuple[Name, ...]], ...]], ...]:
    """What stands on each page of the reference, in order; each object stands once.

    Raises:
        LookupError: a section names what is not there.
    """
    taken: set[str] = set()
    listed: dict[Section, list[Name]] = {}
    sections = [section for chapter in CHAPTERS for section in chapter.sections]
    for section in sorted(sections, key=lambda it: not it.names):
        names = section.names.split() or _exports(section.module)
        listed[section] = []
        for name in names:
            if f"{section.module}.{name}" in INTERNAL:
                continue
            path, target, overloads = _resolved(section.module, name)
            if path in taken:
                if section.names:
                    raise LookupError(f"{section.module}.{name} stands on two pages")
                continue
            taken.add(path)
            others = [
                module
                for module, other, it in public_names()
                if it == path and module != section.module and other == name
            ]
            listed[section].append(Name(name, path, section.module, target, overloads, others))
    return tuple(
        (chapter, tuple((section, tuple(listed[section])) for section in chapter.sections))
        for chapter in CHAPTERS
    )


@cache
def names_by_path() -> dict[str, tuple[Name, str]]:
    """Each documented object with the page that it stands on, by its path."""
    return {
        name.path: (name, chapter.file)
        for chapter, sections in chapter_names()
        for _, names in sections
        for name in names
    }
