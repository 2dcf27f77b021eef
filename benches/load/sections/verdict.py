"""What is aimed at, and what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benches.load.bars import Bar, at_least, at_most
from benches.load.results import audio_lost, microphone_lost, trouble
from benches.load.sections.blast import rate
from benches.load.sections.churn import leaks, slope_bytes
from benches.load.sections.history import per_event_us
from benches.load.sections.latency import KNEE_MS, knee
from benches.load.sections.memory import per_session_kb
from benches.load.words import NOTHING, percent, table

if TYPE_CHECKING:
    from benches.load.results import Results, Row


def bars(results: Results) -> list[Bar]:
    """All of them."""
    return [
        *_cpu(results),
        *_latency(results),
        *_blast(results),
        *_memory(results),
        *_history(results),
        *_churn(results),
        _server(results),
    ]


def _cpu(results: Results) -> list[Bar]:
    def ratio(client: str, base: str) -> list[float]:
        return results.ratios("paced", client, base, results.net, n=200)

    def inverse(client: str, base: str) -> list[float]:
        return [1 / value for value in ratio(client, base)]

    at = "CPU, N=200, paced"
    return [
        at_least(
            f"{at}: openai-agents-python / stapes", 5, inverse("stapes", "agents-py"), " times"
        ),
        at_least(f"{at}: JS SDK / stapes", 6, inverse("stapes", "agents-js"), " times"),
        at_least(
            f"{at}: picows+orjson / stapes", 1.3, inverse("stapes", "picows+uvloop"), " times"
        ),
        at_most(f"{at}: stapes / bare Rust client", 1.7, ratio("stapes", "bare"), " times"),
        at_most(f"{at}: the same on `stapes.run`", 1.7, ratio("stapes.run", "bare"), " times"),
        at_most(f"{at}: the same, the aim", 1.3, ratio("stapes.run", "bare"), " times"),
        at_most(
            f"{at}: stapes without a subscriber to audio / bare",
            1.4,
            ratio("stapes-quiet", "bare"),
            " times",
        ),
        at_most(
            f"{at}: the same, microphones fed in Rust / bare",
            1.2,
            ratio("stapes-quiet-mic", "bare"),
            " times",
        ),
    ]


def _latency(results: Results) -> list[Bar]:
    found = []
    for client, on in (("stapes", ""), ("stapes.run", ", `stapes.run`")):
        for n, most in ((800, 5.0), (1000, 10.0)):
            rows = results.done("spread", client, n=n)
            values = [row["lat_p99_us"] / 1e3 for row in rows]
            bar = at_most(f"p99 of delivery, N={n}, turns start over 2 s{on}", most, values, " ms")
            if any(audio_lost(row) or microphone_lost(row) for row in rows):
                bar = Bar(bar.what, bar.aim, f"{bar.measured}; lost audio", False)
            found.append(bar)
    good, bad = knee(results, "stapes")
    what = f"sessions on a core before p99 passes {KNEE_MS} ms or anything is lost"
    if good is None:
        return [*found, Bar(what, "beyond 1,500", NOTHING, None)]
    measured = f"{good:,} are fine" + (f", {bad:,} are not" if bad else "; more not tried")
    return [*found, Bar(what, "beyond 1,500", measured, good >= 1500 and bad != 1500)]


def _blast(results: Results) -> list[Bar]:
    what = "audio deltas per CPU second, 8 sessions at full speed: stapes / "
    return [
        at_least(
            f"{what}{label}", least, results.ratios("blast", "stapes", base, rate, n=8), " times"
        )
        for label, base, least in (
            ("openai-agents-python", "agents-py", 8),
            ("picows+orjson", "picows+uvloop", 2.5),
        )
    ]


def _memory(results: Results) -> list[Bar]:
    plain = [per_session_kb(row) for row in results.done("paced", "stapes", n=200)]
    tls = [per_session_kb(row) for row in results.done("tls", "stapes", n=200)]
    return [
        at_most("memory per session, N=200", 40, plain, " KB", 0),
        at_most("memory per session, N=200, TLS", 80, tls, " KB", 0),
    ]


def _history(results: Results) -> list[Bar]:
    def costs(suite: str, mode: str, size: int) -> dict[Any, float]:
        rows = results.done(suite, "stapes", mode=mode, history=size)
        return {(row["run"], row["rep"]): per_event_us(row) for row in rows}

    def compared(suite: str, mode: str) -> list[tuple[float, float]]:
        none, many = costs(suite, mode, 0), costs(suite, mode, 5000)
        return [(none[rep], many[rep]) for rep in none if rep in many]

    def quickest(suite: str, mode: str) -> list[float]:
        """The ratio of the quickest repetitions: what took longer was disturbed."""
        none, many = costs(suite, mode, 0), costs(suite, mode, 5000)
        return [min(many.values()) / min(none.values())] if none and many else []

    found = [
        at_most(
            f"cost of {label} at 5,000 items / at 0",
            1.2,
            quickest("history", mode),
            " times",
        )
        for mode, label in (("items", "a history update"), ("transcript", "a transcript delta"))
    ]
    more = [many - none for none, many in compared("tools", "tools")]
    what = "what 5,000 items of history add to a tool call that does not look at them"
    return [*found, at_most(what, 50, more, " µs", 1)]


def _churn(results: Results) -> list[Bar]:
    rows = [row for row in results.done("churn", "stapes", n=200) if row["seconds"] >= 600]
    minutes = "ten minutes"
    if not rows:
        rows = results.done("churn", "stapes", n=200)
        minutes = f"{rows[-1]['seconds'] / 60:.0f} min" if rows else minutes
    what = f"{minutes} at N=200 with sessions opening and closing"
    left = [leaks(row) or trouble_of_churn(row) for row in rows]
    return [
        at_most(f"{what}: growth per session", 1, [slope_bytes(r) / 1024 for r in rows], " KB"),
        Bar(
            f"{what}: tasks, threads, descriptors left behind",
            "none",
            (left[-1] or "none") if left else NOTHING,
            not any(left) if left else None,
        ),
    ]


def _server(results: Results) -> Bar:
    most = knee(results, "stapes")[0] or 0
    shares = [
        row["server"]["busiest_share"]
        for suite in ("paced", "tls", "spread", "tls-spread", "knee")
        for row in results.done(suite, "stapes")
        if row["n"] <= most or suite != "knee"
    ]
    what = "the server's share of its core while it talks to stapes, the busiest half second"
    return Bar(what, "under 70%", percent(shares), max(shares) < 0.7 if shares else None)


def trouble_of_churn(row: Row) -> str:
    """What went wrong while sessions came and went."""
    return f"{row['failures']} sessions failed" if row["failures"] else ""


def section(results: Results) -> str:
    """The bars, and whether they are met."""
    rows = [bar.row() for bar in bars(results)]
    crashed = [row for row in results.rows if "cpu_s" not in row and trouble(row)]
    told = "".join(
        f"\n- {row['client']}, {row['suite']}, N={row['n']}: {trouble(row)}" for row in crashed
    )
    return f"""## Aimed at and measured

Ratios are of one run: the clients took turns within minutes, and what the microphones' ticking
alone costs (a `null` client on the same event loop; for `stapes.run` on asyncio's) is subtracted.
Where there are several repetitions, the median is judged and their range is given.

{table(["what", "aim", "measured", "met"], rows)}
{told}"""
