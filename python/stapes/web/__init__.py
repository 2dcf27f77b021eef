"""What a browser is given: stapes.js, and the page of `stapes serve` that is built on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CLIENT_DIRECTORY = Path(__file__).parent / "client"
"""stapes.js, its types and what it loads: to be served with a page of yours, or published."""

_PAGE_DIRECTORY = Path(__file__).parent / "page"
_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file as a web server answers with it.

    Attributes:
        content_type: the header `Content-Type`.
        content: the body.
    """

    content_type: str
    content: bytes

    @classmethod
    def read(cls, path: Path) -> WebFile:
        """Read a file, whose suffix says what it is.

        Raises:
            ValueError: browsers are given no files with this suffix.
        """
        try:
            content_type = _CONTENT_TYPES[path.suffix]
        except KeyError:
            known = ", ".join(_CONTENT_TYPES)
            raise ValueError(f"the suffix of {path.name} is none of {known}") from None
        return cls(content_type, path.read_bytes())


def client_files() -> Mapping[str, WebFile]:
    """Return stapes.js and the modules that it loads: path, such as `/stapes.js`, to file."""
    return {f"/{path.name}": WebFile.read(path) for path in sorted(CLIENT_DIRECTORY.glob("*.js"))}


def page_files() -> Mapping[str, WebFile]:
    """Return the page of `stapes serve` at `/`, and all that it loads: path to file.

    The page calls the WebSocket `talk` beside itself, wherever it is served.
    """
    files = {f"/{path.name}": WebFile.read(path) for path in sorted(_PAGE_DIRECTORY.iterdir())}
    return {"/": files.pop("/index.html"), **files, **client_files()}
