"""A call in the terminal, live; line by line where the output is no terminal."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stapes.cli.show.palette import CALLER, QUIET, Palette
from stapes.cli.show.rows import FANCY, PLAIN, Glyphs, Row, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from rich.console import Console, RenderableType

    from stapes.cli.call.entries import Entry
    from stapes.cli.call.journal import Journal
    from stapes.cli.call.line import Line
    from stapes.cli.call.voice_activity import VoiceActivity

_WIDTH = 100
_REFRESH_HZ = 12.5
_FLOOR_DBFS, _CEILING_DBFS = -50.0, -12.0
_BARS, _FRAMES_PER_BAR = 20, 4


class Terminal:
    """Writes what is final, once, and below it what still changes.

    Args:
        console: where to write. Where it is no terminal nothing is rewritten: each entry is written
            when it is final.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.palette = Palette()
        self.glyphs: Glyphs = FANCY if "utf" in console.encoding.lower() else PLAIN
        self._journal: Journal | None = None
        self._line: Line | None = None
        self._written: set[int] = set()
        self._live: Live | None = None
        self._last = 0.0
        self._paused = False

    def follow(self, journal: Journal, line: Line) -> None:
        """Show this call from now on."""
        self._journal, self._line = journal, line

    def __enter__(self) -> Terminal:
        """Begin to draw."""
        if self.console.is_interactive:
            self._live = Live(
                console=self.console, auto_refresh=False, transient=True, redirect_stderr=False
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what is left, and stop."""
        self.refresh(final=True)
        if self._live is not None:
            self._live.update(Text(""))
            self._live.stop()
            self._live = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not draw as long as the context is open: somebody is asked something."""
        self._paused = True
        if self._live is not None:
            self._live.update(Text(""), refresh=True)
            self._live.stop()
        try:
            yield
        finally:
            self._paused = False
            if self._live is not None:
                self._live.start()

    def refresh(self, *, final: bool = False) -> None:
        """Show the call as it stands."""
        if self._journal is None or self._line is None:
            return
        if self._paused:
            return
        if not final and time.monotonic() - self._last < 1 / _REFRESH_HZ:
            return
        self._last = time.monotonic()
        ready, open_entries = self._split(final=final)
        if self._live is None:
            for entry in ready:
                self._write_plain(entry)
            return
        status = self._status(self._line)
        body: list[RenderableType] = [self._table(open_entries)] if open_entries else []
        # In one write, so that nothing is ever seen twice.
        with self.console:
            if ready:
                self.console.print(self._table(ready))
            self._live.update(Group(*body, Text(""), status), refresh=True)

    def _split(self, *, final: bool) -> tuple[list[Entry], list[Entry]]:
        """Tell what is to be written now from what waits, to keep the order."""
        assert self._journal is not None
        assert self._line is not None
        waiting = [entry for entry in self._journal.entries if id(entry) not in self._written]
        ready: list[Entry] = []
        for entry in waiting:
            if not final and not self._journal.done(entry):
                break
            ready.append(entry)
        self._written.update(map(id, ready))
        return ready, [e for e in waiting[len(ready) :] if e.at <= self._line.now]

    def _table(self, entries: Iterable[Entry]) -> Table:
        assert self._line is not None
        table = Table.grid(padding=(0, 1))
        table.width = min(self.console.width, _WIDTH)
        table.add_column(width=5, justify="right", no_wrap=True)
        table.add_column(width=10, no_wrap=True, overflow="ellipsis")
        table.add_column(ratio=1)
        table.add_column(width=7, justify="right", no_wrap=True)
        for entry in entries:
            for row in rows_of(entry, self._line.now, self.palette, self.glyphs):
                table.add_row(*self._cells(row))
        return table

    def _write_plain(self, entry: Entry) -> None:
        """Write an entry where nothing can be drawn: a line for each row, however long."""
        assert self._line is not None
        for row in rows_of(entry, self._line.now, self.palette, self.glyphs):
            aside = f"  ({row.aside})" if row.aside else ""
            line = f"{_clock(row.at):>5} {row.who.plain:<10} {row.what.plain}{aside}"
            self.console.print(Text(line), soft_wrap=True)

    def _cells(self, row: Row) -> tuple[RenderableType, ...]:
        return Text(_clock(row.at), QUIET), row.who, row.what, Text(row.aside, QUIET)

    def _status(self, line: Line) -> Text:
        text = Text(f"{_clock(line.now):>5} ", QUIET)
        agent = self._agent_name()
        for who, style, voice in (
            ("Caller", CALLER, line.caller),
            (agent, self.palette.agent(agent), line.agent),
        ):
            text.append(f" {who} ", style)
            text.append(self._waves(voice), style)
        if line.muted:
            text.append("  (microphone off)", QUIET)
        return text

    def _agent_name(self) -> str:
        assert self._journal is not None
        return self._journal.current_agent

    def _waves(self, voice: VoiceActivity) -> str:
        """Draw the last seconds of a voice as a row of bars that moves to the left."""
        levels = list(voice.levels)
        # Bars are cut at fixed frames, so that each keeps its height while it moves.
        tail = voice.frames % _FRAMES_PER_BAR
        levels = levels[: len(levels) - tail] if tail else levels
        count = _BARS * _FRAMES_PER_BAR
        levels = [_FLOOR_DBFS] * max(0, count - len(levels)) + levels[-count:]
        return "".join(
            self._bar(max(levels[start : start + _FRAMES_PER_BAR]))
            for start in range(0, count, _FRAMES_PER_BAR)
        )

    def _bar(self, dbfs: float) -> str:
        share = (dbfs - _FLOOR_DBFS) / (_CEILING_DBFS - _FLOOR_DBFS)
        bars = self.glyphs.bars
        return bars[1 + round((len(bars) - 2) * min(1.0, max(0.0, share)))]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
