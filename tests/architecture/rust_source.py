"""Reads Rust sources as far as these tests need it: paths, declarations, the extent of tests."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_NO_CODE = re.compile(
    r"""
    //[^\n]*
  | /\*.*?\*/
  | \b[bc]?r(?P<hashes>\#*)".*?"(?P=hashes)
  | \b[bc]?"(?:\\.|[^"\\])*"
  | "(?:\\.|[^"\\])*"
  | \bb?'(?:\\[^']+|\\'|[^'\\\n])'
  | '(?:\\[^']+|\\'|[^'\\\n])'
    """,
    re.DOTALL | re.VERBOSE,
)
_USE = re.compile(r"\buse\s+([^;]+);")
_PATH = re.compile(r"(?<!in )(?<!::)(?<![\w$])((?:crate|super|self)(?:::\w+)+)")
_MODULE = re.compile(r"\bmod\s+(\w+)\s*\{")
_TESTS = re.compile(
    r"#\[cfg\((?:test|all\([^\]]*\btest\b[^\]]*)\)\]\s*(?:#\[[^\]]*\]\s*)*mod\s+\w+\s*\{"
)
_ITEM = re.compile(r"\b(?:struct|enum|trait|fn|mod|const|static|type|union)\s+(?:mut\s+)?(\w+)")
_BINDING = re.compile(r"\b(?:let|for)\s+([^=;{]+?)\s*(?:=|;|:(?!:)|\bin\b)")
_LABEL = re.compile(r"(?<![\w:])(\w+)\s*:(?!:)")
_ENUM = re.compile(r"\benum\s+\w+[^{;]*\{")


class Use(NamedTuple):
    """A path that begins with the crate's root, made absolute."""

    path: tuple[str, ...]
    line: int


class Declaration(NamedTuple):
    """A name that the file gives to something."""

    name: str
    line: int


@dataclass(frozen=True)
class RustFile:
    """A source file of a crate."""

    path: Path
    crate: Path
    """The folder that holds the crate's `lib.rs`."""

    @property
    def module(self) -> tuple[str, ...]:
        """The path of its module within the crate."""
        parts = self.path.relative_to(self.crate).with_suffix("").parts
        return parts[:-1] if parts[-1] in {"mod", "lib"} else parts

    @cached_property
    def code(self) -> str:
        """The text; comments and literals are blank, and each character is where it was."""
        return _NO_CODE.sub(_blank, self.path.read_text())

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.code))]

    def line(self, offset: int) -> int:
        """The number of the line that has this character."""
        return bisect_right(self._starts, offset)

    @cached_property
    def is_test(self) -> bool:
        """Whether all of the file is compiled for tests only."""
        within = self.path.relative_to(self.crate).with_suffix("").parts
        return "tests" in within

    def lines_without_tests(self) -> int:
        """The lines of the file but those of its test modules."""
        total = self.path.read_text().count("\n")
        for match in _TESTS.finditer(self.code):
            end = _end_of_block(self.code, match.end())
            total -= self.line(end) - self.line(match.start()) + 1
        return total

    @cached_property
    def uses(self) -> list[Use]:
        """What it names of its own crate by `crate::`, `super::` or `self::`."""
        found: list[Use] = []
        modules = self._inline_modules()
        rest = list(self.code)
        for match in _USE.finditer(self.code):
            rest[match.start() : match.end()] = " " * (match.end() - match.start())
            for path in _use_tree(match[1]):
                self._add(found, path, match.start(), modules)
        for match in _PATH.finditer("".join(rest)):
            self._add(found, tuple(match[1].split("::")), match.start(), modules)
        return found

    def _add(
        self,
        found: list[Use],
        path: tuple[str, ...],
        offset: int,
        modules: list[tuple[int, int, str]],
    ) -> None:
        if path[0] not in {"crate", "super", "self"}:
            return
        inline = [name for start, end, name in modules if start <= offset < end]
        current = [] if path[0] == "crate" else [*self.module, *inline]
        rest = list(path)
        if len(rest) > 1 and rest[-1] == "self":
            rest.pop()
        while rest and rest[0] in {"crate", "super", "self"}:
            if rest.pop(0) == "super" and current:
                current.pop()
        found.append(Use((*current, *rest), self.line(offset)))

    def _inline_modules(self) -> list[tuple[int, int, str]]:
        return [
            (match.end(), _end_of_block(self.code, match.end()), match[1])
            for match in _MODULE.finditer(self.code)
        ]

    @cached_property
    def declarations(self) -> list[Declaration]:
        """Items, enum variants, fields, parameters and local bindings."""
        found = [Declaration(self.module[-1], 1)] if self.module else []
        for pattern in (_ITEM, _LABEL):
            found.extend(
                Declaration(match[1], self.line(match.start(1)))
                for match in pattern.finditer(self.code)
            )
        for match in _BINDING.finditer(self.code):
            line = self.line(match.start(1))
            names = re.findall(r"(?<![\w:.])[a-z_]\w*(?!\s*[({:\w])", match[1])
            found.extend(Declaration(name, line) for name in names)
        for match in _ENUM.finditer(self.code):
            body = _outside_brackets(self.code[match.end() : _end_of_block(self.code, match.end())])
            found.extend(
                Declaration(variant[0], self.line(match.end() + variant.start()))
                for variant in re.finditer(r"\b[A-Z]\w*", body)
            )
        return found


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _end_of_block(code: str, start: int) -> int:
    """Where the block ends whose opening brace stands before `start`."""
    depth = 1
    for match in re.compile("[{}]").finditer(code, start):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.start()
    return len(code)


def _outside_brackets(text: str) -> str:
    """The text; what stands in brackets is blank."""
    kept, depth = [], 0
    for character in text:
        depth -= character in ")]}"
        kept.append(character if depth == 0 else " ")
        depth += character in "([{"
    return "".join(kept)


def _split(text: str) -> list[tuple[int, str]]:
    """The parts of a list that commas separate outside all brackets, each with its offset."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append((start, text[start:at]))
            start = at + 1
    return [*parts, (start, text[start:])]


def _use_tree(tree: str) -> list[tuple[str, ...]]:
    """The paths that a `use` names, without their aliases."""
    head, brace, rest = tree.strip().partition("{")
    prefix = tuple(part.strip() for part in head.split("::") if part.strip())
    if brace:
        inner = rest[: rest.rindex("}")]
        return [
            prefix + path for _, part in _split(inner) for path in _use_tree(part) if part.strip()
        ]
    if not prefix:
        return []
    *most, last = prefix
    return [(*most, last.split()[0])]


@cache
def crate_files(crate: Path) -> tuple[RustFile, ...]:
    """All sources of a crate, in order."""
    return tuple(RustFile(path, crate) for path in sorted(crate.rglob("*.rs")))
