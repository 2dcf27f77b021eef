"""The readers of sources find what the other tests look for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.architecture.graph import Graph
from tests.architecture.python_source import package_files
from tests.architecture.rust_source import RustFile

if TYPE_CHECKING:
    from pathlib import Path

RUST = """\
//! Says `use crate::comment::Name`.
use crate::audio::{self, format::{AudioFormat, g711 as law}};
pub(in crate::transport) use super::super::session::Session;
use tokio::sync::Notify;

const TEXT: &str = "use crate::literal::Name; {";
const RAW: &str = r#"a " { quote"#;
const BRACE: char = '{';

event_table! {
    enum Event {
        Raw { text: String }
        Made { item: Arc<Item> }
    }
}

enum Kind<'a> {
    First,
    /// Of two fields.
    Second { size: usize, name: &'a str },
    Third(crate::inline::Path),
}

fn run<'a>(given: Kind<'a>) -> usize {
    let (left, Some(mut right)) = pair else { return 0 };
    for turn in 0..3 {}
    right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Event;
    use super::super::endpoint::Frame;

    #[test]
    fn it_runs() {}
}
"""


@pytest.fixture
def rust(tmp_path: Path) -> RustFile:
    path = tmp_path / "transport" / "net" / "dial.rs"
    path.parent.mkdir(parents=True)
    path.write_text(RUST)
    return RustFile(path, tmp_path)


def test_rust_paths_are_made_absolute(rust: RustFile) -> None:
    assert rust.module == ("transport", "net", "dial")
    assert [("::".join(use.path), use.line) for use in rust.uses] == [
        ("audio", 2),
        ("audio::format::AudioFormat", 2),
        ("audio::format::g711", 2),
        ("transport::session::Session", 3),
        ("transport::net::dial::*", 32),
        ("conversation::Event", 33),
        ("transport::net::endpoint::Frame", 34),
        ("inline::Path", 21),
    ]


def test_rust_declarations_are_found(rust: RustFile) -> None:
    names = {one.name for one in rust.declarations}
    assert {"dial", "TEXT", "RAW", "Kind", "First", "Second", "Third", "size", "name"} <= names
    assert {"Event", "Raw", "Made", "text", "item"} <= names
    assert {"run", "given", "left", "right", "turn", "tests", "it_runs"} <= names
    assert not {"Name", "String", "AudioFormat", "Some", "usize", "comment"} & names


def test_the_tests_of_a_rust_file_do_not_count(rust: RustFile) -> None:
    assert rust.lines_without_tests() == RUST.splitlines().index("#[cfg(test)]")


def test_imports_for_type_checkers_and_in_functions_count() -> None:
    files = {file.module: file for file in package_files()}
    imported = {one.module for one in files["stapes"].imports}
    assert {"stapes._core", "stapes.events", "stapes.session"} <= imported
    assert not any(name.startswith("openai") for name in imported)


def test_a_cycle_is_found_with_the_lines_that_make_it() -> None:
    graph = Graph()
    for source, target in zip("abccdf", "bcadef", strict=True):
        graph.add(source, target, f"{source}.py:1")
    (cycle,) = graph.cycles()
    assert cycle.splitlines() == [
        "these 3 import each other: a, b, c",
        "  a.py:1: a -> b",
        "  b.py:1: b -> c",
        "  c.py:1: c -> a",
    ]
