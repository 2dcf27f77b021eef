"""Gathers the pages of the site in one folder: those of `docs/`, and those that are generated."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from docs_site import commands, rendering

__all__ = ["ROOT", "plain", "stage"]

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\n]*)\]\((?P<to>(?!\w+:|#)[^)\s]+)\)")

_FILE = re.compile(r"(?<![\w/`])(?<!\]\()docs/(?P<path>[\w/-]+\.md)")


def stage(folder: Path) -> None:
    """Writes all pages, with what they show, into a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder)
    shutil.copytree(Path(__file__).parent / "assets", folder / "assets")
    (folder / "reference").mkdir(exist_ok=True)
    for name, text in rendering.pages().items():
        (folder / "reference" / name).write_text(text, "utf-8")
    told = _with_named_pages(commands.page(), "../")
    (folder / "reference" / "commands.md").write_text(told, "utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8").replace("](docs/", "](")
    (folder / "changelog.md").write_text(_with_named_pages(changes, ""), "utf-8")
    for page in folder.rglob("*.md"):
        page.write_text(_with_inner_links(page, folder), "utf-8")


def _with_named_pages(text: str, up: str) -> str:
    """A text in which files of `docs/` are links: `docs/audio.md` by the title of that page."""

    def link(file: re.Match[str]) -> str:
        page = ROOT / file[0]
        if not page.is_file():
            return file[0]
        title = page.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        return f"[{title}]({up}{file['path']})"

    return _FILE.sub(link, text)


def _with_inner_links(page: Path, folder: Path) -> str:
    """A page whose links lead to pages; one to another file of the repository is its text."""

    def inside(link: re.Match[str]) -> str:
        leads_to = (page.parent / link["to"].partition("#")[0]).resolve()
        return link[0] if leads_to.is_relative_to(folder.resolve()) else link["text"]

    return _LINK.sub(inside, page.read_text("utf-8"))


def plain(text: str) -> str:
    """A page as other programs read it: without what is for tests or for the look alone."""
    text = re.sub(r"^<!--.*?-->\n", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r" \*((?!\*)[^\n]*?)\*\{: \.api-type \}", r" \1", text)
    return re.sub(r"( |^)\{ ?[#.:][^}\n]*\}(\n|$)", r"\2", text, flags=re.MULTILINE)
