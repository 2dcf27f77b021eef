"""Which model answers the calls of `stapes serve`."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stapes import WebSocketTransport
from stapes._core import shown_url
from stapes.cli.dev_server import make_server
from stapes.cli.offline import KEY, best_offline
from stapes.cli.serve.errors import ServeError
from stapes.devserver import Options
from stapes.providers.openai import OPENAI

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from stapes.cli.serve.options import ServeOptions

_ANY_KEY = "none-needed"


@dataclass(frozen=True, slots=True)
class Model:
    """What answers.

    Attributes:
        name: what it is, in words.
        more: what to do for a better one, if there is.
        session: the options of `RealtimeSession` that lead there.
    """

    name: str
    more: str | None
    session: Mapping[str, Any] = field(repr=False)


@asynccontextmanager
async def chosen_model(options: ServeOptions) -> AsyncIterator[Model]:
    """Give what answers; where there is no provider, a development server runs meanwhile.

    Raises:
        ServeError: the URL is none.
    """
    key = os.environ.get(KEY)
    named = {} if options.model is None else {"model": options.model}
    if options.url is not None:
        if not options.url.startswith(("ws://", "wss://")):
            raise ServeError(
                f"--url {shown_url(options.url)}: give the model's WebSocket, such as "
                "wss://models.example.com/v1/realtime"
            )
        transport = WebSocketTransport(url=options.url)
        reached = {"transport": transport, "api_key": key or _ANY_KEY}
        yield Model(shown_url(options.url), None, {**reached, **named})
    elif key and not options.dev:
        yield Model(f"{options.model or OPENAI.default_model} of OpenAI", None, named)
    else:
        best = best_offline()
        # It paces sound as a provider does. A session that is replaced has two calls for a moment.
        limits = Options(max_calls=2 * options.max_calls)
        async with make_server(best.mind, best.voice, limits, records=False) as server:
            transport = WebSocketTransport(url=server.url)
            yield Model(
                best.name, best.more, {"transport": transport, "api_key": _ANY_KEY, **named}
            )
