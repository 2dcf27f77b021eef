"""Requests of HTTP as bytes, to be cut, delayed or falsified."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stapes.devserver import DevServer


def address(server: DevServer) -> tuple[str, int]:
    host, _, port = server.url.split("/")[2].partition(":")
    return host, int(port)


def post(path: str, *headers: str, length: int = 0) -> str:
    head = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        "Authorization: Bearer k",
    ]
    return "\r\n".join([*head, *headers, f"Content-Length: {length}", "", ""])
