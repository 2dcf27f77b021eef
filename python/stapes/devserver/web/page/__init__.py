"""A page to talk to the server with: that of `stapes serve`, with an agent of its own.

The agent and its tools run in the page, so that the server stays what a provider is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from stapes.web import WebFile, page_files

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
    """Return the routes of the page and of what it is made of."""
    own = {f"/{path.name}": WebFile.read(path) for path in sorted(_FILES.iterdir())}
    return [Route(path, _serving(file)) for path, file in {**page_files(), **own}.items()]


def _serving(file: WebFile) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_: Request) -> Response:
        return Response(file.content, media_type=file.content_type, headers=_HEADERS)

    return serve
