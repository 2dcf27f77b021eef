"""The part of docs/benchmarks.md that is about calls over WebRTC."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benches.load.bars import Bar, at_least, at_most
from benches.load.words import NOTHING, in_short, table
from benches.webrtc import page_section

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RESULTS = Path(__file__).parent / "results" / "webrtc.jsonl"

FRAMING_MS = 20
MOST_TARGET_MS = 40
"""What the jitter buffer may aim at on a clean path."""
BEYOND_TARGET_MS = 5

Row = dict[str, Any]


class Calls:
    """The rows of a file; of each measurement, those of the run that was made last."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows: dict[str, list[Row]] = {}
        for row in rows:
            kept = self._rows.setdefault(row["measurement"], [])
            if kept and kept[-1]["run"] != row["run"]:
                kept.clear()
            kept.append(row)

    @classmethod
    def read(cls, file: Path) -> Calls:
        """Reads a file that need not be there."""
        lines = file.read_text().splitlines() if file.exists() else []
        return cls(json.loads(line) for line in lines)

    def of(self, measurement: str, **where: Any) -> list[Row]:
        """The rows of what came to its end."""
        found = self._rows.get(measurement, [])
        found = [r for r in found if all(r.get(key) == value for key, value in where.items())]
        return [row for row in found if "crashed" not in row]

    @property
    def crashed(self) -> list[Row]:
        """The rows of what did not."""
        return [row for rows in self._rows.values() for row in rows if "crashed" in row]

    def ratios(self, client: str, base: str, *, net: bool = False) -> list[float]:
        """CPU of a client in units of another's, repetition by repetition.

        `net` is without what feeding the microphones costs by itself.
        """
        reps: dict[int, dict[str, float]] = {}
        for row in self.of("ten"):
            reps.setdefault(row["rep"], {})[row["client"]] = row["cpu_ms_per_call_s"]
        found = []
        for rep in reps.values():
            if client in rep and base in rep and (not net or "null" in rep):
                less = rep["null"] if net else 0.0
                found.append((rep[client] - less) / (rep[base] - less))
        return found


def section(calls: Calls) -> str:
    """Markdown; nothing where nothing was measured."""
    machine = calls.of("machine")
    if not machine:
        return ""
    crashed = "".join(
        f"\n- {row['measurement']}: {row['crashed']}: {row.get('stderr', '')}"
        for row in calls.crashed
    )
    return f"""## Calls over WebRTC

A spoken sentence is sent in real time in pieces of 20 ms, encoded as Opus (complexity 1, 72 kbit/s
at most: the default), comes back, and is decoded; ten calls in a process, unless said otherwise.
Our clients' far side is a reflector of ours in Rust (`benches/webrtc/rust`) that sends each packet
back as it came; both have one core.

{table(["what", "aim", "measured", "met"], [bar.row() for bar in bars(calls)])}
{crashed}
{_costs(calls)}

{_delays(calls)}

{_coming_and_going(calls)}

{page_section.costs(calls.of("pages"))}

{_loss(calls)}

{_setting(machine[-1])}"""


def bars(calls: Calls) -> list[Bar]:
    """What is aimed at."""
    fifty, encoded = calls.of("fifty"), calls.of("encoded")
    up = [row["up_ms"]["p99"] for row in fifty]
    beyond = [row["settled_down_ms"]["p99"] - row["target_ms"] for row in fifty]
    return [
        at_least("CPU of a call, ten calls: aiortc / stapes", 4, _inverse(calls), " times"),
        at_least(
            "the same, without what feeding the microphones costs",
            4.5,
            _inverse(calls, net=True),
            " times",
        ),
        at_least(
            "the same, microphones fed in Rust (`stream_audio`), nothing subtracted",
            4,
            _inverse(calls, "stapes-mic"),
            " times",
        ),
        _external("50 calls on one core", fifty),
        _external("200 calls on one core, Opus ready-made, without Python", encoded),
        at_most("memory of a call", 1024, [row["kb_per_call"] for row in fifty], " KB", 0),
        at_most(
            f"`send_audio` to RTP out, 50 calls, p99, {FRAMING_MS} ms of framing included",
            FRAMING_MS + 5,
            up,
            " ms",
            1,
        ),
        at_most(
            "RTP in to the `audio` event, 50 calls, p99, after 4 s, beyond the target",
            BEYOND_TARGET_MS,
            beyond,
            " ms",
            1,
        ),
        at_most(
            "the jitter buffer's target on a clean path",
            MOST_TARGET_MS,
            [row["target_ms"] for row in fifty],
            " ms",
            0,
        ),
        *_left_behind(calls),
        *page_section.bars(calls.of("pages")),
        at_most(
            "cold `cargo build --release` of the workspace, two cores",
            6,
            [row["seconds"] / 60 for row in calls.of("build")],
            " min",
            1,
        ),
    ]


def _inverse(calls: Calls, client: str = "stapes", *, net: bool = False) -> list[float]:
    return [1 / ratio for ratio in calls.ratios(client, "aiortc", net=net)]


def _external(what: str, rows: Sequence[Row]) -> Bar:
    """Whether all packets came, and were heard."""
    if not rows:
        return Bar(what, "nothing lost", NOTHING, None)
    worst = max(rows, key=_lost)
    cores = median(row["cores"] for row in rows)
    measured = f"{_lost(worst):,} of {worst['packets']:,} packets lost, {cores:.0%} of the core"
    return Bar(what, "nothing lost", measured, _lost(worst) == 0)


def _lost(row: Row) -> int:
    return int(row["packets_lost"])


def _left_behind(calls: Calls) -> list[Bar]:
    found = []
    for measurement, label in (("opens", "stapes"), ("opens-rust", "the core alone")):
        for row in calls.of(measurement):
            what = f"{row['opened']} calls opened and closed, {label}"
            more = {key: row["after"][key] - row["before"][key] for key in row["before"]}
            left = ", ".join(f"{count:+} {key}" for key, count in more.items() if count > 0)
            kept = ", ".join(row["before"])
            found += [
                Bar(f"{what}: {kept} left behind", "none", left or "none", not left),
                at_most(f"{what}: growth of memory per call", 1, [growth_kb(row)], " KB"),
            ]
    return found


def growth_kb(row: Row, of: str = "") -> float:
    """What memory grows by with each call, over the second half of them.

    It is that of what is in use where that is known, and else RSS.
    """
    samples = [one for one in row["samples"] if one["after"] >= row["opened"] / 2]
    of = of or ("heap_kb" if "heap_kb" in samples[0] else "rss_kb")
    xs, ys = [one["after"] for one in samples], [one[of] for one in samples]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    above: float = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True))
    return above / float(sum((a - x) ** 2 for a in xs))


def _costs(calls: Calls) -> str:
    groups = [
        ("stapes", "10", calls.of("ten", client="stapes")),
        ("stapes, microphones fed in Rust", "10", calls.of("ten", client="stapes-mic")),
        ("aiortc", "10", calls.of("ten", client="aiortc")),
        ("feeding the microphones alone", "10", calls.of("ten", client="null")),
        ("stapes", "50", calls.of("fifty")),
        ("the core alone, Opus ready-made", "200", calls.of("encoded")),
    ]

    def cell(rows: Sequence[Row], key: str, digits: int) -> str:
        return in_short([row[key] for row in rows if key in row], digits)

    head = ["client", "calls", "CPU ms per call and second", "its core", "KB a call"]
    head += ["connect, ms a call", "the reflector's core"]
    lines = [
        [
            name,
            count,
            cell(rows, "cpu_ms_per_call_s", 2),
            f"{median(row['cores'] for row in rows):.0%}",
            cell(rows, "kb_per_call", 0),
            cell(rows, "connect_ms_each", 0),
            f"{max(row['reflector_busiest_share'] for row in rows):.0%}",
        ]
        for name, count, rows in groups
        if rows
    ]
    return f"""### What a call costs

CPU is user and system time of the client's process, all threads, while all calls speak and hear.
Memory is RSS with all calls under way, less RSS before the first of them; one call was held before
that. aiortc encodes and decodes at 48 kHz in stereo: it knows nothing else. The reflector's share
is that of the busiest half second.

{table(head, lines)}"""


def _delays(calls: Calls) -> str:
    rows = [("10", calls.of("ten", client="stapes")), ("50", calls.of("fifty"))]
    head = ["calls", "from", "p50 ms", "p99 ms", "max ms", "target ms", "concealed"]
    lines = [
        [
            count,
            label,
            *(in_short([row[key][share] for row in found], 1) for share in ("p50", "p99", "max")),
            in_short([row["target_ms"] for row in found], 0) if key != "up_ms" else "",
            f"{max(row['concealed'] for row in found):.2%}" if key != "up_ms" else "",
        ]
        for count, found in rows
        if found
        for key, label in (
            ("up_ms", "`send_audio` to RTP out"),
            ("down_ms", "RTP in to the `audio` event"),
            ("settled_down_ms", "the same, after 4 s"),
        )
    ]
    return f"""### The delay that we add

From the call of `send_audio` that has a frame's first sample to when its packet is read by the
reflector, {FRAMING_MS} ms of framing included; and from there to when the callback for `audio` has
the decoded sound of that packet. Both include the way over loopback. The target is what the jitter
buffer aims at when the calls end; a call begins with 40 ms (`start_delay`).

{table(head, lines)}"""


def _coming_and_going(calls: Calls) -> str:
    rows = [
        ("stapes, from Python", calls.of("opens")),
        ("the core alone", calls.of("opens-rust")),
    ]
    head = ["client", "calls", "at once", "ms each", "CPU ms each", "RSS MB, begin to end"]
    head += ["KB a call", "in use, KB a call", "left behind"]
    lines = [
        [
            name,
            f"{row['opened']}",
            f"{row['at_once']}",
            f"{row['ms_each']:.0f}",
            f"{row['cpu_ms_each']:.1f}",
            " to ".join(f"{row['samples'][at]['rss_kb'] / 1024:.1f}" for at in (0, -1)),
            f"{growth_kb(row, 'rss_kb'):+.2f}",
            f"{growth_kb(row, 'heap_kb'):+.2f}" if "heap_kb" in row["samples"][0] else NOTHING,
            ", ".join(f"{row['after'][key] - row['before'][key]:+} {key}" for key in row["before"]),
        ]
        for name, found in rows
        for row in found
    ]
    return f"""### Calls that come and go

A call is opened, some sound is sent, and it is closed; from Python, once sound has come back. KB a
call is what RSS grows by over the second half of the calls; in use is what of it has been allocated
and not been freed, Python's own included.

{table(head, lines)}"""


def _loss(calls: Calls) -> str:
    rows = calls.of("loss")
    if not rows:
        return ""
    row = rows[-1]
    loss, jitter_ms = f"{row['loss']:.0%}", f"{row['jitter_ms']:.0f}"
    head = ["client", "network", "concealed or lost", "not handed out", "delay, median ms"]
    head += ["p95 ms", "target ms"]
    names = {"ours": "stapes", "aiortc": "aiortc"}
    lines = [
        [
            names[client],
            "bad" if state == "bad" else "clean",
            f"{row[client][state]['concealed']:.1%}",
            f"{row[client][state]['missing']:.1%}",
            f"{row[client][state]['delay_ms']['median']:.0f}",
            f"{row[client][state]['delay_ms']['p95']:.0f}",
            f"{row[client][state]['target_ms']:.0f}" if "target_ms" in row[client][state] else "",
        ]
        for client in names
        for state in ("clean", "bad")
    ]
    added = ", ".join(f"{names[c]} {row[c]['added_delay_ms']:+.0f} ms" for c in names)
    return f"""### Through a bad network

The development server (aiortc) speaks through a relay that loses {loss} of the packets, both ways,
and delays each by 0 to {jitter_ms} ms. Delay is that of half seconds of the answer, from when they
were played to when the client has them; the server sends a frame when it begins to play it, so that
what is not delayed at all is 20 ms early. aiortc conceals nothing: what does not come is lost. What
we do not hand out is the beginning of an answer whose first event (`output_audio_buffer.started`)
was lost and came again later. The bad network adds {added}, in the median.

{table(head, lines)}"""


def _setting(machine: Row) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"
    return f"""On {where}, with CPython {machine["python"]}, Rust {machine["rust"]}; {packages}
(revision {machine["revision"]})."""
