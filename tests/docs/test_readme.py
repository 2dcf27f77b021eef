"""What a reader does with the pages: reads for five minutes, and copies code into a file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, name_of

if TYPE_CHECKING:
    from pathlib import Path

README = (ROOT / "README.md").read_text("utf-8")
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())


def test_the_readme_has_at_most_900_words_beside_its_code() -> None:
    beside = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    assert len(beside.split()) <= 900


def test_the_readme_leads_to_files_that_are_there() -> None:
    links = re.findall(r"\]\((?!\w+:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_list_of_examples_is_whole() -> None:
    listed = re.findall(r"\]\((\w+)/README\.md\)", (ROOT / "examples/README.md").read_text("utf-8"))
    assert sorted(listed) == [path.name for path in EXAMPLES if "__pycache__" not in path.name]


@pytest.mark.parametrize("name", [path.name for path in EXAMPLES if "__" not in path.name])
def test_an_example_has_a_short_readme_that_names_its_tests(name: str) -> None:
    text = (ROOT / "examples" / name / "README.md").read_text("utf-8")
    assert len([line for line in text.splitlines() if line]) <= 12
    tests = re.findall(r"tests/examples/test_\w+\.py", text)
    assert tests
    assert all((ROOT / path).exists() for path in tests)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_that_is_copied_into_a_file_awaits_inside_of_functions_alone(page: Path) -> None:
    """The test of the pages would run it otherwise as well; Python does not."""
    for block in blocks(page):
        if block.language == "python":
            compile(block.code, f"{name_of(page)}:{block.line}", "exec", dont_inherit=True)
