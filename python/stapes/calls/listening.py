"""Listening on an address, with errors that say what to do."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from stapes._core import calls as _core
    from stapes.calls.options import ListenOptions

__all__ = ["listen"]

_REMEDIES: Final = {
    errno.EADDRINUSE: "another program has it; give another port, or 0 for one that is free",
    errno.EACCES: "ports below 1024 are for administrators; give another port",
    errno.EADDRNOTAVAIL: "this machine has no such address; give one of its own, such as 127.0.0.1",
}
_NUMBER: Final = re.compile(r" \(os error (\d+)\)$")


def listen(
    core: _core.CallServer, host: str, port: int, limits: ListenOptions, **options: Any
) -> int:
    """Has the core listen; returns the port.

    Raises:
        OSError: the address cannot be had; names it, the cause and the remedy.
    """
    try:
        return core.listen(host, port, limits, **options)
    except OSError as error:
        text = str(error)
        number = _NUMBER.search(text)
        remedy = _REMEDIES.get(int(number[1])) if number else None
        cause = _NUMBER.sub("", text)
        raise type(error)(
            f"cannot listen on {host} port {port}: {cause}" + (f": {remedy}" if remedy else "")
        ) from error
