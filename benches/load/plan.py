"""What is measured: suites of cells, each a number of sessions and what the server streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NULLS = ("null", "null+uvloop", "null-js", "null-rust")
STAPES = ("stapes", "stapes-quiet")
MICROPHONE = ("stapes-mic", "stapes-quiet-mic")
"""The same with microphones that are fed in Rust."""
LOOPS = ("stapes.run", "stapes+uvloop")
"""The same on other event loops than asyncio's."""
CORE = ("core", "core-quiet")
SDKS = ("agents-py", "agents-js")
RUNNER = ("agents-py", "agents-py-stapes")
"""The SDK's runner, on its own model and on ours."""
SESSIONS = ("stapes", *SDKS)
"""Clients that keep a history."""
HISTORIES = (0, 1000, 5000)
"""Items that there are before."""
BY_HAND = ("picows+uvloop", "websockets")


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement, of each of its clients in turn."""

    n: int
    clients: tuple[str, ...]
    flags: dict[str, Any] = field(default_factory=dict)
    tls: bool = False

    @property
    def is_churn(self) -> bool:
        return "seconds" in self.flags

    @property
    def is_counted(self) -> bool:
        """Instructions are counted, not time."""
        return "count" in self.flags

    @property
    def timeout(self) -> float:
        """When it is given up, in seconds."""
        return 120.0 + float(self.flags.get("seconds", 0))


def _paced(spread: float) -> dict[str, Any]:
    return {"mode": "paced", "chunks": 100, "spread": spread}


def _paced_cells(ns: tuple[int, ...], *, tls: bool = False) -> list[Cell]:
    ours = (*CORE, *STAPES, *MICROPHONE, *LOOPS)
    clients = (*NULLS, "bare", *ours, *BY_HAND, *SDKS)
    return [Cell(n, clients, _paced(0.1), tls) for n in ns]


def _spread_cells(
    ns: tuple[int, ...], clients: tuple[str, ...], *, tls: bool = False
) -> list[Cell]:
    return [Cell(n, clients, _paced(2.0), tls) for n in ns]


def _history(mode: str) -> list[Cell]:
    def flags(responses: int, chunks: int, size: int) -> dict[str, Any]:
        return {"mode": mode, "chunks": chunks, "responses": responses, "history": size}

    # So many that neither what is done once shows nor what else the machine does; what is quick
    # needs more of them.
    return [
        cell
        for size in HISTORIES
        for cell in (
            Cell(1, ("stapes",), flags(200, 1000, size)),
            Cell(1, SDKS, flags(10, 200, size)),
        )
    ]


def _tools() -> list[Cell]:
    return [
        cell
        for size in HISTORIES
        for cell in (
            Cell(1, ("stapes",), {"mode": "tools", "chunks": 2000, "history": size}),
            Cell(1, SDKS, {"mode": "tools", "chunks": 200, "history": size}),
        )
    ]


def suites(ns: tuple[int, ...] = (), *, short: bool = False) -> dict[str, list[Cell]]:
    """All of them; `ns` are other numbers of sessions for those that have a choice."""
    churn = {"seconds": 60 if short else 600}
    blast = {"mode": "blast", "chunks": 100, "responses": 50}
    scaling = ("bare", "stapes", "stapes.run", *BY_HAND)
    return {
        "paced": _paced_cells(ns or (200,)),
        "few": _paced_cells(ns or (1, 50)),
        "spread": _spread_cells(ns or (800, 1000), scaling),
        "spread-peers": _spread_cells(ns or (200, 400), SESSIONS),
        "runner": [Cell(n, ("null", *RUNNER), _paced(0.1)) for n in ns or (100,)],
        "knee": _spread_cells(ns or (1200, 1500, 1800, 2100, 2500, 3000), ("stapes", "stapes.run")),
        "knee-bare": _spread_cells(ns or (1500, 2500), ("bare",)),
        "blast": [
            Cell(n, ("bare", *STAPES, "stapes.run", *BY_HAND, *SDKS), blast) for n in ns or (8,)
        ],
        "instructions": [
            Cell(1, ("bare", *CORE, *STAPES, "picows+uvloop", "websockets"), {"count": "blast"})
        ],
        "history": [*_history("transcript"), *_history("items")],
        "tools": _tools(),
        "churn": [Cell(n, ("stapes",), churn) for n in ns or (200,)],
        "tls": _paced_cells(ns or (200,), tls=True),
        "tls-spread": _spread_cells(
            ns or (800, 1000), ("bare", "stapes", "stapes.run", "picows+uvloop"), tls=True
        ),
    }
