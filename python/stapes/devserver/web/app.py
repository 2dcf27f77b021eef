"""The application: the realtime API over WebSocket and WebRTC, and a page to talk to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, WebSocketRoute

from stapes.devserver.options import Options
from stapes.devserver.web.calls import Calls
from stapes.devserver.web.origins import LOCAL_ORIGINS
from stapes.devserver.web.page import page_routes
from stapes.devserver.web.requests import HttpApi

if TYPE_CHECKING:
    from stapes.devserver.mind import Mind, Voice


def create_app(
    mind: Mind, voice: Voice, options: Options | None = None, *, calls: Calls | None = None
) -> Starlette:
    """Return the development server as an ASGI application.

    `calls` replaces what opens and keeps the calls; then it alone decides on mind and voice.
    """
    served = calls or Calls(mind, voice, options or Options())
    origins = served.options.origins
    api = HttpApi(served)
    return Starlette(
        routes=[
            WebSocketRoute("/v1/realtime", served.serve),
            WebSocketRoute("/v1/realtime/translations", served.serve_translation),
            # Offers go to `calls`; the base of the API and the older address do as well.
            *(
                Route(path, api.create_call, methods=["POST"])
                for path in ("/v1/realtime/calls", "/v1/realtime", "/v1")
            ),
            Route("/v1/realtime/calls/{call_id}/hangup", api.hang_up, methods=["POST"]),
            Route("/v1/realtime/client_secrets", api.create_client_secret, methods=["POST"]),
            *page_routes(),
        ],
        # A web app under development is served by another server of this machine.
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=sorted(origins),
                allow_origin_regex=LOCAL_ORIGINS,
                allow_methods=["POST"],
                allow_headers=["*"],
                expose_headers=["Location"],
            )
        ],
    )
