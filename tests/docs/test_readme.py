"""The README is for five minutes, and each example says in a few lines what it is."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT

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
