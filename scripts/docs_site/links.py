"""Finds links of the site that lead nowhere, and pages that nothing leads to."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["problems"]


class _Page(HTMLParser):
    """The links and the anchors of a page, and where its text begins."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = {""}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Takes what leads somewhere, and what can be led to."""
        for name, value in attrs:
            if value is None:
                continue
            if name in ("href", "src"):
                self.links.append(value)
            elif name in ("id", "name"):
                self.anchors.add(value)


def problems(site: Path) -> list[str]:
    """What is wrong, one line each."""
    pages: dict[Path, _Page] = {}
    for path in site.rglob("*.html"):
        pages[path] = page = _Page()
        page.feed(path.read_text("utf-8"))
    found = []
    led_to: set[Path] = {site / "index.html", site / "404.html"}
    for path, page in pages.items():
        if path.name == "404.html":
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if parts.path.startswith("/"):
                target = site / parts.path.lstrip("/")
            if target.is_dir():
                target /= "index.html"
            where = path.relative_to(site).as_posix()
            if not target.exists():
                found.append(f"{where}: {link} is not there")
            elif target in pages:
                led_to.add(target)
                if unquote(parts.fragment) not in pages[target].anchors:
                    found.append(f"{where}: {link} has no such heading")
    found += [
        f"nothing leads to {path.relative_to(site).as_posix()}" for path in pages.keys() - led_to
    ]
    return sorted(set(found))
