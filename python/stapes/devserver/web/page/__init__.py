"""A page to talk to the server with: plain HTML, CSS and JavaScript, served as they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import FileResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

_FILES = Path(__file__).parent / "static"
# What is served is what this server came with: the page is seen as it is now, and runs no scripts
# but its own.
_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


def page_routes() -> list[Route]:
    """Return the routes of the page: itself at `/`, what it is made of under `/page/`."""
    files = [Route(f"/page/{file.name}", _serving(file)) for file in sorted(_FILES.iterdir())]
    return [Route("/", _serving(_FILES / "index.html")), *files]


def _serving(file: Path) -> Callable[[Request], Awaitable[FileResponse]]:
    async def serve(_: Request) -> FileResponse:
        return FileResponse(file, headers=_HEADERS)

    return serve
