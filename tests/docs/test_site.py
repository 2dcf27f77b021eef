"""The site is built without a complaint, names all that is public, and its search finds things."""

from __future__ import annotations

import functools
import html
import http.server
import importlib
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.pages import ROOT

sys.path += [str(ROOT / "scripts"), str(ROOT / "tests" / "devserver")]

from chromium import Chromium, needs_chromium
from docs_site.api import names_by_path, public_names
from docs_site.chapters import INTERNAL, MODULES
from docs_site.rendering import members, undocumented

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

API = ROOT / "tests" / "docs" / "public_api.txt"
# What the search shows stands in a tree of its own.
DIALOG = "document.activeElement.shadowRoot"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, str(ROOT / "scripts" / "docs_site"), str(folder)]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout[-4000:] + told.stderr[-4000:]
    return folder / "site"


def test_a_python_without_the_site_generator_names_what_has_it(tmp_path: Path):
    # -S leaves out the packages that are installed.
    command = [sys.executable, "-S", str(ROOT / "scripts" / "docs_site"), str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 1
    assert "make docs" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("module", MODULES)
def test_what_is_read_from_the_source_is_what_is_imported(module: str) -> None:
    """A name that the reference does not know, or that is not there, is not public."""
    read = {name for it, name, _ in public_names() if it == module}
    imported = importlib.import_module(module)
    if hasattr(imported, "__all__"):
        internal = {name for name in imported.__all__ if f"{module}.{name}" in INTERNAL}
        assert read == set(imported.__all__) - internal
    assert all(hasattr(imported, name) for name in read)


def test_each_public_name_is_in_the_reference(site: Path) -> None:
    pages: dict[str, str] = {}
    for module, name, path in public_names():
        described, chapter = names_by_path()[path]
        if chapter not in pages:
            pages[chapter] = (site / "reference" / chapter / "index.html").read_text("utf-8")
        assert f'id="{described.anchor}"' in pages[chapter], f"{module}.{name}"


def test_something_is_said_of_each_public_name_and_field() -> None:
    assert not undocumented()


def test_the_public_names_are_those_that_are_listed() -> None:
    """What is public changes on purpose alone.

    Run `python -m tests.docs.test_site`, look at what changed, and write a line for the changelog.
    """
    assert API.read_text("utf-8").splitlines() == public_api()


def public_api() -> list[str]:
    """Each public name, with the methods and fields of its class."""
    found = set()
    for module, name, path in public_names():
        found.add(f"{module}.{name}")
        described = names_by_path()[path][0]
        found |= {f"{described.anchor}.{member}" for member in members(described)}
    return sorted(found)


def test_each_page_is_there_as_markdown_and_is_listed(site: Path) -> None:
    listed = re.findall(r"^- \[.+?\]\((\S+\.md)\)", (site / "llms.txt").read_text("utf-8"), re.M)
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.md")}
    assert set(listed) == pages
    whole = (site / "llms-full.txt").read_text("utf-8")
    assert all((site / page).read_text("utf-8").strip() in whole for page in listed)
    assert "<!--" not in whole
    assert ".api-type" not in whole


def test_markdown_of_a_page_is_named_by_its_html(site: Path) -> None:
    for page in site.rglob("*.html"):
        found = re.search(
            r'<link rel="alternate" type="text/markdown" href="([^"]+)">', page.read_text("utf-8")
        )
        if page.name != "404.html":
            assert found, page
            assert (page.parent / html.unescape(found[1])).exists(), page


@needs_chromium
@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("barge-in", "how-to/turn-detection/"),
        ("mu-law", "how-to/g711/"),
        ("rollover", "explanation/survival/"),
        ("ReconnectPolicy", "reference/session/"),
    ],
)
async def test_the_search_finds(address: str, tmp_path: Path, words: str, page: str) -> None:
    async with Chromium(tmp_path / "browser") as browser:
        await browser.open(address)
        await browser.click(".md-search__button")
        await browser.until(f"{DIALOG}?.querySelector('input')")
        await browser.evaluate(
            f"(input => {{ input.value = {words!r};"
            " input.dispatchEvent(new Event('input', { bubbles: true })) })"
            f"({DIALOG}.querySelector('input'))"
        )
        found = f"[...{DIALOG}.querySelectorAll('a')].map(link => link.href)"
        await browser.until(f"{found}.some(href => href.includes({page!r}))")


if __name__ == "__main__":
    API.write_text("\n".join(public_api()) + "\n", "utf-8")
