"""What the far tests need, in a cache folder: a part that cannot be had is skipped, and says so."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.far.asterisk_pbx import Asterisk, NoAsteriskError, install

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cache() -> Path:
    """The folder in which the peers are kept: `FAR_CACHE`, or one beside what is built."""
    folder = Path(os.environ.get("FAR_CACHE", ROOT / "target" / "far"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def websocket_port() -> int:
    """Where Asterisk finds the server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def asterisk(cache: Path, websocket_port: int) -> Iterator[Asterisk]:
    """An Asterisk that runs."""
    # A path that is short enough for a Unix socket.
    folder = Path(tempfile.mkdtemp(prefix="asterisk-"))
    try:
        pbx = Asterisk(install(cache / "asterisk"), folder, websocket_port=websocket_port)
        pbx.start()
    except NoAsteriskError as error:
        pytest.skip(f"no Asterisk here: {error}")
    yield pbx
    pbx.stop()
