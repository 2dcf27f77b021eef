"""The order of the pages."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from docs_site.chapters import CHAPTERS

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["as_toml", "navigation", "title_of"]

# A folder stands for its pages: those that are named first, the others in order of their names.
_SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Get started", ("index.md", "install.md", "choosing.md")),
    ("Tutorials", ("tutorials/",)),
    (
        "How-to",
        (
            "how-to/turn-detection.md",
            "how-to/sessions.md",
            "how-to/tools.md",
            "how-to/responses.md",
            "how-to/history.md",
            "how-to/phone-calls.md",
            "how-to/secure-calls.md",
            "how-to/call-recipes.md",
            "how-to/web-pages.md",
            "how-to/asgi-apps.md",
            "how-to/asterisk.md",
            "how-to/providers.md",
            "how-to/transcription.md",
            "how-to/g711.md",
            "how-to/images.md",
            "how-to/mcp.md",
            "how-to/webrtc.md",
            "how-to/agents-sdk.md",
            "how-to/test-agents.md",
            "how-to/test-the-protocol.md",
            "how-to/development-server.md",
            "how-to/proxies.md",
            "how-to/privacy.md",
            "how-to/operations.md",
            "how-to/troubleshooting.md",
            "how-to/add-a-carrier.md",
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
    placed: list[dict[str, Any]] = []
    for section, names in _SECTIONS:
        found = []
        for name in names:
            wanted = (
                sorted(it for it in pages if it == name or it.startswith(name))
                if (name.endswith("/"))
                else [name] * (name in pages)
            )
            pages -= set(wanted)
            found += wanted
        if found:
            placed.append({section: [{title_of(staged / it): it} for it in found]})
    if pages:
        placed.append({_REST: [{title_of(staged / it): it} for it in sorted(pages)]})
    return placed


def as_toml(value: Any) -> str:
    """Lists, tables and texts as TOML writes them in a line."""
    if isinstance(value, dict):
        inside = ", ".join(f"{json.dumps(key)} = {as_toml(it)}" for key, it in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
