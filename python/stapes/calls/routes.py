"""What a server of calls has on its paths and ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from stapes._core import calls as _core
    from stapes.calls.call import Call
    from stapes.calls.options import CallOptions
    from stapes.calls.page_events import PageEvents
    from stapes.calls.security import CallTokens
    from stapes.calls.webrtc import WebRTCCallOptions

__all__ = ["Answer", "File", "Route"]

Answer: TypeAlias = "Callable[[Call], Coroutine[Any, Any, Any]]"
"""What answers the calls of a route."""


class File(Protocol):
    """A file that browsers get, such as a `stapes.web.WebFile`."""

    @property
    def content_type(self) -> str:
        """Its media type, such as `text/html; charset=utf-8`."""

    @property
    def content(self) -> bytes:
        """What is in it."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path or a port, and who answers its calls."""

    answer: Answer
    carrier: str
    path: str
    options: CallOptions
    port: int | None = None
    upgrades: tuple[str, str] | None = None
    tokens: CallTokens | None = None
    wire: tuple[tuple[str, int | None] | None, bool] = (None, False)
    is_public: bool = False
    origins: _core.Origins | None = None
    page_events: PageEvents | None = None
    webrtc: WebRTCCallOptions | None = None

    @property
    def is_checked(self) -> bool:
        """Whether strangers are told from carriers."""
        return self.is_public or self.upgrades is not None or self.tokens is not None
