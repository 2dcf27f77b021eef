"""The order of the pages."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from docs_site.chapters import CHAPTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["as_toml", "navigation", "title_of", "titled_pages"]

# A section has pages and sections. A folder stands for its pages: those that are named first, the
# others in order of their names.
_Section = tuple[str, tuple["str | _Section", ...]]
_SECTIONS: tuple[_Section, ...] = (
    ("Get started", ("index.md", "install.md", "choosing.md")),
    ("Tutorials", ("tutorials/",)),
    (
        "How-to",
        (
            (
                "Sessions",
                (
                    "how-to/sessions.md",
                    "how-to/turn-detection.md",
                    "how-to/tools.md",
                    "how-to/mcp.md",
                    "how-to/responses.md",
                    "how-to/history.md",
                    "how-to/images.md",
                    "how-to/transcription.md",
                ),
            ),
            (
                "Phones and web pages",
                (
                    "how-to/phone-calls.md",
                    "how-to/secure-calls.md",
                    "how-to/call-recipes.md",
                    "how-to/asterisk.md",
                    "how-to/web-pages.md",
                    "how-to/asgi-apps.md",
                    "how-to/add-a-carrier.md",
                ),
            ),
            (
                "Providers and transports",
                (
                    "how-to/providers.md",
                    "how-to/webrtc.md",
                    "how-to/g711.md",
                    "how-to/proxies.md",
                    "how-to/agents-sdk.md",
                ),
            ),
            (
                "Tests",
                (
                    "how-to/test-agents.md",
                    "how-to/test-the-protocol.md",
                    "how-to/development-server.md",
                ),
            ),
            (
                "Production",
                ("how-to/operations.md", "how-to/privacy.md", "how-to/troubleshooting.md"),
            ),
            "how-to/",
        ),
    ),
    (
        "Reference",
        (
            "reference/index.md",
            *(f"reference/{chapter.file}.md" for chapter in CHAPTERS),
            "reference/commands.md",
            "reference/",
        ),
    ),
    (
        "Explanation",
        (
            "explanation/one-order.md",
            "explanation/playback.md",
            "explanation/survival.md",
            "explanation/house.md",
            "explanation/webrtc.md",
            "explanation/performance.md",
            "explanation/",
        ),
    ),
    (
        "Figures",
        (
            "benchmarks.md",
            "phone-benchmarks.md",
            "audio.md",
            "turn-taking.md",
            "fault-table.md",
        ),
    ),
    ("Project", ("differences.md", "changelog.md", "versioning.md")),
)
# What has no place yet.
_REST = "More"


def title_of(page: Path) -> str:
    """The first heading of a page."""
    found = re.search(r"^# (.+)$", page.read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{page}: a page begins with `# `, and its title")
    return re.sub(r"[`*]", "", found[1]).strip()


def navigation(staged: Path) -> list[dict[str, Any]]:
    """The pages of a folder in order, under their sections.

    Raises:
        SystemExit: a page has no title.
    """
    pages = {path.relative_to(staged).as_posix() for path in staged.rglob("*.md")}
    placed = _place(_SECTIONS, pages, staged)
    if pages:
        placed += _place(((_REST, ("",)),), pages, staged)
    return placed


def titled_pages(section: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Title and path of each page of a section, those of the sections in it among them."""
    for entry in section:
        for title, found in entry.items():
            if isinstance(found, str):
                yield title, found
            else:
                yield from titled_pages(found)


def _place(wanted: Iterable[str | _Section], pages: set[str], staged: Path) -> list[dict[str, Any]]:
    """Takes what is wanted out of `pages`."""
    placed: list[dict[str, Any]] = []
    for one in wanted:
        if isinstance(one, tuple):
            title, inside = one
            if found := _place(inside, pages, staged):
                placed.append({title: found})
            continue
        is_folder = not one or one.endswith("/")
        paths = sorted(it for it in pages if it == one or (is_folder and it.startswith(one)))
        pages.difference_update(paths)
        placed += [{title_of(staged / it): it} for it in paths]
    return placed


def as_toml(value: Any) -> str:
    """Lists, tables and texts as TOML writes them in a line."""
    if isinstance(value, dict):
        inside = ", ".join(f"{json.dumps(key)} = {as_toml(it)}" for key, it in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
