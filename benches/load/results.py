"""Reads results, and compares clients within one run."""

from __future__ import annotations

import json
from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING, Any

from benches.load.peers import PEERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

Row = dict[str, Any]
CELL = ("suite", "n", "mode", "history", "tls")
"""What rows of one cell have in common."""


def per_session_second(row: Row) -> float:
    """CPU milliseconds of a second of one session, the ticking included."""
    return float(row["cpu_s"] * 1e4 / (row["n"] * row["chunks"]))


class Results:
    """The rows of a file."""

    def __init__(self, rows: Iterable[Row], directory: Path | None = None) -> None:
        self.directory = directory
        """Where other measurements leave their results."""
        self.machine: Row = {}
        """Where and with what the newest were measured."""
        self.revisions: list[str] = []
        """What they are results of, the oldest first."""
        self.rows: list[Row] = []
        self.missing: dict[str, str] = {}
        for row in rows:
            if row.get("suite") == "machine":
                self.machine = row
                revision = str(row.get("revision"))
                if revision not in self.revisions:
                    self.revisions.append(revision)
            elif "missing" in row:
                self.missing[row["client"]] = row["missing"]
            else:
                self.rows.append(row)
        self._by_rep: dict[tuple[Any, ...], dict[str, Row]] = defaultdict(dict)
        for row in self.rows:
            if "cpu_s" in row:
                self._by_rep[self._rep(row)][row["client"]] = row

    @classmethod
    def read(cls, file: Path) -> Results:
        """Reads a file that need not be there."""
        lines = file.read_text().splitlines() if file.exists() else []
        return cls((json.loads(line) for line in lines), file.parent)

    @staticmethod
    def _rep(row: Row) -> tuple[Any, ...]:
        return (row["run"], row["rep"], *(row.get(key) or 0 for key in CELL))

    def of(self, suite: str, **where: Any) -> list[Row]:
        """The rows of a suite, those of clients that crashed included."""
        wanted = {"suite": suite, **where}
        return [r for r in self.rows if all(r.get(key) == value for key, value in wanted.items())]

    def done(self, suite: str, client: str, **where: Any) -> list[Row]:
        """The rows of a client that has come to its end."""
        return [row for row in self.of(suite, client=client, **where) if "cpu_s" in row]

    def net_cpu_s(self, row: Row) -> float:
        """CPU less what the ticking alone takes, of the same repetition where it was measured."""
        null = PEERS[row["client"]].null
        if null is None or row["mode"] != "paced":
            return float(row["cpu_s"])
        found = self._by_rep[self._rep(row)].get(null)
        if found is not None:
            return float(row["cpu_s"] - found["cpu_s"])
        # The ticking costs the same however many sessions a tick serves, nearly.
        others = [one["cpu_s"] / one["chunks"] for one in self.rows if one["client"] == null]
        return float(row["cpu_s"] - median(others) * row["chunks"]) if others else float("nan")

    def net(self, row: Row) -> float:
        """CPU milliseconds of a second of one session, the ticking subtracted."""
        return float(self.net_cpu_s(row) * 1e4 / (row["n"] * row["chunks"]))

    def ratios(
        self, suite: str, client: str, base: str, value: Callable[[Row], float], **where: Any
    ) -> list[float]:
        """What a client has of `value` in units of another's, repetition by repetition."""
        found = []
        for row in self.done(suite, client, **where):
            other = self._by_rep[self._rep(row)].get(base)
            if other is not None:
                found.append(value(row) / value(other))
        return found


def audio_lost(row: Row) -> int:
    """Bytes of audio that the server sent and user code did not get."""
    if not row.get("hands_out_audio", True):
        return 0
    return int(row["server"]["audio_bytes"] - row["audio_bytes"])


def microphone_lost(row: Row) -> int:
    """Chunks of the microphone's that were sent and did not come to the server."""
    return int(row["mic_sent"] - row["server"]["mic_frames"])


def trouble(row: Row) -> str:
    """What went wrong, if anything."""
    if "cpu_s" not in row:
        return str(row.get("crashed", "crashed"))
    told = [str(one) for one in row.get("failed") or []][:1]
    if row.get("errors"):
        told.append(f"{row['errors']} errors")
    if lost := audio_lost(row):
        told.append(f"{lost} bytes of audio lost")
    if lost := microphone_lost(row):
        told.append(f"{lost} chunks of the microphone lost")
    return ", ".join(told)
